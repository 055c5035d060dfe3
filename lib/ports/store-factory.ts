import type { Clock } from '../clock.ts'
import type { Entry } from '../entry.ts'
import type { BaseCache, EvictionCause } from './base-cache.ts'
import type { InvalidationLog } from './invalidation-log.ts'

/** What a store of one's own is made of. The options of `MemoryCache` have the same names. */
export interface StoreParts {
  /** Where purges come from; it is that of this process. */
  readonly log: InvalidationLog
  readonly clock: Clock
  /** The setting `memoryMaxSize`. */
  readonly maxEntries: number
  /** The setting `memoryMaxBytes`. */
  readonly maxBytes: number
  /** The setting `memoryMaxEntryBytes`: a larger entry is refused as `too-large`. */
  readonly maxEntryBytes: number
  /** To be told about each entry that left without anybody asking for it, once it is gone; it becomes the event `evict`. */
  readonly onEvict: (key: string, entry: Entry, cause: EvictionCause) => void
}

/** Makes the store, which is empty, or holds only what the log of its process knows all about. */
export type StoreFactory = (parts: StoreParts) => BaseCache
