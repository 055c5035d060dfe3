/**
 * Gives every held node a small number that it keeps as long as it is held, so that a walk over all of them can stop
 * and go on later, however much comes and goes in between: what stays is met exactly once. Policies use the same
 * numbers as indexes of their typed arrays.
 */
export class Slots<N extends { slot: number }> {
  readonly #nodes: Array<N | undefined> = []
  readonly #free: number[] = []

  /** One more than the highest number ever given. */
  get reach (): number {
    return this.#nodes.length
  }

  take (node: N): void {
    node.slot = this.#free.pop() ?? this.#nodes.length
    this.#nodes[node.slot] = node
  }

  release (node: N): void {
    this.#nodes[node.slot] = undefined
    this.#free.push(node.slot)
  }

  at (slot: number): N | undefined {
    return this.#nodes[slot]
  }
}
