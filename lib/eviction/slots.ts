import { PagedArray } from './paged-array.ts'

const NONE = -1

/**
 * Gives every held node a small number that it keeps as long as it is held, so that a walk over all of them can stop
 * and go on later, however much comes and goes in between: what stays is met exactly once. Policies use the same
 * numbers as indexes of their typed arrays.
 */
export class Slots<N extends { slot: number }> {
  /** A free slot holds the number of the next free one: a list of them beside it would have to grow while a sweep frees a million. */
  readonly #nodes = new PagedArray<N | number>()
  #firstFree = NONE
  #reach = 0
  #taken = 0

  /** One more than the highest number ever given. */
  get reach (): number {
    return this.#reach
  }

  /** How many nodes are held. */
  get taken (): number {
    return this.#taken
  }

  take (node: N): void {
    node.slot = this.#firstFree
    if (node.slot === NONE) node.slot = this.#reach++
    else this.#firstFree = this.#nodes.get(node.slot) as number
    this.#nodes.set(node.slot, node)
    this.#taken++
  }

  release (node: N): void {
    this.#nodes.set(node.slot, this.#firstFree)
    this.#firstFree = node.slot
    this.#taken--
  }

  at (slot: number): N | undefined {
    const node = this.#nodes.get(slot)
    return typeof node === 'number' ? undefined : node
  }
}
