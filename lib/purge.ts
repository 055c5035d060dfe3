import type { PurgeReach } from './events.ts'

/** What to invalidate. At least one of the lists must name something, or `everything` be true. */
export interface Purge {
  /** Exact keys. Entries that were built from these keys go with them. */
  keys?: readonly string[]
  /** Tags. Every entry that carries one of them goes. */
  tags?: readonly string[]
  /** Redis-style globs over keys: `product:*`, `user:?:name`, `[ab]:*`. User data belongs through `escapeGlob`. */
  patterns?: readonly string[]
  /** Request paths: every stored variant of them, whatever the host and the query. A trailing `*` takes all below. */
  paths?: readonly string[]
  everything?: boolean
  /**
   * Make the entries stale instead of gone: they may still be served while they are refreshed, or when the load fails.
   * @default false
   */
  soft?: boolean
}

/** What became of a purge. */
export interface PurgeResult {
  /** `everywhere` when every process that shares the cache will honour it from now on (with strategy `memory`, this one); `here` when it waits for the shared log. */
  reach: PurgeReach
}
