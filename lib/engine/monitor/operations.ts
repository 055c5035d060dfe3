import type { EpochMs, Milliseconds, Seconds } from '../../clock.ts'
import { DURATION_BINS, durationBin, durationQuantile } from './duration-bins.ts'
import { Ring } from './ring.ts'

const COUNT = 0
const FAILED = 1
const SUM_MS = 2
const BINS = 3

const ROW_MS = 60_000
const HOUR_MS = 3_600_000

/** More operations than this are counted as one, under `other`. */
export const MAX_OPERATIONS = 50
const OTHER = 'other'

/** Something that the application measures by itself. */
export interface RecordedMetric {
  /** A name out of a small set, such as `product_lookup`. */
  operation: string
  /** How long it took, in seconds. */
  duration: Seconds
  /** @default true */
  success?: boolean
}

/** The last hour of what the application recorded under one name. */
export interface OperationFigures {
  operation: string
  count: number
  errorRate: number
  /** Mean time in seconds. */
  responseTime: Seconds
  p50: Seconds | null
  p95: Seconds | null
  p99: Seconds | null
}

/** What the application recorded, by operation, in bounded memory. */
export class Operations {
  readonly #rings = new Map<string, Ring>()

  record (nowMs: EpochMs, { operation, duration, success = true }: RecordedMetric): void {
    const ring = this.#ringOf(operation)
    ring.add(nowMs, COUNT)
    if (!success) ring.add(nowMs, FAILED)
    ring.add(nowMs, SUM_MS, duration * 1000)
    ring.add(nowMs, BINS + durationBin(duration * 1000))
  }

  figures (nowMs: EpochMs, spanMs: Milliseconds = HOUR_MS): OperationFigures[] {
    return [...this.#rings].flatMap(([operation, ring]) => {
      const sums = ring.sum(nowMs, spanMs)
      const [count = 0, failed = 0, sumMs = 0] = sums
      if (count === 0) return []
      const quantile = (q: number): Seconds | null => durationQuantile(sums, BINS, q) ?? null
      return [{ operation, count, errorRate: failed / count, responseTime: sumMs / count / 1000, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }]
    })
  }

  #ringOf (operation: string): Ring {
    const known = this.#rings.get(operation)
    if (known !== undefined) return known
    if (this.#rings.size >= MAX_OPERATIONS && operation !== OTHER) return this.#ringOf(OTHER)
    const ring = new Ring(BINS + DURATION_BINS, HOUR_MS / ROW_MS, ROW_MS)
    this.#rings.set(operation, ring)
    return ring
  }
}
