import type { Clock, Milliseconds } from '../clock.ts'
import { errors } from '../errors.ts'
import type { CacheEventHub } from '../events.ts'
import { chain, type MaybePromise } from '../maybe-promise.ts'
import type { InvalidationLog, PurgeReach, PurgeRecord } from '../ports/invalidation-log.ts'
import { backoffMs } from '../resilience/backoff.ts'
import { deadline } from '../resilience/deadline.ts'
import type { HandPurgeOn } from './cdn-options.ts'
import { HandedPurges } from './handed-purges.ts'

export interface PurgeHandOffParts {
  readonly clock: Clock
  readonly random: () => number
  readonly events: CacheEventHub
  readonly handOn: HandPurgeOn
  /** Whether whoever purges waits until the CDN knows. */
  readonly wait: boolean
  readonly timeoutMs: Milliseconds
  /** Further attempts after one that failed, and the pause before the first of them. */
  readonly retryAttempts: number
  readonly retryDelayMs: Milliseconds
}

/**
 * Hands the purges that are made in this process on to a CDN in front, after they hold here: what the CDN fetches then is
 * new. One call at a time; what is purged meanwhile goes with the next one, so that a slow CDN gets few calls and not a
 * queue. Purges of other instances are handed on by those.
 */
export class PurgeHandOff {
  readonly #parts: PurgeHandOffParts
  #gathered = new HandedPurges()
  #next: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()
  #hurry = (): void => {}
  #closed = false

  constructor (parts: PurgeHandOffParts) {
    this.#parts = parts
  }

  /** The log, with what is appended to it handed on. */
  behind (log: InvalidationLog): InvalidationLog {
    const append = (record: PurgeRecord): MaybePromise<PurgeReach> => chain(log.append(record), (reach) => {
      const handed = this.#take(record)
      return this.#parts.wait ? handed.then(() => reach) : reach
    })
    return {
      get state () { return log.state },
      get queued () { return log.queued },
      get tip () { return log.tip },
      ticket: () => log.ticket(),
      judge: (key, marks, since) => log.judge(key, marks, since),
      judgeShared: (key, marks, asOf) => log.judgeShared(key, marks, asOf),
      softPurgedAtMs: (key, marks, since) => log.softPurgedAtMs(key, marks, since),
      append,
      sync: () => log.sync(),
      forget: (upTo) => { log.forget(upTo) },
      close: async () => {
        // One last attempt at once for what is left.
        this.#closed = true
        this.#hurry()
        await this.#next
        await this.#running
        await log.close()
      }
    }
  }

  /** Never rejects; resolves when the CDN knows, or when it cannot be told. */
  #take (record: PurgeRecord): Promise<void> {
    this.#gathered.add(record)
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      const purges = this.#gathered
      this.#gathered = new HandedPurges()
      this.#running = this.#hand(purges)
      return this.#running
    })
    return this.#next
  }

  async #hand (purges: HandedPurges): Promise<void> {
    if (purges.isEmpty) return
    const { events, retryAttempts } = this.#parts
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#attempt(purges)
        return
      } catch (error) {
        if (attempt > retryAttempts || this.#closed) {
          events.emit('fault', { where: 'handing a purge on', error })
          return
        }
        await this.#pause(attempt)
      }
    }
  }

  async #pause (attempt: number): Promise<void> {
    const { clock, random, retryDelayMs } = this.#parts
    await new Promise<void>((resolve) => {
      this.#hurry = resolve
      clock.after(backoffMs(attempt, { baseMs: retryDelayMs, random }), resolve, { keepAlive: true })
    })
  }

  async #attempt (purges: HandedPurges): Promise<void> {
    const { clock, handOn, timeoutMs } = this.#parts
    const controller = new AbortController()
    const answered = (async () => { await handOn(purges.toPurge(), { signal: controller.signal }) })()
    await deadline(answered, timeoutMs, clock, () => {
      controller.abort()
      return new errors.FST_ERR_CACHE_HAND_OFF(timeoutMs)
    })
  }
}
