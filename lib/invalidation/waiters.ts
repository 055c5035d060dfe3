import type { Clock, EpochMs, Milliseconds, Timer } from '../clock.ts'
import type { PurgeReach } from '../ports/invalidation-log.ts'

interface Waiter { readonly n: number, readonly untilMs: EpochMs, readonly settle: (reach: PurgeReach) => void }

/** Callers who want to hear how far their purge got. They come in the order of their numbers, and none waits longer than the deadline. */
export class Waiters {
  readonly #clock: Clock
  readonly #deadlineMs: Milliseconds
  #waiting: Waiter[] = []
  #timer: Timer | undefined

  constructor (clock: Clock, deadlineMs: Milliseconds) {
    this.#clock = clock
    this.#deadlineMs = deadlineMs
  }

  /** Resolves when everything up to `n` has been written down, or cannot be for now. */
  async wait (n: number): Promise<PurgeReach> {
    return await new Promise((resolve) => {
      this.#waiting.push({ n, untilMs: this.#clock.now() + this.#deadlineMs, settle: resolve })
      this.#timer ??= this.#arm(this.#deadlineMs)
    })
  }

  reached (n: number): void {
    this.#settle('everywhere', (waiter) => waiter.n <= n)
  }

  giveUp (): void {
    this.#settle('here', () => true)
  }

  #settle (reach: PurgeReach, due: (waiter: Waiter) => boolean): void {
    const end = this.#waiting.findIndex((waiter) => !due(waiter))
    const settled = this.#waiting.splice(0, end === -1 ? this.#waiting.length : end)
    if (this.#waiting.length === 0) {
      this.#timer?.cancel()
      this.#timer = undefined
    }
    for (const { settle } of settled) settle(reach)
  }

  /** One timer serves all: whoever came first is due first. */
  #arm (delayMs: Milliseconds): Timer {
    return this.#clock.after(delayMs, () => {
      this.#timer = undefined
      const nowMs = this.#clock.now()
      this.#settle('here', ({ untilMs }) => untilMs <= nowMs)
      const first = this.#waiting[0]
      if (first !== undefined) this.#timer ??= this.#arm(first.untilMs - nowMs)
    }, { keepAlive: true })
  }
}
