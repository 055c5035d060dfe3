import { powerOfTwo } from './key-hash.ts'

const ROWS = 4
const COLUMNS_PER_ENTRY = 4
const MAX_COUNT = 15
const COUNTERS_PER_WORD = 8
/** The sample of TinyLFU: after so many increments per entry each counter has been halved once. */
const SAMPLE_PER_ENTRY = 10

/** Increments between two words that are halved: the sample, spread over all words. */
const STEP = SAMPLE_PER_ENTRY / (ROWS * COLUMNS_PER_ENTRY / COUNTERS_PER_WORD)

/**
 * How often a hash was seen lately, at most 15: a count-min sketch (four counters of four bits a hash; the smallest
 * counts, since others can only have added to it). Old popularity fades by halving the counters; not all at once,
 * which would be a pause at a million entries, but a word at a time.
 */
export class FrequencySketch {
  readonly #words: Uint32Array
  readonly #columnMask: number
  readonly #wordMask: number
  #increments = 0
  #nextHalved = 0

  constructor (entries: number) {
    const columns = powerOfTwo(entries * COLUMNS_PER_ENTRY)
    this.#words = new Uint32Array(Math.max(1, columns * ROWS / COUNTERS_PER_WORD))
    this.#columnMask = columns - 1
    this.#wordMask = this.#words.length - 1
  }

  increment (hash: number): void {
    const step = secondHash(hash)
    for (let row = 0; row < ROWS; row++) {
      const place = this.#place(hash, step, row)
      const word = this.#words[place >>> 3] ?? 0
      const shift = (place & 7) << 2
      if (((word >>> shift) & MAX_COUNT) < MAX_COUNT) this.#words[place >>> 3] = word + (1 << shift)
    }
    if (++this.#increments === STEP) {
      this.#increments = 0
      this.#words[this.#nextHalved] = ((this.#words[this.#nextHalved] ?? 0) >>> 1) & 0x77777777
      this.#nextHalved = (this.#nextHalved + 1) & this.#wordMask
    }
  }

  count (hash: number): number {
    const step = secondHash(hash)
    let least = MAX_COUNT
    for (let row = 0; row < ROWS; row++) {
      const place = this.#place(hash, step, row)
      least = Math.min(least, ((this.#words[place >>> 3] ?? 0) >>> ((place & 7) << 2)) & MAX_COUNT)
    }
    return least
  }

  /** Which counter a hash has in a row: a different column in each, so that two hashes rarely share all four. */
  #place (hash: number, step: number, row: number): number {
    return ((hash + Math.imul(row, step)) & this.#columnMask) * ROWS + row
  }
}

function secondHash (hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) | 1
}
