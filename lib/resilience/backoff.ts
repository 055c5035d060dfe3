import type { Milliseconds } from '../clock.ts'

export interface BackoffOptions {
  /** Before the second attempt. @default 50 */
  readonly baseMs?: Milliseconds
  /** What the doubling ends at. @default 1000 */
  readonly maxMs?: Milliseconds
  /** A number from 0 up to 1. */
  readonly random: () => number
}

/**
 * How long to wait after the `attempt`-th failure, counted from 1: doubling from `baseMs` up to `maxMs`, and up to a
 * tenth of `maxMs` more at random, so that instances that lost Redis together do not come back together.
 */
export function backoffMs (attempt: number, { baseMs = 50, maxMs = 1000, random }: BackoffOptions): Milliseconds {
  return Math.min(baseMs * 2 ** Math.min(attempt - 1, 30), maxMs) + Math.floor(random() * maxMs / 10)
}
