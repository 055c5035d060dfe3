import type { Position } from '../entry.ts'

const MAX_KEPT = 4096

/**
 * Records that arrived while those before them were still being read from the log. Without this a busy log could not be
 * caught up with: there would always be a message that overtook the page.
 */
export class EarlyNews {
  #epoch = 0
  readonly #texts = new Map<number, string>()

  /** What does not fit is not kept; it will be missing, and that will be noticed. */
  keep ({ epoch, seq }: Position, text: string): void {
    if (epoch !== this.#epoch) this.#texts.clear()
    this.#epoch = epoch
    if (this.#texts.size < MAX_KEPT) this.#texts.set(seq, text)
  }

  /** The record behind this position, if it is here. */
  takeAfter ({ epoch, seq }: Position): string | undefined {
    if (epoch !== this.#epoch) return undefined
    const text = this.#texts.get(seq + 1)
    this.#texts.delete(seq + 1)
    return text
  }

  /** Forgets everything; answers whether something lay beyond this position. */
  clear ({ epoch, seq }: Position): boolean {
    const beyond = epoch === this.#epoch && [...this.#texts.keys()].some((kept) => kept > seq)
    this.#texts.clear()
    return beyond
  }
}
