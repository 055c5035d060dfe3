/*
 * What does an entry take in memory, beside its value, and how close is the estimate that `maxBytes` goes by?
 *
 *   node --import=tsx bench/eviction-memory.ts
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { LRUCache } from 'lru-cache'
import type { Entry } from '../lib/entry.ts'
import { MemoryCache } from '../lib/stores/memory.ts'

const COUNT = 100_000
const TICKET = { at: 0, asOf: { epoch: 0, seq: 0 } }
const VALUE_BYTES = 8

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function entryOf (value: number): Entry {
  const nowMs = Date.now()
  const untilMs = (): number => nowMs + 3_600_000 + value
  return { kind: 'data', value, storedAtMs: nowMs, freshUntilMs: untilMs(), staleWhileRevalidateUntilMs: untilMs(), staleIfErrorUntilMs: untilMs(), marks: [], asOf: TICKET.asOf, bytes: VALUE_BYTES, loadMs: 0 }
}

/** Heap per entry, of a store together with what it holds. */
function bytesPerEntry (make: () => { held: unknown, write: (key: string, entry: Entry) => void }): number {
  collectGarbage()
  const before = process.memoryUsage()
  const { held, write } = make()
  for (let n = 0; n < COUNT; n++) write(`product:${n}`, entryOf(n))
  collectGarbage()
  const after = process.memoryUsage()
  kept.push(held)
  return (after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers) / COUNT
}

const kept: unknown[] = []
const rows: Record<string, Record<string, string>> = {}
const raw = bytesPerEntry(() => {
  const list = new LRUCache<string, Entry>({ max: COUNT, maxSize: 2 ** 40 })
  return { held: list, write: (key, entry) => { list.set(key, entry, { size: 1 }) } }
})
rows['raw lru-cache'] = { measured: raw.toFixed(0), '× raw': '1.00', accounted: '' }

for (const evictionPolicy of ['lru', 'fifo', 'lfu', 's3-fifo', 'w-tinylfu'] as const) {
  const cache = new MemoryCache({ maxEntries: COUNT, maxBytes: 2 ** 40, evictionPolicy, sweepIntervalMs: 0 })
  const measured = bytesPerEntry(() => ({ held: cache, write: (key, entry) => { cache.write(key, entry, TICKET) } }))
  rows[`MemoryCache, ${evictionPolicy}`] = { measured: measured.toFixed(0), '× raw': (measured / raw).toFixed(2), accounted: (cache.usage()[0].bytes / COUNT).toFixed(0) }
}
console.log(`Bytes per entry of ${VALUE_BYTES} bytes, key and entry object included, at ${COUNT} entries`)
console.table(rows)
