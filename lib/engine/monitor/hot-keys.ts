import { HotNames } from '../hot-names.ts'

/** So many names are counted that the shares of the hottest are right to a fraction of a point. */
const HOT_NAMES = 500
const HOTTEST = 50
/** The first lookups are counted one by one: an app that is asked little is to learn something, too. */
const COUNTED_EACH = 1600
/** Later one of so many is, and stands for all of them. */
const LOOKUPS_PER_SAMPLE = 16
/** Shares of less are no shares. */
const MIN_SAMPLE = 100

/** A key that is asked for often, and its share of all lookups. */
export interface HotKey { key: string, share: number }

/** The hottest keys, and of how many lookups, drawn one by one, their shares are as good as. */
export interface HotKeyFigures { readonly keys: readonly HotKey[], readonly sample: number }

/**
 * Which keys are asked for most. Pages ask for the same keys in the same order, so the lookups that are counted must not
 * come at regular distances: each has the same chance, whatever came before.
 */
export class HotKeys {
  readonly #random: () => number
  readonly #names = new HotNames(HOT_NAMES)
  #left = COUNTED_EACH
  #gap = 1
  #weight = 0
  #squares = 0

  /** @param random a number from 0 up to 1 */
  constructor (random: () => number) {
    this.#random = random
  }

  lookedUp (key: string): void {
    if (this.#left > 0) {
      this.#left--
      this.#add(key, 1)
    } else if (--this.#gap <= 0) {
      // Geometric: how many tosses of a coin with sixteen sides it takes.
      this.#gap = 1 + Math.floor(Math.log(1 - this.#random()) / Math.log(1 - 1 / LOOKUPS_PER_SAMPLE))
      this.#add(key, LOOKUPS_PER_SAMPLE)
    }
  }

  figures (): HotKeyFigures {
    const sample = this.#weight === 0 ? 0 : this.#weight ** 2 / this.#squares
    if (sample < MIN_SAMPLE) return { keys: [], sample }
    return { keys: this.#names.top().slice(0, HOTTEST).map(([key, count]) => ({ key, share: Math.min(1, count / this.#weight) })), sample }
  }

  /** Halves the weight of all that was seen so far. */
  age (): void {
    this.#names.age()
    this.#weight /= 2
    this.#squares /= 2
  }

  #add (key: string, weight: number): void {
    this.#names.add(key, weight)
    this.#weight += weight
    this.#squares += weight ** 2
  }
}
