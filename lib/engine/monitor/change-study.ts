import type { EpochMs, Milliseconds, Seconds } from '../../clock.ts'
import type { CacheEvents, ComparisonResult } from '../../events.ts'
import { Ring } from './ring.ts'

/** The lifetimes that can be proposed: what they are made of is counted by age between them. */
const TTLS: readonly Seconds[] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21_600, 86_400]
const BINS = TTLS.length + 1
const CHANGES = 2 * BINS
const UNCHANGED_MS = CHANGES + 1
const COLUMNS = UNCHANGED_MS + 1

const ROW_MS = 300_000
const HOUR_MS = 3_600_000
/** Responses whose lives are followed at the same time. */
const MAX_LIVES = 500

/** Fewer comparisons than this prove nothing. */
export const MIN_COMPARED = 50
/** Of the hits, this share may be outdated. */
export const MAX_OUTDATED_SHARE = 0.02

const CHANGED: ReadonlySet<ComparisonResult> = new Set(['outdated', 'different'])

/** A stored response, for as long as it was seen to be what its handler answers. */
interface Life { readonly bornMs: EpochMs, sameUntilMs: EpochMs, changed: boolean }

/**
 * How soon the responses of a route change without a purge. What share of them was outdated is counted by their age: of the
 * hits that a ttl allows, those younger than it, it is the same share.
 */
export class ChangeStudy {
  readonly #ring = new Ring(COLUMNS, HOUR_MS / ROW_MS, ROW_MS)
  readonly #lives = new Map<string, Life>()

  compared (nowMs: EpochMs, { key, result, storedAtMs, ageMs }: CacheEvents['compare']): void {
    const changed = CHANGED.has(result)
    if (!changed && result !== 'same') return
    const bin = TTLS.findIndex((ttl) => ageMs <= ttl * 1000)
    this.#ring.add(nowMs, 2 * (bin === -1 ? TTLS.length : bin) + (changed ? 1 : 0))
    this.#live(nowMs, this.#lifeOf(key, storedAtMs), storedAtMs + ageMs, changed)
  }

  figures (nowMs: EpochMs): { unchangedFor: Seconds | null, suggestedTtl: Seconds | null } {
    const sums = this.#ring.sum(nowMs, HOUR_MS)
    const changes = sums[CHANGES] ?? 0
    return { unchangedFor: changes === 0 ? null : (sums[UNCHANGED_MS] ?? 0) / changes / 1000, suggestedTtl: longestGood(sums) }
  }

  /** A change came at some time since the response was last seen to be the same: in the middle, on average. */
  #live (nowMs: EpochMs, life: Life, atMs: EpochMs, changed: boolean): void {
    if (life.changed) return
    const passedMs: Milliseconds = Math.max(0, atMs - life.sameUntilMs)
    this.#ring.add(nowMs, UNCHANGED_MS, changed ? passedMs / 2 : passedMs)
    if (changed) this.#ring.add(nowMs, CHANGES)
    life.changed = changed
    life.sameUntilMs = atMs
  }

  #lifeOf (key: string, bornMs: EpochMs): Life {
    const known = this.#lives.get(key)
    if (known?.bornMs === bornMs) return known
    const life: Life = { bornMs, sameUntilMs: bornMs, changed: false }
    this.#lives.delete(key)
    if (this.#lives.size >= MAX_LIVES) {
      const [oldest = key] = this.#lives.keys()
      this.#lives.delete(oldest)
    }
    this.#lives.set(key, life)
    return life
  }
}

function longestGood (sums: Float64Array): Seconds | null {
  let [compared, outdated, best] = [0, 0, 0]
  for (let bin = 0; bin < BINS; bin++) {
    const changed = sums[2 * bin + 1] ?? 0
    compared += (sums[2 * bin] ?? 0) + changed
    outdated += changed
    if (outdated <= compared * MAX_OUTDATED_SHARE) best = TTLS[bin] ?? Infinity
  }
  return compared < MIN_COMPARED || outdated <= compared * MAX_OUTDATED_SHARE ? null : best
}
