const SLACK = 4

/**
 * For each use of an id: how many different ids were used since its last use, itself included. An LRU cache of that
 * many entries, or more, would have had it. Ids not used for longer than `capacity` others are forgotten.
 *
 * The ids stand on a time line, each at its last use; a Fenwick tree counts how many stand behind a place, so that a use
 * costs a few steps (Olken, 1981). When the line is full, it is written anew without the gaps.
 */
export class StackDistances {
  readonly #capacity: number
  readonly #places = new Map<number, number>()
  readonly #idAt: Uint32Array
  readonly #tree: Int32Array
  readonly #onForget: (id: number) => void
  #next = 1
  #oldest = 1

  constructor (capacity: number, onForget: (id: number) => void) {
    this.#capacity = capacity
    this.#idAt = new Uint32Array(capacity * SLACK + 1)
    this.#tree = new Int32Array(capacity * SLACK + 1)
    this.#onForget = onForget
  }

  get size (): number {
    return this.#places.size
  }

  /** @param id an unsigned number of 32 bits @returns 1 for what was used just before; infinite for what is not known */
  use (id: number): number {
    const place = this.#places.get(id)
    let distance = Infinity
    if (place !== undefined) {
      distance = this.#places.size - this.#countBefore(place)
      this.#mark(place, -1)
    }
    if (this.#next === this.#idAt.length) this.#closeGaps(place)
    this.#places.set(id, this.#next)
    this.#idAt[this.#next] = id
    this.#mark(this.#next++, 1)
    if (this.#places.size > this.#capacity) this.#forgetOldest()
    return distance
  }

  #forgetOldest (): void {
    while (!this.#stands(this.#oldest)) this.#oldest++
    const id = this.#idAt[this.#oldest] as number
    this.#mark(this.#oldest, -1)
    this.#places.delete(id)
    this.#onForget(id)
  }

  #stands (place: number): boolean {
    return this.#places.get(this.#idAt[place] as number) === place
  }

  /** @param left a place that is about to be left, and is no longer counted */
  #closeGaps (left: number | undefined): void {
    const kept: number[] = []
    for (let place = this.#oldest; place < this.#next; place++) if (place !== left && this.#stands(place)) kept.push(this.#idAt[place] as number)
    this.#tree.fill(0)
    this.#oldest = 1
    this.#next = 1
    for (const id of kept) {
      this.#places.set(id, this.#next)
      this.#idAt[this.#next] = id
      this.#mark(this.#next++, 1)
    }
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
