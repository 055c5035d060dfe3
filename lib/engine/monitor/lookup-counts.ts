import type { LookupResult } from '../../events.ts'

/** Where a ring that counts lookups counts which: its first four columns. */
export const LOOKUP_COLUMN = { hit: 0, stale: 1, miss: 2, bypass: 3 } as const satisfies Record<LookupResult, number>
/** The first column behind them. */
export const AFTER_LOOKUPS = 4

/** How lookups ended. */
export interface LookupCounts {
  /** Lookups, those aside that passed the cache by. */
  lookups: number
  /** Answers from the cache, stale ones included. */
  hits: number
  staleHits: number
  misses: number
  bypasses: number
  /** `hits / lookups`, from 0 to 1; 0 while there were none. */
  hitRate: number
}

/** Reads the counts from the sums of a ring. */
export function lookupCounts ([fresh = 0, staleHits = 0, misses = 0, bypasses = 0]: Float64Array): LookupCounts {
  const hits = fresh + staleHits
  const lookups = hits + misses
  return { lookups, hits, staleHits, misses, bypasses, hitRate: lookups === 0 ? 0 : hits / lookups }
}
