/**
 * The most frequent names of an endless stream, in bounded memory: Misra and Gries' counters, thinned out in bulk as in
 * Anderson et al., "A High-Performance Algorithm for Identifying Frequent Items in Data Streams" (IMC 2017).
 *
 * Twice as many counters are kept as names are wanted. When they are used up, the median count is taken from all, and
 * those at zero make room. A name that makes up more than one part in `limit` of the stream is never lost, and the work
 * per name is constant on average.
 */
export class HotNames {
  readonly #limit: number
  readonly #counts = new Map<string, number>()

  constructor (limit: number) {
    this.#limit = limit
  }

  get size (): number {
    return this.#counts.size
  }

  add (name: string, count = 1): void {
    const held = this.#counts.get(name)
    if (held === undefined && this.#counts.size >= 2 * this.#limit) this.#thinOut()
    this.#counts.set(name, (held ?? 0) + count)
  }

  /** The hottest first, with their counts as far as they are known. */
  top (): Array<readonly [name: string, count: number]> {
    return [...this.#counts].sort(([, a], [, b]) => b - a).slice(0, this.#limit)
  }

  /** Halves all counts, so that yesterday's favourites make way for today's. */
  age (): void {
    for (const [name, count] of this.#counts) {
      if (count > 1) this.#counts.set(name, count / 2)
      else this.#counts.delete(name)
    }
  }

  #thinOut (): void {
    const median = [...this.#counts.values()].sort((a, b) => a - b)[this.#counts.size >> 1] as number
    for (const [name, count] of this.#counts) {
      if (count > median) this.#counts.set(name, count - median)
      else this.#counts.delete(name)
    }
  }
}
