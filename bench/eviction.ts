/*
 * Which eviction policy hits how often, on recorded requests?
 *
 *   node --import=tsx bench/eviction.ts
 */
import type { Held } from '../lib/eviction/bounded-map.ts'
import { createBoundedMap, type EvictionPolicyName } from '../lib/eviction/create-bounded-map.ts'
import { readTrace, traceMissing } from '../test/support/traces.ts'

const POLICIES = ['lru', 'fifo', 'lfu', 's3-fifo', 'w-tinylfu'] as const

/** About a fortieth, a tenth and four tenths of the keys of each trace. */
const SIZES = [['web12', [344, 1376, 5504]], ['web07', [512, 2048, 8192]], ['twitter-c025', [384, 1537, 6150]]] as const

const percent = (part: number, whole: number): string => (100 * part / whole).toFixed(2)

function hitsOf (keys: readonly string[], policy: EvictionPolicyName, maxEntries: number, lfuAging = true): number {
  const map = createBoundedMap<Held>(policy, { maxEntries, maxBytes: Number.MAX_SAFE_INTEGER }, () => {}, lfuAging)
  let hits = 0
  for (const key of keys) {
    if (map.get(key) === undefined) map.add({ key, bytes: 1, slot: 0 })
    else hits++
  }
  return hits
}

const rows: Record<string, Record<string, string>> = {}
for (const [trace, sizes] of SIZES) {
  const missing = traceMissing(trace)
  if (missing !== false) {
    console.log(missing)
    continue
  }
  const keys = readTrace(trace)
  const unique = new Set(keys).size
  for (const size of sizes) {
    const row: Record<string, string> = {}
    for (const policy of POLICIES) row[policy] = percent(hitsOf(keys, policy, size), keys.length)
    row['textbook lfu'] = percent(hitsOf(keys, 'lfu', size, false), keys.length)
    row['without bounds'] = percent(keys.length - unique, keys.length)
    rows[`${trace}, ${size} entries`] = row
  }
}
console.log('Hit ratio, %')
console.table(rows)
