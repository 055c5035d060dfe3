import { inspect } from 'node:util'
import type { Cluster } from 'ioredis'
import type { Clock, EpochMs, Milliseconds, Timer } from '../clock.ts'
import { errors } from '../errors.ts'
import { isReply, type RedisArgument, type RedisCallOptions, type RedisClient, type RedisCommand, type RedisOutcome, type RedisScanPage, type RedisSubscriber } from '../ports/redis-client.ts'
import { deadline } from '../resilience/deadline.ts'
import { closeClient } from './close.ts'
import { failure, send, sendBatch } from './commands.ts'
import { Guard } from './guard.ts'
import { retryDelayMs } from './options.ts'
import { isRefusal, keyTo, saysRefused } from './permission.ts'
import { scanStep } from './scan.ts'
import { runScript } from './scripts.ts'
import { createServerClock, type ServerClock } from './server-clock.ts'
import { isCluster, type AnyRedis, type Client } from './source.ts'
import { Subscriber } from './subscriber.ts'

export interface ConnectionSettings {
  readonly clock: Clock
  /** How long a single call may take. @default 200 */
  readonly deadlineMs?: Milliseconds
  /** Told each time Redis answers that its user may not do what was asked, or may not in at all. */
  readonly onRefusal?: (error: Error) => void
}

/** The commands of a batch on a Cluster have the deadline each; the batch as a whole gives them the time to reach it. */
const GRACE_MS = 50

/** How often the clock of the server is compared with ours. */
const SYNC_MS = 10_000

/**
 * One client, guarded. It is `ready` once the server has answered on the present connection (that a connection was
 * made says nothing: the kernel of a frozen server accepts too) and as long as the circuit is closed.
 */
export class RedisConnection implements RedisClient {
  /** The client itself, to hand on to others. */
  readonly raw: AnyRedis
  readonly where: string
  readonly clustered: boolean
  readonly #own: boolean
  readonly #clock: Clock
  readonly #deadlineMs: Milliseconds
  readonly #guard: Guard
  readonly #onRefusal: (error: Error) => void
  readonly #serverClock: ServerClock
  readonly #listeners = new Set<(ready: boolean) => void>()
  readonly #subscribers = new Set<Subscriber>()
  readonly #onReady = (): void => { this.#greet() }
  readonly #onClose = (): void => { this.#lost() }
  readonly #onEnd = (): void => { this.#connectAgain() }
  readonly #onError = (error: Error): void => { this.#troubled(error) }
  #answering = false
  #announced = false
  #closed = false
  #trouble: string | undefined
  #sync: Timer | undefined
  #slots: Timer | undefined
  #retry: Timer | undefined
  #attempts = 0

  constructor ({ client, own, where, slotsRefreshMs = 0 }: Client, { clock, deadlineMs = 200, onRefusal = () => {} }: ConnectionSettings) {
    this.raw = client
    this.where = where
    this.clustered = isCluster(client)
    this.#own = own
    this.#clock = clock
    this.#deadlineMs = deadlineMs
    this.#onRefusal = onRefusal
    this.#serverClock = createServerClock(clock, async () => await send(client, ['TIME'], false))
    this.#guard = new Guard({
      clock,
      deadlineMs,
      inOrder: !this.clustered,
      connected: () => this.#answering && !this.#closed,
      probe: async () => await send(client, ['PING'], false),
      onChange: () => { this.#announce() },
      onRefusal
    })
    client.on('ready', this.#onReady)
    client.on('close', this.#onClose)
    client.on('error', this.#onError)
    if (own) client.on('end', this.#onEnd)
    if (isCluster(client) && slotsRefreshMs > 0) this.#refreshSlots(client, slotsRefreshMs)
    if (client.status === 'ready') this.#greet()
    else if (client.status === 'wait') client.connect().catch(() => {})
  }

  get ready (): boolean {
    return this.#answering && this.#guard.open && !this.#closed
  }

  get state (): RedisClient['state'] {
    return this.ready ? 'up' : this.#guard.open ? 'away' : 'silent'
  }

  /** Why the client is not ready, for a message. */
  get trouble (): string {
    return this.#trouble ?? (this.#answering ? 'connected, but silent' : 'no connection')
  }

  call (command: RedisCommand, options?: RedisCallOptions): Promise<unknown> {
    return this.#guard.run(() => send(this.raw, command, false), options?.deadlineMs)
  }

  callBuffer (command: RedisCommand, options?: RedisCallOptions): Promise<unknown> {
    return this.#guard.run(() => send(this.raw, command, true), options?.deadlineMs)
  }

  async batch (commands: readonly RedisCommand[], options?: RedisCallOptions): Promise<RedisOutcome[]> {
    if (commands.length === 0) return []
    const deadlineMs = options?.deadlineMs ?? this.#deadlineMs
    const late = (): Error => new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE(`no answer within ${deadlineMs} ms`)
    try {
      return await this.#guard.run(async () => {
        const outcomes = await sendBatch(this.raw, commands, async (answer) => await deadline(answer, deadlineMs, this.#clock, late))
        for (const outcome of outcomes) if (!outcome.ok && isRefusal(outcome.error)) this.#onRefusal(outcome.error)
        // A lost connection fails every command alike, while the pipeline as such succeeds.
        const first = outcomes[0]
        if (first?.ok === false && !isReply(first.error) && outcomes.every(({ ok }) => !ok)) throw first.error
        return outcomes
      }, this.clustered ? deadlineMs + GRACE_MS : deadlineMs)
    } catch (error) {
      return commands.map(() => failure(error))
    }
  }

  async script (source: string, keys: readonly string[], args: readonly RedisArgument[], options?: RedisCallOptions): Promise<unknown> {
    return await this.#guard.run(async () => await runScript(this.raw, source, keys, args), options?.deadlineMs)
  }

  async scan (cursor: string | undefined, match: string, count: number): Promise<RedisScanPage> {
    return await this.#guard.run(async () => await scanStep(this.raw, cursor, match, count))
  }

  subscriber (): RedisSubscriber {
    const subscriber = new Subscriber(this.raw, this.#clock, this.#onRefusal)
    this.#subscribers.add(subscriber)
    return subscriber
  }

  onChange (listener: (ready: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  now (): EpochMs {
    return this.#serverClock.now()
  }

  /**
   * Waits until Redis is ready, or has had its chance; never rejects unless it is required.
   * @returns whether it is ready
   * @throws FST_ERR_CACHE_REDIS_REQUIRED
   */
  async opened ({ withinMs, required = false }: { withinMs: Milliseconds, required?: boolean }): Promise<boolean> {
    if (!this.ready) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          timer.cancel()
          stop()
          this.raw.off('close', refused)
          resolve()
        }
        // Nothing listens there: whoever can do without need not wait for the next attempt.
        const refused = (): void => { if (!required) done() }
        const timer = this.#clock.after(withinMs, done, { keepAlive: true })
        const stop = this.onChange((ready) => { if (ready) done() })
        this.raw.on('close', refused)
      })
    }
    if (!this.ready && required) throw new errors.FST_ERR_CACHE_REDIS_REQUIRED(this.where, withinMs, this.trouble)
    return this.ready
  }

  /** Bounded, whatever the server does. A client that was handed in stays as it was. */
  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#guard.close()
    this.#sync?.cancel()
    this.#slots?.cancel()
    this.raw.off('ready', this.#onReady)
    this.raw.off('close', this.#onClose)
    this.raw.off('end', this.#onEnd)
    this.#retry?.cancel()
    await Promise.all([...this.#subscribers].map(async (subscriber) => { await subscriber.close() }))
    if (this.#own) await closeClient(this.raw, this.#clock)
    this.raw.off('error', this.#onError)
  }

  /** What a log may show; the client itself knows the password. */
  toJSON (): { where: string, ready: boolean } {
    return { where: this.where, ready: this.ready }
  }

  [inspect.custom] (): unknown {
    return { RedisConnection: this.toJSON() }
  }

  /** The first words on a new connection are PING, which a server that loads its data or has lost its master does not answer, and TIME, for the clock. */
  #greet (): void {
    Promise.all([this.#chooseDatabase(), send(this.raw, ['PING'], false), this.#serverClock.sync(true)]).then(() => {
      if (this.#closed || this.raw.status !== 'ready') return
      this.#answering = true
      this.#attempts = 0
      this.#trouble = undefined
      this.#guard.reset()
      this.#announce()
      this.#syncLater()
    }, (error: unknown) => {
      this.#troubled(error)
      // Connected, but no answer yet (a server that loads its data, an ACL without TIME): ask again.
      if (!this.#closed && this.raw.status === 'ready') this.#clock.after(500, () => { if (!this.#answering && !this.#closed && this.raw.status === 'ready') this.#greet() })
    })
  }

  #troubled (error: unknown): void {
    this.#trouble = error instanceof Error ? error.message : undefined
    if (!this.#closed && error instanceof Error && (saysRefused(error.message) || keyTo(error.message) !== undefined)) this.#onRefusal(error)
  }

  /** ioredis goes on with database 0 when the server refuses the one that was asked for. */
  async #chooseDatabase (): Promise<void> {
    if (!this.#own || isCluster(this.raw)) return
    const { db = 0 } = this.raw.options
    if (db === 0) return
    try {
      await this.raw.select(db)
    } catch (error) {
      throw isReply(error) ? new errors.FST_ERR_CACHE_REDIS_UNAVAILABLE(`database ${db} cannot be selected (${error.message})`) : error
    }
  }

  #lost (): void {
    this.#answering = false
    this.#announce()
  }

  #connectAgain (): void {
    this.#retry = this.#clock.after(retryDelayMs(++this.#attempts), () => { this.raw.connect().catch(() => {}) })
  }

  #syncLater (): void {
    this.#sync?.cancel()
    this.#sync = this.#clock.after(SYNC_MS, () => {
      if (!this.#answering || this.#closed) return
      this.#guard.run(async () => { await this.#serverClock.sync(false) }).catch(() => {}).finally(() => { this.#syncLater() })
    })
  }

  /** ioredis has an interval for this, which goes on for ever when the client is closed while it asks. */
  #refreshSlots (cluster: Cluster, everyMs: Milliseconds): void {
    this.#slots = this.#clock.after(everyMs, () => {
      if (cluster.status === 'ready') cluster.refreshSlotsCache()
      this.#refreshSlots(cluster, everyMs)
    })
  }

  #announce (): void {
    // A connection that we close ourselves is no loss.
    if (this.#closed || this.#announced === this.ready) return
    this.#announced = this.ready
    for (const listener of this.#listeners) listener(this.#announced)
  }
}
