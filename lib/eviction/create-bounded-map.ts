import type { BoundedMap, Bounds, Held, OnDisplaced } from './bounded-map.ts'
import { LfuPolicy } from './lfu.ts'
import { OrderedMap } from './ordered-map.ts'
import { partsFor } from './parts.ts'
import { PolicedMap } from './policed-map.ts'
import type { Policy } from './policy.ts'
import { S3FifoPolicy } from './s3-fifo.ts'
import { WTinyLfuPolicy } from './w-tinylfu.ts'

/** Who makes room when the memory is full. */
export type EvictionPolicyName = 'lru' | 'lfu' | 'fifo' | 's3-fifo' | 'w-tinylfu'

/** Below this a tenth of the cache is too little for a queue of its own, and S3-FIFO does worse than LRU. */
const S3_FIFO_MIN_ENTRIES = 100

export function createBoundedMap<N extends Held> (policy: EvictionPolicyName, bounds: Bounds, onDisplaced: OnDisplaced<N>, lfuAging: boolean, parts: number = partsFor(bounds.maxEntries)): BoundedMap<N> {
  const ordered = (readsMove: boolean): BoundedMap<N> => new OrderedMap(readsMove, bounds, onDisplaced, parts)
  const policed = (chosen: Policy): BoundedMap<N> => new PolicedMap(chosen, bounds, onDisplaced, parts)
  switch (policy) {
    case 'lru': return ordered(true)
    case 'fifo': return ordered(false)
    case 'lfu': return policed(new LfuPolicy(bounds.maxEntries, lfuAging))
    case 'w-tinylfu': return policed(new WTinyLfuPolicy(bounds.maxEntries))
    case 's3-fifo': return bounds.maxEntries < S3_FIFO_MIN_ENTRIES ? ordered(true) : policed(new S3FifoPolicy(bounds.maxEntries))
  }
}
