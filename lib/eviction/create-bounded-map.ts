import type { BoundedMap, Bounds, Held, OnDisplaced } from './bounded-map.ts'
import { LfuPolicy } from './lfu.ts'
import { OrderedMap } from './ordered-map.ts'
import { PolicedMap } from './policed-map.ts'
import { S3FifoPolicy } from './s3-fifo.ts'
import { WTinyLfuPolicy } from './w-tinylfu.ts'

/** Who makes room when the memory is full. */
export type EvictionPolicyName = 'lru' | 'lfu' | 'fifo' | 's3-fifo' | 'w-tinylfu'

/** Below this a tenth of the cache is too little for a queue of its own, and S3-FIFO does worse than LRU. */
const S3_FIFO_MIN_ENTRIES = 100

export function createBoundedMap<N extends Held> (policy: EvictionPolicyName, bounds: Bounds, onDisplaced: OnDisplaced<N>, lfuAging: boolean): BoundedMap<N> {
  switch (policy) {
    case 'lru': return new OrderedMap(true, bounds, onDisplaced)
    case 'fifo': return new OrderedMap(false, bounds, onDisplaced)
    case 'lfu': return new PolicedMap(new LfuPolicy(bounds.maxEntries, lfuAging), bounds, onDisplaced)
    case 'w-tinylfu': return new PolicedMap(new WTinyLfuPolicy(bounds.maxEntries), bounds, onDisplaced)
    case 's3-fifo': return bounds.maxEntries < S3_FIFO_MIN_ENTRIES
      ? new OrderedMap(true, bounds, onDisplaced)
      : new PolicedMap(new S3FifoPolicy(bounds.maxEntries), bounds, onDisplaced)
  }
}
