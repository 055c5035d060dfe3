import type { EpochMs, Milliseconds } from '../../clock.ts'

/**
 * Rows of counters, one for each stretch of time, of which only the latest are kept: what happened in a sliding window
 * is the sum of its rows. All memory is taken at the start. A window ends with the stretch that is under way, so it
 * lacks up to one stretch of its length.
 */
export class Ring {
  readonly columns: number
  readonly #counts: Float32Array
  readonly #rows: number
  readonly #rowMs: Milliseconds
  #newest = 0
  #newestMs = 0
  #newestPlace = 0

  /** @param rowMs how long one row counts, in milliseconds */
  constructor (columns: number, rows: number, rowMs: Milliseconds) {
    this.columns = columns
    this.#rows = rows
    this.#rowMs = rowMs
    this.#counts = new Float32Array(columns * rows)
  }

  add (nowMs: EpochMs, column: number, by = 1): void {
    this.addTo(this.row(nowMs), column, by)
  }

  /** The row of this instant, for several counts at once. A clock that was set back counts on in the newest. */
  row (nowMs: EpochMs): number {
    // Most counts fall into the row of the count before.
    return nowMs >= this.#newestMs && nowMs < this.#newestMs + this.#rowMs ? this.#newestPlace : this.#open(nowMs)
  }

  addTo (row: number, column: number, by = 1): void {
    const place = row + column
    this.#counts[place] = (this.#counts[place] as number) + by
  }

  /** The sums of the columns over the `spanMs` before `untilMs`. */
  sum (untilMs: EpochMs, spanMs: Milliseconds): Float64Array {
    this.#open(untilMs)
    const sums = new Float64Array(this.columns)
    const last = Math.floor(untilMs / this.#rowMs)
    const first = Math.max(last - Math.ceil(spanMs / this.#rowMs) + 1, this.#newest - this.#rows + 1)
    for (let row = first; row <= Math.min(last, this.#newest); row++) {
      const start = row % this.#rows * this.columns
      for (let column = 0; column < this.columns; column++) sums[column] = (sums[column] as number) + (this.#counts[start + column] as number)
    }
    return sums
  }

  #open (nowMs: EpochMs): number {
    const row = Math.floor(nowMs / this.#rowMs)
    if (row > this.#newest) {
      for (let passed = Math.max(this.#newest + 1, row - this.#rows + 1); passed <= row; passed++) {
        const start = passed % this.#rows * this.columns
        this.#counts.fill(0, start, start + this.columns)
      }
      this.#newest = row
      this.#newestMs = row * this.#rowMs
      this.#newestPlace = row % this.#rows * this.columns
    }
    return this.#newestPlace
  }
}
