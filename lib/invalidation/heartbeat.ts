import type { Clock, EpochMs, Milliseconds, Timer } from '../clock.ts'

export interface HeartbeatParts {
  readonly clock: Clock
  readonly intervalMs: Milliseconds
  /** Silence of this length is a fault. */
  readonly patienceMs: Milliseconds
  /** Sends a message to ourselves. */
  readonly beat: () => void
  /** The messages that we send ourselves do not arrive. */
  readonly onSilence: () => void
  /** This process stood still (stopped, swapped out, a blocked event loop), so whatever it knows is old. */
  readonly onThaw: () => void
}

/**
 * Two faults show in nothing but the passage of time. A half-open subscriber raises no event at all, so each instance
 * listens for its own echo. And a process that was frozen goes on as if nothing had been, so the clock is looked at
 * before anything is served (`checkFrozen`), because that may come before the first timer.
 */
export class Heartbeat {
  readonly #parts: HeartbeatParts
  #timer: Timer | undefined
  #tickedAtMs: EpochMs
  #echoedAtMs: EpochMs

  constructor (parts: HeartbeatParts) {
    this.#parts = parts
    this.#tickedAtMs = this.#echoedAtMs = parts.clock.now()
  }

  start (): void {
    this.#timer = this.#parts.clock.after(this.#parts.intervalMs, () => { this.#tick() })
  }

  stop (): void {
    this.#timer?.cancel()
  }

  /** Our own message came back. */
  echo (): void {
    this.#echoedAtMs = this.#parts.clock.now()
  }

  /** Cheap enough for every read. */
  checkFrozen (): void {
    const nowMs = this.#parts.clock.now()
    // A clock that was set back is as bad as one that stood still.
    if (Math.abs(nowMs - this.#tickedAtMs) <= this.#parts.patienceMs) return
    this.#tickedAtMs = this.#echoedAtMs = nowMs
    this.#parts.onThaw()
  }

  #tick (): void {
    this.checkFrozen()
    const nowMs = this.#parts.clock.now()
    this.#tickedAtMs = nowMs
    if (nowMs - this.#echoedAtMs > this.#parts.patienceMs) {
      this.#echoedAtMs = nowMs
      this.#parts.onSilence()
    }
    this.#parts.beat()
    this.start()
  }
}
