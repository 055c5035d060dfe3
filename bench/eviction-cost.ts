/*
 * What does a call cost, policy by policy, beside raw lru-cache?
 *
 *   node --import=tsx bench/eviction-cost.ts
 *
 * Each subject runs in a process of its own, as it does in an application, so that the engine can specialise on it;
 * the subjects take turns and the best turn counts. Compare ratios, not nanoseconds.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { LRUCache } from 'lru-cache'
import type { Entry } from '../lib/entry.ts'
import type { Held } from '../lib/eviction/bounded-map.ts'
import { createBoundedMap } from '../lib/eviction/create-bounded-map.ts'
import { MemoryCache } from '../lib/stores/memory.ts'

interface Subject { readonly read: (key: string) => unknown, readonly write: (key: string, entry: Entry) => void }
interface Figures { readonly hit: number, readonly mixed: number }

const POLICIES = ['lru', 'fifo', 'lfu', 's3-fifo', 'w-tinylfu'] as const
const TICKET = { at: 0, asOf: { epoch: 0, seq: 0 } }
const ENTRIES = 10_000
const CALLS = 200_000
const ROUNDS = 5
const TURNS = 2
const BYTES = 400
const bounds = { maxEntries: ENTRIES, maxBytes: 2 ** 40 }

function rawList (read: (entry: Entry | undefined) => unknown): Subject {
  const list = new LRUCache<string, Entry>({ max: ENTRIES, maxSize: bounds.maxBytes })
  return { read: (key) => read(list.get(key)), write: (key, entry) => { list.set(key, entry, { size: BYTES }) } }
}

const subjects: Record<string, () => Subject> = {
  'raw lru-cache': () => rawList((entry) => entry),
  'raw lru-cache, and is it fresh': () => rawList((entry) => entry !== undefined && entry.freshUntilMs > Date.now() ? entry : undefined)
}
for (const policy of POLICIES) {
  subjects[`map, ${policy}`] = () => {
    const map = createBoundedMap<Held & { entry: Entry }>(policy, bounds, () => {}, true)
    return { read: (key) => map.get(key), write: (key, entry) => { map.add({ key, bytes: BYTES, slot: 0, entry }) } }
  }
}
for (const evictionPolicy of POLICIES) {
  subjects[`MemoryCache, ${evictionPolicy}`] = () => {
    const cache = new MemoryCache({ ...bounds, evictionPolicy, sweepIntervalMs: 0 })
    return { read: (key) => cache.read(key), write: (key, entry) => { cache.write(key, entry, TICKET) } }
  }
}

/** Keys of which a few are asked for most of the time, the same in every process. */
function skewedKeys (among: number): string[] {
  let state = 1
  return Array.from({ length: CALLS }, () => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0
    return `product:${Math.floor(among * (state / 2 ** 32) ** 3)}`
  })
}

function nanosPerCall (task: () => void): number {
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    task()
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) * 1000 / CALLS)
  }
  return best
}

function measure ({ read, write }: Subject): Figures {
  const untilMs = Date.now() + 3_600_000
  const store = (key: string): void => {
    write(key, { kind: 'data', value: key, storedAtMs: 0, freshUntilMs: untilMs, staleWhileRevalidateUntilMs: untilMs, staleIfErrorUntilMs: untilMs, marks: [], asOf: TICKET.asOf, bytes: BYTES, loadMs: 0 })
  }
  for (let n = 0; n < ENTRIES; n++) store(`product:${n}`)
  const hits = skewedKeys(ENTRIES)
  const mixed = skewedKeys(4 * ENTRIES)
  return {
    hit: nanosPerCall(() => { for (const key of hits) read(key) }),
    mixed: nanosPerCall(() => { for (const key of mixed) if (read(key) === undefined) store(key) })
  }
}

function measureApart (name: string): Figures {
  const { stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), name], { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Figures
}

function compare (): void {
  const names = Object.keys(subjects)
  const best = new Map<string, Figures>()
  for (let turn = 0; turn < TURNS; turn++) {
    for (const name of names) {
      const { hit, mixed } = measureApart(name)
      const sofar = best.get(name) ?? { hit, mixed }
      best.set(name, { hit: Math.min(hit, sofar.hit), mixed: Math.min(mixed, sofar.mixed) })
    }
  }
  const [raw] = best.values()
  console.log(`CPU time per call, ${ENTRIES} entries: reads that hit, and get-or-set over four times as many keys`)
  console.table(Object.fromEntries([...best].map(([name, { hit, mixed }]) => [name, {
    'hit, ns': hit.toFixed(0),
    'hit, × raw': (hit / (raw?.hit ?? NaN)).toFixed(2),
    'get-or-set, ns': mixed.toFixed(0),
    'get-or-set, × raw': (mixed / (raw?.mixed ?? NaN)).toFixed(2)
  }])))
}

const subject = subjects[process.argv[2] ?? '']
if (subject === undefined) compare()
else console.log(JSON.stringify(measure(subject())))
