import type { EpochMs, Milliseconds } from './clock.ts'

/**
 * A place in the invalidation log. `epoch` changes when a log is lost and begun anew; positions of different
 * epochs cannot be compared. In one process the epoch is always 0.
 */
export interface Position { readonly epoch: number, readonly seq: number }

/**
 * One stored value: a frozen data value, an HTTP response, or the list of variants of a URL. Its life is three
 * instants in order, `storedAtMs ≤ freshUntilMs ≤ staleUntilMs(entry)`.
 */
export interface Entry<V = unknown> {
  readonly kind: 'data' | 'response' | 'variants'
  readonly value: V
  readonly storedAtMs: EpochMs
  readonly freshUntilMs: EpochMs
  /** Until when a stale copy may be served while one refresh runs (RFC 5861 §3). */
  readonly staleWhileRevalidateUntilMs: EpochMs
  /** Until when a stale copy may be served because the load failed (RFC 5861 §4). */
  readonly staleIfErrorUntilMs: EpochMs
  /** Until when a response is kept only to be validated by its handler (RFC 9111 §4.3). */
  readonly keptUntilMs?: EpochMs | undefined
  /** What a purge can name to reach this entry, beside its own key: see `keyspace/mark.ts`. */
  readonly marks: readonly string[]
  /** Where the log stood before the load of this value began. */
  readonly asOf: Position
  /** Approximate size of the value in memory, in bytes. */
  readonly bytes: number
  /** How long the load took; what a hit saves. */
  readonly loadMs: Milliseconds
}

/** The last instant at which the entry is good for anything; the physical end of its life. */
export function staleUntilMs (entry: Entry): EpochMs {
  return Math.max(entry.freshUntilMs, entry.staleWhileRevalidateUntilMs, entry.staleIfErrorUntilMs, entry.keptUntilMs ?? 0)
}

/** Whether so much of its ttl is over that a hit starts a refresh. @param refreshAhead part of the ttl; 0 is never */
export function isDue ({ storedAtMs, freshUntilMs }: Entry, refreshAhead: number, nowMs: EpochMs): boolean {
  return refreshAhead > 0 && nowMs >= storedAtMs + (freshUntilMs - storedAtMs) * refreshAhead
}

/**
 * The entry after a soft purge at `atMs`: no longer fresh, its stale windows counted from the purge instead of
 * from the end of its freshness.
 */
export function softened<V> (entry: Entry<V>, atMs: EpochMs): Entry<V> {
  const earlierMs = Math.max(0, entry.freshUntilMs - Math.max(atMs, entry.storedAtMs))
  return {
    ...entry,
    freshUntilMs: entry.freshUntilMs - earlierMs,
    staleWhileRevalidateUntilMs: entry.staleWhileRevalidateUntilMs - earlierMs,
    staleIfErrorUntilMs: entry.staleIfErrorUntilMs - earlierMs
  }
}
