import type { EpochMs, Milliseconds, Seconds } from '../../clock.ts'
import type { CacheEvents } from '../../events.ts'
import { DURATION_BINS, durationBin, durationQuantile } from './duration-bins.ts'
import { AFTER_LOOKUPS, LOOKUP_COLUMN, lookupCounts, type LookupCounts } from './lookup-counts.ts'
import { Ring } from './ring.ts'

const COALESCED = AFTER_LOOKUPS
const LOAD = COALESCED + 1
const LOAD_ERROR = COALESCED + 2
const FAULT = COALESCED + 3
const EVICTION = COALESCED + 4
const STORE = COALESCED + 5
const ANSWER_MS = COALESCED + 6
const LOAD_MS = COALESCED + 7
const ANSWER_BINS = COALESCED + 8
const LOAD_BINS = ANSWER_BINS + DURATION_BINS
const COLUMNS = LOAD_BINS + DURATION_BINS

const ROW_MS = 10_000
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** Quantiles of durations in seconds; `null` where nothing was observed. */
export interface Quantiles { p50: Seconds | null, p95: Seconds | null, p99: Seconds | null }

/** What happened within a sliding window. Rates lie between 0 and 1, and are 0 while there was nothing. */
export interface WindowFigures extends LookupCounts {
  /** The length of the window in seconds. */
  span: Seconds
  missRate: number
  staleRate: number
  /** Loads that failed and faults of the cache, of all lookups and loads. */
  errorRate: number
  loads: number
  loadErrors: number
  faults: number
  coalesced: number
  stores: number
  evictions: number
  evictionsPerSecond: number
  lookupsPerSecond: number
  /** Mean time of an answer from the cache, in seconds; `null` while there was none. */
  responseTime: Seconds | null
  /** Times of answers from the cache. */
  answers: Quantiles
  /** Times that loaders and handlers took. */
  loadTimes: Quantiles
  /** Loads avoided, times the mean time of a load, in seconds. */
  timeSaved: Seconds
}

/** One point of the past, for charts. */
export interface HistoryPoint { atMs: EpochMs, lookups: number, hitRate: number | null, answerP95: Seconds | null, loadP95: Seconds | null, evictions: number }

/** Counts what the cache says, over the last hour. */
export class Traffic {
  readonly #ring = new Ring(COLUMNS, HOUR_MS / ROW_MS, ROW_MS)

  lookup ({ result, atMs, durationMs }: CacheEvents['lookup']): void {
    const row = this.#ring.row(atMs)
    this.#ring.addTo(row, LOOKUP_COLUMN[result])
    if (result !== 'hit' && result !== 'stale') return
    this.#ring.addTo(row, ANSWER_MS, durationMs)
    this.#ring.addTo(row, ANSWER_BINS + durationBin(durationMs))
  }

  load ({ ok, atMs, durationMs }: CacheEvents['load']): void {
    const row = this.#ring.row(atMs)
    this.#ring.addTo(row, ok ? LOAD : LOAD_ERROR)
    if (!ok) return
    this.#ring.addTo(row, LOAD_MS, durationMs)
    this.#ring.addTo(row, LOAD_BINS + durationBin(durationMs))
  }

  coalesced (nowMs: EpochMs): void { this.#ring.add(nowMs, COALESCED) }
  stored ({ atMs }: CacheEvents['store']): void { this.#ring.add(atMs, STORE) }
  /** Of what left, counts what had to make room. */
  evicted ({ cause, atMs }: CacheEvents['evict']): void { if (cause === 'entries' || cause === 'bytes') this.#ring.add(atMs, EVICTION) }
  faults (nowMs: EpochMs, count: number): void { if (count > 0) this.#ring.add(nowMs, FAULT, count) }

  window (nowMs: EpochMs, spanMs: Milliseconds): WindowFigures {
    return figuresOf(this.#ring.sum(nowMs, spanMs), spanMs / 1000)
  }

  /** The last hour, minute by minute, oldest first. */
  history (nowMs: EpochMs): HistoryPoint[] {
    return Array.from({ length: HOUR_MS / MINUTE_MS }, (_, index) => {
      const untilMs = nowMs - (HOUR_MS - MINUTE_MS) + index * MINUTE_MS
      const sums = this.#ring.sum(untilMs, MINUTE_MS)
      const { lookups, hitRate } = lookupCounts(sums)
      return {
        atMs: untilMs,
        lookups,
        hitRate: lookups === 0 ? null : hitRate,
        answerP95: durationQuantile(sums, ANSWER_BINS, 0.95) ?? null,
        loadP95: durationQuantile(sums, LOAD_BINS, 0.95) ?? null,
        evictions: at(sums, EVICTION)
      }
    })
  }
}

function figuresOf (sums: Float64Array, span: Seconds): WindowFigures {
  const counts = lookupCounts(sums)
  const { lookups, hits, staleHits, misses } = counts
  const [loads, loadErrors, faults] = [at(sums, LOAD), at(sums, LOAD_ERROR), at(sums, FAULT)]
  const share = (part: number, whole: number): number => whole === 0 ? 0 : Math.min(1, part / whole)
  return {
    span,
    ...counts,
    missRate: share(misses, lookups),
    staleRate: share(staleHits, lookups),
    errorRate: share(loadErrors + faults, Math.max(lookups, loads + loadErrors, faults)),
    loads: loads + loadErrors,
    loadErrors,
    faults,
    coalesced: at(sums, COALESCED),
    stores: at(sums, STORE),
    evictions: at(sums, EVICTION),
    evictionsPerSecond: at(sums, EVICTION) / span,
    lookupsPerSecond: lookups / span,
    responseTime: hits === 0 ? null : at(sums, ANSWER_MS) / hits / 1000,
    answers: quantiles(sums, ANSWER_BINS),
    loadTimes: quantiles(sums, LOAD_BINS),
    timeSaved: loads === 0 ? 0 : hits * at(sums, LOAD_MS) / loads / 1000
  }
}

function quantiles (sums: Float64Array, start: number): Quantiles {
  const [p50 = null, p95 = null, p99 = null] = [0.5, 0.95, 0.99].map((q) => durationQuantile(sums, start, q))
  return { p50, p95, p99 }
}

function at (sums: Float64Array, column: number): number {
  return sums[column] ?? 0
}
