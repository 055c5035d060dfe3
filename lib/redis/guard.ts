import type { Clock, Milliseconds, Timer } from '../clock.ts'
import { errors } from '../errors.ts'
import { CANNOT_WORK, isReply } from '../ports/redis-client.ts'
import { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import { deadline } from '../resilience/deadline.ts'
import { isRefusal } from './permission.ts'

export interface GuardOptions {
  readonly clock: Clock
  /** How long a call may take. */
  readonly deadlineMs: Milliseconds
  /** Whether answers come in the order of the calls, as they do on a single connection. */
  readonly inOrder: boolean
  /** Whether the client has a connection to send on. */
  readonly connected: () => boolean
  /** Asks whether Redis is alive. Only called while the circuit is open. */
  readonly probe: () => Promise<unknown>
  readonly onChange: () => void
  /** Told of each answer by which Redis says that its user may not do that. */
  readonly onRefusal?: (error: Error) => void
}

/** Those without an answer cost somebody a whole deadline each, so few. */
const FAILURES_THAT_OPEN = 3

/** While the circuit is open, this often at first, and later less, Redis is asked whether it is back. */
const PROBE_MS = 250
const MAX_PROBE_MS = 2000

/**
 * Stands before every call. Nobody waits longer than the deadline, and while Redis does not answer nobody waits at all:
 * it is the guard itself, in the background, that finds out when it is back.
 *
 * Redis answers the calls of a connection in their order. So while one answer is overdue, nothing that is sent behind it
 * can be answered either: the first call that is late opens the circuit, and the answer that comes after all is the sign
 * to ask whether Redis is back. What keeps it busy for a moment (a fork, a large value) is over with its answer, not with
 * a pause. A Cluster has a connection to each node, and the others go on: there it takes several calls in a row.
 */
export class Guard {
  readonly #options: GuardOptions
  readonly #breaker: CircuitBreaker
  /**
   * The calls under way, where one answer that is overdue keeps those behind it waiting. They are overdue in their order, so
   * all that are left when one is are behind it; those that were given more time may be in front, and keep it.
   */
  readonly #waiting = new Set<(error: Error) => void>()
  #next: Timer | undefined
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
    this.#next?.cancel()
  }

  /** As few promises as can be: every hit in Redis comes through here. */
  #attempt<T> (call: () => Promise<T>, deadlineMs: Milliseconds): Promise<T> {
    const late = (): Error => {
      if (this.#options.inOrder) this.#overdue(answer)
      return new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE(`no answer within ${deadlineMs} ms`)
    }
    let answer: Promise<T>
    try { answer = call() } catch (error) { answer = Promise.reject(error) }
    return deadline(answer, deadlineMs, this.#options.clock, late, this.#options.inOrder && deadlineMs <= this.#options.deadlineMs ? this.#waiting : undefined).then(
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
      // Other errors of its own are the caller's to judge.
      if (CANNOT_WORK.test(error.message)) this.#breaker.failed()
      else this.#breaker.succeeded()
      if (isRefusal(error)) this.#options.onRefusal?.(error)
      return error
    }
    this.#breaker.failed()
    if (error instanceof errors.FST_ERR_CACHE_REDIS_UNAVAILABLE) return error
    return new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE(error instanceof Error ? error.message : String(error))
  }

  #overdue (answer: Promise<unknown>): void {
    this.#breaker.tripped()
    const behind = [...this.#waiting]
    this.#waiting.clear()
    for (const giveUp of behind) giveUp(new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE('an earlier answer is overdue'))
    const answered = (): void => {
      this.#breaker.stirred()
      this.#probe()
    }
    // A connection that breaks has answered nothing.
    answer.then(answered, (error: unknown) => { if (isReply(error)) answered() })
  }

  #probeLater (delayMs: Milliseconds): void {
    this.#next?.cancel()
    this.#next = this.#options.clock.after(delayMs, () => { this.#probe() })
  }

  #probe (): void {
    if (this.#closed || this.open) return
    if (!this.#options.connected() || !this.#breaker.admit().pass) {
      this.#probeLater(PROBE_MS)
      return
    }
    // A failed probe opens the circuit again, and that asks for the next one.
    this.#attempt(this.#options.probe, this.#options.deadlineMs).catch(() => {})
  }
}
