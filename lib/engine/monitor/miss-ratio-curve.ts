/** How many of the lookups a memory of this many entries would answer. */
export interface CurvePoint { entries: number, hitRate: number }

/**
 * The hit rate of every size of memory at once, from a sample of the keys (SHARDS: Waldspurger et al., "Efficient MRC
 * Construction with SHARDS", FAST 2015). A key is sampled or not by its hash, so a sampled one is seen at all its uses;
 * a distance among the sampled keys, divided by the share of keys in the sample, is one among all keys.
 *
 * A few very hot keys inside or outside of the sample would bend the whole curve. As in the paper, the difference between
 * the expected and the real number of sampled uses is put right at the smallest size, where hot keys belong.
 */
export class MissRatioCurve {
  readonly #rate: number
  readonly #uses: Float64Array
  #total = 0
  #sampled = 0

  /** @param rate the share of keys in the sample @param reach the largest distance that can be told */
  constructor (rate: number, reach: number) {
    this.#rate = rate
    this.#uses = new Float64Array(reach + 1)
  }

  /** Lookups that the curve rests on; older ones count less. */
  get lookups (): number {
    return this.#total
  }

  /** The largest size of which the curve knows. */
  get maxEntries (): number {
    return Math.floor((this.#uses.length - 1) / this.#rate)
  }

  /** A lookup, of a sampled key or another. */
  count (): void {
    this.#total++
  }

  /** A use of a sampled key at this distance; infinite where no size would have helped. */
  use (distance: number): void {
    this.#sampled++
    if (distance < this.#uses.length) this.#uses[distance] = (this.#uses[distance] as number) + 1
  }

  /** The hit rate with room for so many entries; 0 while there were no lookups. */
  hitRate (entries: number): number {
    const expected = this.#total * this.#rate
    if (expected === 0) return 0
    const reach = Math.min(entries * this.#rate, this.#uses.length - 1)
    const whole = Math.floor(reach)
    let hits = 0
    for (let distance = 1; distance <= whole; distance++) hits += this.#uses[distance] as number
    hits += (this.#uses[whole + 1] ?? 0) * (reach - whole)
    return Math.min(1, Math.max(0, (hits + expected - this.#sampled) / expected))
  }

  points (count: number): CurvePoint[] {
    return Array.from({ length: count }, (_, index) => {
      const entries = Math.round(this.maxEntries * (index + 1) / count)
      return { entries, hitRate: this.hitRate(entries) }
    })
  }

  /** Halves the weight of all that was seen so far. */
  age (): void {
    this.#total /= 2
    this.#sampled /= 2
    for (let distance = 0; distance < this.#uses.length; distance++) this.#uses[distance] = (this.#uses[distance] as number) / 2
  }
}
