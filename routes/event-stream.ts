import { Readable } from 'node:stream'
import type { Clock, Milliseconds, Timer } from '../lib/clock.ts'

export interface EventStreamOptions {
  readonly clock: Clock
  /** Pause after which a comment is sent, so that no proxy takes the silence for the end. @default 15000 */
  readonly heartbeatMs?: Milliseconds
  /** Shortest pause between two events of one name. @default 100 */
  readonly everyMs?: Milliseconds
}

/**
 * Server-sent events as the body of a response. Of events that come faster than they are read only the latest of each
 * name is kept, so that a slow client costs no memory. Closed by whoever writes, and by the client when it leaves.
 */
export class EventStream extends Readable {
  readonly #clock: Clock
  readonly #heartbeatMs: Milliseconds
  readonly #everyMs: Milliseconds
  readonly #waiting = new Map<string, object>()
  /** Beats until the end. */
  #heartbeat: Timer | undefined
  #pause: Timer | undefined
  #hungry = false

  constructor ({ clock, heartbeatMs = 15_000, everyMs = 100 }: EventStreamOptions) {
    super({ highWaterMark: 1 })
    this.#clock = clock
    this.#heartbeatMs = heartbeatMs
    this.#everyMs = everyMs
    // At once, so that the client has its headers before there is anything to tell.
    this.push(': \n\n')
    this.#beat()
  }

  /** Sends an event, unless a later one of its name comes first. */
  tell (name: string, data: object): void {
    if (this.#heartbeat === undefined) return
    this.#waiting.set(name, data)
    this.#flush()
  }

  /** Sends what waits, then this, and ends. */
  finish (name: string, data: object): void {
    if (this.#heartbeat === undefined) return
    this.#waiting.set(name, data)
    this.#send()
    this.end()
  }

  /** Ends without another word. */
  end (): void {
    if (this.#heartbeat === undefined) return
    this.#stop()
    this.push(null)
  }

  override _read (): void {
    this.#hungry = true
    this.#flush()
  }

  override _destroy (error: Error | null, done: (error?: Error | null) => void): void {
    this.#stop()
    done(error)
  }

  #flush (): void {
    if (!this.#hungry || this.#pause !== undefined || this.#waiting.size === 0) return
    this.#send()
    this.#pause = this.#clock.after(this.#everyMs, () => {
      this.#pause = undefined
      this.#flush()
    })
  }

  #send (): void {
    let text = ''
    for (const [name, data] of this.#waiting) text += `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
    this.#waiting.clear()
    this.#hungry = this.push(text)
  }

  #beat (): void {
    this.#heartbeat = this.#clock.after(this.#heartbeatMs, () => {
      if (this.#hungry) this.#hungry = this.push(': \n\n')
      this.#beat()
    })
  }

  #stop (): void {
    this.#heartbeat?.cancel()
    this.#heartbeat = undefined
    this.#pause?.cancel()
    this.#waiting.clear()
  }
}
