import type { OnDisplaced } from './bounded-map.ts'

/**
 * Nodes that had to make room while a call was under way. They are reported when its books are closed again, since
 * the listener may come back with another call.
 */
export class Displaced<N> {
  readonly #listener: OnDisplaced<N>
  #waiting: Array<{ node: N, cause: 'entries' | 'bytes' }> = []

  constructor (listener: OnDisplaced<N>) {
    this.#listener = listener
  }

  note (node: N, cause: 'entries' | 'bytes'): void {
    this.#waiting.push({ node, cause })
  }

  report (): void {
    if (this.#waiting.length === 0) return
    const reported = this.#waiting
    this.#waiting = []
    for (const { node, cause } of reported) this.#listener(node, cause)
  }
}
