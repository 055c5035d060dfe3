import type { Clock, EpochMs, Milliseconds } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { Mark } from '../keyspace/mark.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { PurgeReach, Validity } from '../ports/invalidation-log.ts'
import type { RedisClient } from '../ports/redis-client.ts'
import { saysReadOnly } from '../redis/permission.ts'
import { within } from '../resilience/within.ts'
import { Outbox } from './outbox.ts'
import type { PurgeScope } from './purge-scope.ts'
import type { Rights } from './rights.ts'
import type { PlacedRecord, StreamLog } from './stream-log.ts'
import { Waiters } from './waiters.ts'
import { encodeRecord } from './wire-record.ts'

export interface LogWriterParts {
  readonly client: RedisClient
  readonly clock: Clock
  readonly sender: string
  readonly log: StreamLog
  readonly maxQueued: number
  readonly deadlineMs: Milliseconds
  /** So long a Redis may be read-only before it is told: while masters change, one is for a moment. */
  readonly patienceMs: Milliseconds
  readonly rights: Rights
  /** The newest record that this process has applied. */
  readonly position: () => Position
  /** These have their places in the log, the last one is ours. */
  readonly onWritten: (records: readonly PlacedRecord[]) => void
  /** Redis would not write down a record of ours, and dropped the log. */
  readonly onUnlogged: () => void
  /** `readOnly` has changed. */
  readonly onReadOnly: () => void
}

/**
 * Brings the purges of this process into the shared log: one record under way at a time, and whatever comes meanwhile
 * goes into the next. So a lone purge leaves at once, a flood travels in large batches, and neither needs a timer.
 * A record may be written twice (its answer was lost, so it is sent again); a purge does no harm twice.
 */
export class LogWriter {
  readonly #parts: LogWriterParts
  readonly #outbox: Outbox
  readonly #waiters: Waiters
  /** Written, but not yet part of the history that we have read. */
  readonly #unconfirmed: Array<{ readonly at: Position, readonly upTo: number }> = []
  #number = 0
  #drained: Promise<void> | undefined
  #closed = false
  #unlogged = 0
  #refusedSinceMs: EpochMs | undefined
  #readOnly: string | undefined

  constructor (parts: LogWriterParts) {
    this.#parts = parts
    this.#outbox = new Outbox(parts.maxQueued)
    this.#waiters = new Waiters(parts.clock, parts.deadlineMs)
  }

  get queued (): number { return this.#outbox.size }
  /** How many records were sent. */
  get sent (): number { return this.#number }
  get unlogged (): number { return this.#unlogged }
  /** What a Redis said that has been read-only for long. */
  get readOnly (): string | undefined { return this.#readOnly }

  append (scope: PurgeScope): MaybePromise<PurgeReach> {
    if (this.#closed) return 'here'
    const n = this.#outbox.add(scope, this.#parts.clock.now())
    if (!this.#canSend) return 'here'
    const reach = this.#waiters.wait(n)
    this.pump()
    return reach
  }

  get #canSend (): boolean { return this.#parts.client.ready && this.#parts.rights.mayTry('append') }

  /** What the purges that are not part of the shared history yet do to an entry from Redis. */
  judge (key: string, marks: readonly Mark[]): Validity {
    return this.#outbox.judge(key, marks)
  }

  /** The shared history has come this far. */
  confirm (position: Position): void {
    for (let first = this.#unconfirmed[0]; first !== undefined && isReached(first.at, position); first = this.#unconfirmed[0]) {
      this.#outbox.release(first.upTo)
      this.#unconfirmed.shift()
    }
  }

  /** Sends what waits, if Redis can be reached. */
  pump (): void {
    if (this.#drained === undefined && !this.#closed && this.#outbox.size > 0 && this.#canSend) this.#drained = this.#drain()
  }

  /**
   * Sends what it can within the deadline, and waits so long for a Redis that was there before; one that never was is
   * not waited for.
   * @returns what is lost with the process, in words: other instances keep old copies of it until these expire
   */
  async close (): Promise<string> {
    const { client, clock, deadlineMs, position, rights } = this.#parts
    const untilMs = clock.now() + deadlineMs
    rights.tryAll()
    if (this.#outbox.size > 0 && position().epoch > 0) {
      await within(isReady(client), untilMs, clock, undefined)
      this.pump()
    }
    if (this.#drained !== undefined) await within(this.#drained, untilMs, clock, undefined)
    this.#closed = true
    this.#waiters.giveUp()
    return this.#outbox.words
  }

  async #drain (): Promise<void> {
    // Let the rest of this turn's purges come along.
    await Promise.resolve()
    try {
      while (!this.#closed && this.#outbox.size > 0 && this.#canSend) await this.#sendBatch()
      this.#refusedSinceMs = undefined
      this.#tellReadOnly(undefined)
    } catch (error) {
      // Whatever it is (no answer, read-only, no permission), the names stay queued; a heartbeat tries again.
      this.#noteReadOnly(error)
    } finally {
      this.#drained = undefined
    }
    if (this.#outbox.size > 0) this.#waiters.giveUp()
  }

  #noteReadOnly (error: unknown): void {
    const { clock, patienceMs } = this.#parts
    if (!(error instanceof Error) || !saysReadOnly(error.message)) return
    this.#refusedSinceMs ??= clock.now()
    if (clock.now() - this.#refusedSinceMs >= patienceMs) this.#tellReadOnly(error.message)
  }

  #tellReadOnly (why: string | undefined): void {
    const isNews = (why === undefined) !== (this.#readOnly === undefined)
    this.#readOnly = why
    if (isNews) this.#parts.onReadOnly()
  }

  async #sendBatch (): Promise<void> {
    const { log, sender, position, onWritten, onUnlogged } = this.#parts
    const { scopes, upTo } = this.#outbox.take()
    const text = encodeRecord(sender, ++this.#number, scopes)
    const { at, between } = await log.append(text, position())
    this.#outbox.sent(upTo)
    // Without a log every entry in Redis is distrusted, until an epoch later than ours begins.
    this.#unconfirmed.push({ at: at ?? { epoch: position().epoch + 1, seq: 0 }, upTo })
    if (at === undefined) {
      this.#unlogged++
      onUnlogged()
    } else {
      onWritten([...between, [at, text]])
    }
    this.#waiters.reached(upTo)
  }
}

async function isReady (client: RedisClient): Promise<void> {
  if (client.ready) return
  await new Promise<void>((resolve) => {
    const stop = client.onChange((ready) => {
      if (!ready) return
      stop()
      resolve()
    })
  })
}

function isReached (at: Position, position: Position): boolean {
  return position.epoch > at.epoch || (position.epoch === at.epoch && position.seq >= at.seq)
}
