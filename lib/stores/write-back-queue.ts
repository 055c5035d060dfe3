import type { Clock, Milliseconds, Timer } from '../clock.ts'
import type { Fill } from '../ports/base-cache.ts'
import { deadline } from '../resilience/deadline.ts'

export interface WriteBackOptions {
  readonly clock: Clock
  /** Stores these; whatever a purge has overtaken since is refused there, by its ticket. */
  readonly store: (fills: readonly Fill[]) => Promise<unknown>
  /** Whether storing has a chance now. */
  readonly available: () => boolean
  /** Entries that wait at most. @default 10000 */
  readonly maxEntries?: number
  /** Bytes that wait at most. @default 16777216 (16 MB) */
  readonly maxBytes?: number
  /** Pause before what was queued is sent. @default 10 */
  readonly delayMs?: Milliseconds
}

/** One pipeline. */
const BATCH = 100
/** How often to look whether Redis is back. */
const AWAY_MS = 250

/**
 * Entries on their way to Redis. A later fill of a key takes the place of the earlier one; when there is no room the
 * oldest goes, because it is the first to expire. What is lost here is a copy, never a purge.
 */
export class WriteBackQueue {
  readonly #options: WriteBackOptions
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #waiting = new Map<string, Fill>()
  #bytes = 0
  #dropped = 0
  #timer: Timer | undefined
  #sending: Promise<void> | undefined

  constructor (options: WriteBackOptions) {
    this.#options = options
    this.#maxEntries = options.maxEntries ?? 10_000
    this.#maxBytes = options.maxBytes ?? 16 * 1024 * 1024
  }

  get size (): number {
    return this.#waiting.size
  }

  get bytes (): number {
    return this.#bytes
  }

  /** How many had to make room. */
  get dropped (): number {
    return this.#dropped
  }

  push (fill: Fill): void {
    const [key, entry] = fill
    this.cancel(key)
    this.#waiting.set(key, fill)
    this.#bytes += entry.bytes
    while (this.#waiting.size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const [oldest = key] = this.#waiting.keys()
      this.cancel(oldest)
      this.#dropped++
    }
    this.#later(this.#options.delayMs ?? 10)
  }

  /** The fill of this key is not wanted any more. */
  cancel (key: string): void {
    const fill = this.#waiting.get(key)
    if (fill === undefined) return
    this.#waiting.delete(key)
    this.#bytes -= fill[1].bytes
  }

  clear (): void {
    this.#waiting.clear()
    this.#bytes = 0
  }

  /** Sends what waits now, if Redis is there, for at most `withinMs`. Never rejects. */
  async drain (withinMs: Milliseconds): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    await deadline(this.#sendAll(), withinMs, this.#options.clock, () => new Error('too late')).catch(() => {})
  }

  /** Ends the queue, after one last attempt to empty it. */
  async close (withinMs: Milliseconds): Promise<void> {
    await this.drain(withinMs)
    this.clear()
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #later (delayMs: Milliseconds): void {
    if (this.#timer !== undefined || this.#sending !== undefined) return
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined
      this.#sendAll().catch(() => {}).finally(() => { if (this.#waiting.size > 0) this.#later(AWAY_MS) })
    })
  }

  async #sendAll (): Promise<void> {
    this.#sending ??= this.#send().finally(() => { this.#sending = undefined })
    await this.#sending
  }

  async #send (): Promise<void> {
    while (this.#waiting.size > 0 && this.#options.available()) {
      const batch = [...this.#waiting.values()].slice(0, BATCH)
      for (const [key] of batch) this.cancel(key)
      await this.#options.store(batch)
    }
  }
}
