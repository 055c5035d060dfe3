/*
 * Does the price of a purge depend on what it reaches? One store of a million entries; a purge by tag, prefix and glob
 * that reaches 1, 1 000 and all of them; and what the next hit on an entry pays to notice. Ratios are of the same run.
 */
import { systemClock } from '../lib/clock.ts'
import type { Entry } from '../lib/entry.ts'
import { createLocalLog } from '../lib/invalidation/local-log.ts'
import { tagMark } from '../lib/keyspace/mark.ts'
import type { PurgeRecord } from '../lib/ports/invalidation-log.ts'
import { MemoryCache } from '../lib/stores/memory.ts'

const ENTRIES = Number(process.env.ENTRIES ?? 1_000_000)
const PURGES = 2000

const log = createLocalLog({ clock: systemClock })
const cache = new MemoryCache({ log, maxEntries: ENTRIES, maxBytes: 2 ** 40 })
const untilMs = Date.now() + 3_600_000

function store (i: number): void {
  // Entry 0 is alone in `one`, the first thousand share `some`, all share `all`.
  const marks = [tagMark('all'), ...(i < 1000 ? [tagMark('some')] : []), ...(i === 0 ? [tagMark('one')] : [])]
  const key = `${i === 0 ? 'one' : i < 1000 ? 'some' : 'many'}:${i}`
  const { asOf, ...ticket } = log.ticket()
  const entry: Entry = { kind: 'data', value: i, storedAtMs: Date.now(), freshUntilMs: untilMs, staleWhileRevalidateUntilMs: 0, staleIfErrorUntilMs: 0, marks, asOf, bytes: 8, loadMs: 1 }
  cache.write(key, entry, { ...ticket, asOf })
}

function microsecondsEach (rounds: number, work: (i: number) => void): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < rounds; i++) work(i)
  return Number(process.hrtime.bigint() - start) / rounds / 1000
}

for (let i = 0; i < ENTRIES; i++) store(i)

function purge (record: PurgeRecord): void {
  if (log.append(record) !== 'everywhere') throw new Error('a local purge reaches everywhere at once')
}

const reaches = { 1: 'one', 1000: 'some', [ENTRIES]: 'all' }
const kinds: Record<string, (name: string) => PurgeRecord> = {
  tag: (name) => ({ marks: [tagMark(name)] }),
  prefix: (name) => ({ patterns: [name === 'all' ? 'm*' : `${name}*`] }),
  glob: (name) => ({ patterns: [name === 'all' ? '*:*' : `${name}*[0-9]`] })
}

// What an entry is charged on its next hit, before the purges below fill the log.
const keys = Array.from({ length: 1000 }, (_, i) => `many:${1000 + i}`)
const readAll = (): void => { for (const key of keys) cache.read(key) }
microsecondsEach(200, readAll)
const idle = microsecondsEach(200, readAll) / keys.length
const checked = microsecondsEach(200, (i) => {
  purge({ marks: [tagMark('unrelated' + i)] })
  readAll()
}) / keys.length

console.log(`purge, µs; ${cache.usage()[0]?.entries ?? 0} entries in the store`)
for (const [kind, record] of Object.entries(kinds)) {
  const samples = Object.entries(reaches).map(([reach, name]) => ({ reach, name, costs: [] as number[] }))
  // In turns, so that a busy moment of the machine falls on all three.
  for (let round = 0; round < 15; round++) for (const { name, costs } of samples) costs.push(microsecondsEach(PURGES, () => { purge(record(name)) }))
  const medians = samples.map(({ reach, costs }) => ({ reach, cost: costs.sort((a, b) => a - b)[7] as number }))
  const all = medians.map(({ cost }) => cost)
  console.log(kind.padEnd(7), medians.map(({ reach, cost }) => `reaches ${reach}: ${cost.toFixed(2)}`).join('   '), `  largest/smallest ${(Math.max(...all) / Math.min(...all)).toFixed(2)}`)
}
console.log(`hit with an idle log ${idle.toFixed(3)} µs, first hit after an unrelated purge ${checked.toFixed(3)} µs, ratio ${(checked / idle).toFixed(2)}`)
console.log(`after the purges the entries are gone: ${String(cache.read('many:5000') === undefined && cache.read('one:0') === undefined)}`)
await cache.close()
