const SLACK = 2

/** Something whose uses are followed. `place` belongs to the stack; 0 is nowhere. */
export interface Stacked { place: number }

/**
 * For each use of an item: how many different items were used since its last use, itself included. An LRU cache of that
 * many entries, or more, would have had it. Items not used for longer than `capacity` others are forgotten.
 *
 * The items stand on a time line, each at its last use; a Fenwick tree counts how many stand behind a place, so that a
 * use costs a few steps (Olken, 1981). When the line is full, it is written anew without the gaps.
 */
export class StackDistances<I extends Stacked> {
  readonly #capacity: number
  readonly #itemAt: Array<I | undefined>
  readonly #tree: Int32Array
  readonly #onForget: (item: I) => void
  #next = 1
  #oldest = 1
  #size = 0

  constructor (capacity: number, onForget: (item: I) => void) {
    this.#capacity = capacity
    this.#itemAt = new Array<I | undefined>(capacity * SLACK + 1).fill(undefined)
    this.#tree = new Int32Array(capacity * SLACK + 1)
    this.#onForget = onForget
  }

  get size (): number {
    return this.#size
  }

  /** @returns 1 for what was used just before; infinite for what is not known */
  use (item: I): number {
    const { place } = item
    let distance = Infinity
    if (place === 0) {
      if (this.#size === this.#capacity) this.#forgetOldest()
      this.#size++
    } else {
      distance = this.#size - this.#countBefore(place)
      this.#leave(place)
    }
    if (this.#next === this.#itemAt.length) this.#closeGaps()
    this.#put(item)
    return distance
  }

  #put (item: I): void {
    item.place = this.#next
    this.#itemAt[this.#next] = item
    this.#mark(this.#next++, 1)
  }

  #leave (place: number): void {
    this.#itemAt[place] = undefined
    this.#mark(place, -1)
  }

  #forgetOldest (): void {
    let item: I | undefined
    while ((item = this.#itemAt[this.#oldest]) === undefined) this.#oldest++
    this.#leave(this.#oldest)
    this.#size--
    item.place = 0
    this.#onForget(item)
  }

  #closeGaps (): void {
    const kept = this.#itemAt.filter((item) => item !== undefined)
    this.#itemAt.fill(undefined)
    this.#tree.fill(0)
    this.#oldest = 1
    this.#next = 1
    for (const item of kept) this.#put(item)
  }

  #mark (place: number, by: 1 | -1): void {
    const tree = this.#tree
    for (let node = place; node < tree.length; node += node & -node) tree[node] = (tree[node] as number) + by
  }

  #countBefore (place: number): number {
    let count = 0
    for (let node = place - 1; node > 0; node -= node & -node) count += this.#tree[node] as number
    return count
  }
}
