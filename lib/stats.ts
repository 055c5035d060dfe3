import type { EvictionCause } from './events.ts'

/** Figures since the start, as `getStats()` answers them. Counters only grow; rates lie between 0 and 1. */
export interface CacheStats {
  /** Lookups answered from the cache, stale answers included. */
  hits: number
  misses: number
  sets: number
  deletes: number
  /** Faults of the cache itself; a loader that throws counts in `loadErrors`. */
  errors: number
  /** `hits / totalRequests`; 0 while there were no requests. */
  hitRate: number
  /** `hits + misses`. */
  totalRequests: number
  /** The hits that were stale: served while a refresh ran, or because the load failed. */
  staleHits: number
  /** Requests for which the cache was not consulted. */
  bypasses: number
  /** Loads of loaders and handlers, and those of them that failed. */
  loads: number
  loadErrors: number
  /** Callers that waited for somebody else's load. */
  coalescedLoads: number
  /** Values that were not stored, because a purge overtook them, they were too large, or the store was away. */
  refusals: number
  invalidations: number
  evictions: Record<EvictionCause, number>
  /** Entries and bytes in memory now. */
  entries: number
  bytes: number
}

type Counter = 'hits' | 'misses' | 'sets' | 'deletes' | 'errors' | 'staleHits' | 'bypasses' | 'loads' | 'loadErrors' | 'coalescedLoads' | 'refusals' | 'invalidations'

/** The counters behind `CacheStats`. Those of a namespace count in the whole as well. */
export class StatsCounter {
  readonly #counts: Record<Counter, number> = { hits: 0, misses: 0, sets: 0, deletes: 0, errors: 0, staleHits: 0, bypasses: 0, loads: 0, loadErrors: 0, coalescedLoads: 0, refusals: 0, invalidations: 0 }
  readonly #whole: StatsCounter | undefined
  readonly #enabled: boolean

  constructor (enabled = true, whole?: StatsCounter) {
    this.#enabled = enabled
    this.#whole = whole
  }

  add (counter: Counter, by = 1): void {
    if (!this.#enabled) return
    this.#counts[counter] += by
    this.#whole?.add(counter, by)
  }

  /** A counter for a part of the whole. */
  part (): StatsCounter {
    return new StatsCounter(this.#enabled, this)
  }

  snapshot (stored: Pick<CacheStats, 'evictions' | 'entries' | 'bytes'>): CacheStats {
    const { hits, misses } = this.#counts
    const totalRequests = hits + misses
    return { ...this.#counts, totalRequests, hitRate: totalRequests === 0 ? 0 : hits / totalRequests, ...stored }
  }
}
