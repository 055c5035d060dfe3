import type { Milliseconds, Seconds } from '../clock.ts'

/** How many observations lie at or below each bound, as a Prometheus histogram tells it. */
export interface DurationBuckets {
  readonly upTo: ReadonlyArray<readonly [bound: Seconds, count: number]>
  readonly sum: Seconds
  readonly count: number
}

/** Durations by size. An observation costs a short walk over the bounds and two additions. */
export class DurationTally {
  readonly #boundsMs: readonly Milliseconds[]
  readonly #counts: number[]
  #sumMs = 0

  /** @param bounds in ascending order */
  constructor (bounds: readonly Seconds[]) {
    this.#boundsMs = bounds.map((bound) => bound * 1000)
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  add (durationMs: Milliseconds): void {
    const bounds = this.#boundsMs
    let bucket = 0
    while (bucket < bounds.length && durationMs > (bounds[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#sumMs += durationMs
  }

  read (): DurationBuckets {
    let count = 0
    const upTo = this.#counts.map((inBucket, bucket): [Seconds, number] => {
      count += inBucket
      return [(this.#boundsMs[bucket] ?? Infinity) / 1000, count]
    })
    return { upTo, sum: this.#sumMs / 1000, count }
  }
}
