import type { Clock, EpochMs, Milliseconds } from '../clock.ts'
import { isRefusal } from '../redis/permission.ts'
import { backoffMs } from '../resilience/backoff.ts'

/** `append` and `read` are the scripts as such; `write` is a record in the stream, `tell` its message, `echo` one to ourselves, `listen` a subscription. */
export type Right = 'append' | 'read' | 'write' | 'tell' | 'echo' | 'listen'

interface Refusal { readonly why: string, readonly attempts: number, readonly againAtMs: EpochMs }

export interface RightsParts {
  readonly clock: Clock
  /** Before what was refused is tried again; the pause doubles, up to ten times this. */
  readonly pauseMs: Milliseconds
  /** Told when there is something that we may not do, and when there is nothing any more: `undefined`. */
  readonly onRefusal: (why: string | undefined) => void
}

/**
 * What Redis does not let us do with the log, for want of a permission. That is another thing than a Redis that is away: it
 * answers at once, and goes on to refuse until somebody changes its mind; so it is asked less and less often, and at once
 * when another right has come.
 */
export class Rights {
  readonly #parts: RightsParts
  readonly #refusals = new Map<Right, Refusal>()

  constructor (parts: RightsParts) {
    this.#parts = parts
  }

  /** What Redis said to it, if there is something that we may not do. */
  get refusal (): string | undefined {
    return this.#refusals.values().next().value?.why
  }

  has (right: Right): boolean {
    return !this.#refusals.has(right)
  }

  /** Whether it is not known to be in vain. */
  mayTry (right: Right): boolean {
    const refusal = this.#refusals.get(right)
    return refusal === undefined || this.#parts.clock.now() >= refusal.againAtMs
  }

  refused (right: Right, why: string): void {
    const { clock, pauseMs, onRefusal } = this.#parts
    const wereAll = this.#refusals.size === 0
    const attempts = (this.#refusals.get(right)?.attempts ?? 0) + 1
    this.#refusals.set(right, { why, attempts, againAtMs: clock.now() + backoffMs(attempts, { baseMs: pauseMs, maxMs: 10 * pauseMs, random: () => 0 }) })
    if (wereAll) onRefusal(why)
  }

  granted (right: Right): void {
    if (!this.#refusals.delete(right)) return
    this.tryAll()
    if (this.#refusals.size === 0) this.#parts.onRefusal(undefined)
  }

  /** Something has changed: whatever was refused may be granted now. */
  tryAll (): void {
    for (const [right, { why }] of this.#refusals) this.#refusals.set(right, { why, attempts: 0, againAtMs: 0 })
  }

  /** Notes what became of the task. */
  async ask<T> (right: Right, task: () => Promise<T>): Promise<T> {
    try {
      const answer = await task()
      this.granted(right)
      return answer
    } catch (error) {
      if (isRefusal(error)) this.refused(right, error.message)
      throw error
    }
  }
}
