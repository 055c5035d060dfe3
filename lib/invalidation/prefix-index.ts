import type { Mark } from '../keyspace/mark.ts'
import type { Stamp } from './stamp.ts'

/**
 * The newest stamp of each prefix, in the order of the stamps. Prefixes are grouped by their length: a look-up costs one
 * slice and one access to a map for each distinct length that has anything newer, however many prefixes there are.
 */
export class PrefixIndex {
  readonly #newest = new Map<Mark, Stamp>()
  readonly #lengths = new Map<number, { count: number, newest: number }>()
  #newestNumber = 0

  get size (): number { return this.#newest.size }

  add (prefix: Mark, stamp: Stamp): void {
    const group = this.#lengths.get(prefix.length)
    if (group === undefined) {
      this.#lengths.set(prefix.length, { count: 1, newest: stamp.n })
    } else {
      if (!this.#newest.delete(prefix)) group.count++
      group.newest = stamp.n
    }
    this.#newest.set(prefix, stamp)
    this.#newestNumber = stamp.n
  }

  /** The newest stamp above `least` of a prefix of this mark. */
  newestOf (mark: Mark, least: number): Stamp | undefined {
    if (this.#newestNumber <= least) return undefined
    let found: Stamp | undefined
    for (const [length, { newest }] of this.#lengths) {
      if (newest <= least || length > mark.length) continue
      const stamp = this.#newest.get(mark.slice(0, length))
      if (stamp === undefined || stamp.n <= least) continue
      found = stamp
      least = stamp.n
    }
    return found
  }

  /** Forgets the oldest ones; answers the largest number among them. */
  forgetOldest (count: number): number {
    let last = 0
    for (const [prefix, { n }] of this.#newest) {
      if (count-- === 0) break
      this.#drop(prefix)
      last = n
    }
    return last
  }

  forgetUpTo (n: number): void {
    for (const [prefix, stamp] of this.#newest) {
      if (stamp.n > n) break
      this.#drop(prefix)
    }
  }

  clear (): void {
    this.#newest.clear()
    this.#lengths.clear()
  }

  #drop (prefix: Mark): void {
    this.#newest.delete(prefix)
    const group = this.#lengths.get(prefix.length)
    if (group !== undefined && --group.count === 0) this.#lengths.delete(prefix.length)
  }
}
