const NONE = -1

/** The links of all queues of one policy: a slot stands in at most one of them. */
export class SlotLinks {
  readonly previous: Int32Array
  readonly next: Int32Array

  constructor (slots: number) {
    this.previous = new Int32Array(slots)
    this.next = new Int32Array(slots)
  }
}

/** A doubly linked queue of slots, without an object per member. */
export class SlotQueue {
  readonly #links: SlotLinks
  #first = NONE
  #last = NONE
  length = 0

  constructor (links: SlotLinks) {
    this.#links = links
  }

  /** Who has stood here longest; -1 in an empty queue. */
  get first (): number {
    return this.#first
  }

  push (slot: number): void {
    this.#links.previous[slot] = this.#last
    this.#links.next[slot] = NONE
    if (this.#last === NONE) this.#first = slot
    else this.#links.next[this.#last] = slot
    this.#last = slot
    this.length++
  }

  remove (slot: number): void {
    const previous = this.#links.previous[slot] ?? NONE
    const next = this.#links.next[slot] ?? NONE
    if (previous === NONE) this.#first = next
    else this.#links.next[previous] = next
    if (next === NONE) this.#last = previous
    else this.#links.previous[next] = previous
    this.length--
  }

  moveToEnd (slot: number): void {
    if (slot === this.#last) return
    this.remove(slot)
    this.push(slot)
  }
}
