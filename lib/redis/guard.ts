import type { Clock, Milliseconds } from '../clock.ts'
import { errors } from '../errors.ts'
import { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import { deadline } from '../resilience/deadline.ts'
import { isReply } from './commands.ts'

export interface GuardOptions {
  readonly clock: Clock
  /** How long a call may take. */
  readonly deadlineMs: Milliseconds
  /** Whether the client has a connection to send on. */
  readonly connected: () => boolean
  /** Asks whether Redis is alive. Only called while the circuit is open. */
  readonly probe: () => Promise<unknown>
  readonly onChange: () => void
}

/** Answers by which Redis says that it cannot work now; other errors of its own are the caller's to judge. */
const CANNOT_WORK = /^(LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)/

/** Each costs somebody a whole deadline, so few. */
const FAILURES_THAT_OPEN = 3

/** While the circuit is open, this often at first, and later less, Redis is asked whether it is back. */
const PROBE_MS = 250
const MAX_PROBE_MS = 2000

/**
 * Stands before every call. Nobody waits longer than the deadline, and while Redis does not answer nobody waits at all:
 * it is the guard itself, in the background, that finds out when it is back.
 */
export class Guard {
  readonly #options: GuardOptions
  readonly #breaker: CircuitBreaker
  #closed = false

  constructor (options: GuardOptions) {
    this.#options = options
    this.#breaker = new CircuitBreaker({
      clock: options.clock,
      threshold: FAILURES_THAT_OPEN,
      cooldownMs: PROBE_MS,
      maxCooldownMs: MAX_PROBE_MS,
      onChange: (state) => {
        if (state === 'open') this.#probeLater(PROBE_MS)
        if (state !== 'half-open') options.onChange()
      }
    })
  }

  /** Whether calls are let through, as far as the circuit is concerned. */
  get open (): boolean {
    return this.#breaker.state === 'closed'
  }

  /** Rejects with FST_ERR_CACHE_REDIS_UNAVAILABLE, or with the error that Redis answered. */
  run<T> (call: () => Promise<T>, deadlineMs: Milliseconds = this.#options.deadlineMs): Promise<T> {
    if (!this.#options.connected()) return Promise.reject(new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE('not connected'))
    if (!this.open) return Promise.reject(new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE('it does not answer; waiting for it to come back'))
    return this.#attempt(call, deadlineMs)
  }

  /** A new connection is there: what the last one did is forgotten. */
  reset (): void {
    this.#breaker.reset()
  }

  close (): void {
    this.#closed = true
  }

  /** As few promises as can be: every hit in Redis comes through here. */
  #attempt<T> (call: () => Promise<T>, deadlineMs: Milliseconds): Promise<T> {
    const late = (): Error => new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE(`no answer within ${deadlineMs} ms`)
    let answer: Promise<T>
    try { answer = call() } catch (error) { answer = Promise.reject(error) }
    return deadline(answer, deadlineMs, this.#options.clock, late).then(
      (result) => {
        this.#breaker.succeeded()
        return result
      },
      (error: unknown) => { throw this.#judge(error) }
    )
  }

  /** What the failure says about Redis, and the error for the caller. */
  #judge (error: unknown): unknown {
    if (isReply(error)) {
      if (CANNOT_WORK.test(error.message)) this.#breaker.failed()
      else this.#breaker.succeeded()
      return error
    }
    this.#breaker.failed()
    if (error instanceof errors.FST_ERR_CACHE_REDIS_UNAVAILABLE) return error
    return new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE(error instanceof Error ? error.message : String(error))
  }

  #probeLater (delayMs: Milliseconds): void {
    this.#options.clock.after(delayMs, () => {
      if (this.#closed || this.open) return
      if (!this.#options.connected() || !this.#breaker.admit().pass) {
        this.#probeLater(PROBE_MS)
        return
      }
      // A failed probe opens the circuit again, and that asks for the next one.
      this.#attempt(this.#options.probe, this.#options.deadlineMs).catch(() => {})
    })
  }
}
