import { powerOfTwo } from './key-hash.ts'

const ROWS = 4
const MAX_COUNT = 15
/** A counter is halved after this many increments per column: the sample of TinyLFU. */
const SAMPLE = 10

/**
 * How often a hash was seen lately, at most 15: a count-min sketch (four counters a hash, the smallest counts). Old
 * popularity fades by halving the counters; not all at once, which would be a pause at a million entries, but a
 * column at a time.
 */
export class FrequencySketch {
  /** The four counters of a column lie side by side in one word, so that one step halves them all. */
  readonly #words: Uint32Array
  readonly #counters: Uint8Array
  readonly #mask: number
  #increments = 0
  #nextHalved = 0

  constructor (capacity: number) {
    const columns = powerOfTwo(Math.max(capacity, 16))
    this.#words = new Uint32Array(columns)
    this.#counters = new Uint8Array(this.#words.buffer)
    this.#mask = columns - 1
  }

  increment (hash: number): void {
    const step = spread(hash)
    for (let row = 0; row < ROWS; row++) {
      const place = this.#place(hash, step, row)
      const count = this.#counters[place] ?? 0
      if (count < MAX_COUNT) this.#counters[place] = count + 1
    }
    if (++this.#increments === SAMPLE) {
      this.#increments = 0
      this.#words[this.#nextHalved] = ((this.#words[this.#nextHalved] ?? 0) >>> 1) & 0x07070707
      this.#nextHalved = (this.#nextHalved + 1) & this.#mask
    }
  }

  count (hash: number): number {
    const step = spread(hash)
    let least = MAX_COUNT
    for (let row = 0; row < ROWS; row++) {
      least = Math.min(least, this.#counters[this.#place(hash, step, row)] ?? 0)
    }
    return least
  }

  #place (hash: number, step: number, row: number): number {
    return (((hash + Math.imul(row, step)) & this.#mask) << 2) + row
  }
}

/** A second, odd hash: with it every row looks in another column. */
function spread (hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) | 1
}
