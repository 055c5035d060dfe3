const NONE = -1

/**
 * Gives every held node a small number that it keeps as long as it is held, so that a walk over all of them can stop
 * and go on later, however much comes and goes in between: what stays is met exactly once. Policies use the same
 * numbers as indexes of their typed arrays.
 */
export class Slots<N extends { slot: number }> {
  /**
   * A free slot holds the number of the next free one. A list of them beside it would have to grow while a sweep frees a
   * million, and each time it does, it is copied as a whole.
   */
  readonly #nodes: Array<N | number> = []
  #firstFree = NONE

  /** One more than the highest number ever given. */
  get reach (): number {
    return this.#nodes.length
  }

  take (node: N): void {
    node.slot = this.#firstFree
    if (node.slot === NONE) node.slot = this.#nodes.length
    else this.#firstFree = this.#nodes[node.slot] as number
    this.#nodes[node.slot] = node
  }

  release (node: N): void {
    this.#nodes[node.slot] = this.#firstFree
    this.#firstFree = node.slot
  }

  at (slot: number): N | undefined {
    const node = this.#nodes[slot]
    return typeof node === 'number' ? undefined : node
  }
}
