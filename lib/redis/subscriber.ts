import type { Clock, Timer } from '../clock.ts'
import type { RedisSubscriber, RedisSubscriberEvents } from '../ports/redis-client.ts'
import { backoffMs } from '../resilience/backoff.ts'
import { closeClient } from './close.ts'
import { Redis } from './ioredis.ts'
import { subscriberOptions } from './options.ts'
import { isRefusal } from './permission.ts'
import { isCluster, type AnyRedis } from './source.ts'

/** What was refused will be refused again, until somebody changes it. */
const REFUSED_PAUSE_MS = 1000
const MAX_REFUSED_PAUSE_MS = 10_000

/**
 * Listens on a connection of its own, and makes another one whenever that is lost. On a Cluster any master will do: a
 * message published on one node reaches the subscribers of all.
 */
export class Subscriber implements RedisSubscriber {
  readonly #parent: AnyRedis
  readonly #clock: Clock
  readonly #onRefusal: (error: Error) => void
  #channels: readonly string[] = []
  #events: RedisSubscriberEvents | undefined
  #connection: Redis | undefined
  #retry: Timer | undefined
  #attempts = 0
  #subscribed = false
  #refused = false
  #closed = false

  constructor (parent: AnyRedis, clock: Clock, onRefusal: (error: Error) => void) {
    this.#parent = parent
    this.#clock = clock
    this.#onRefusal = onRefusal
  }

  start (channels: readonly string[], events: RedisSubscriberEvents): void {
    this.#channels = channels
    this.#events = events
    this.#connect()
  }

  reconnect (): void {
    const connection = this.#connection
    if (connection === undefined || this.#closed) return
    connection.disconnect()
    this.#lose(connection)
  }

  async close (): Promise<void> {
    this.#closed = true
    this.#retry?.cancel()
    const connection = this.#connection
    this.#connection = undefined
    if (connection !== undefined) await closeClient(connection, this.#clock)
  }

  #connect (): void {
    this.#retry = undefined
    const connection = this.#make()
    if (connection === undefined) {
      this.#again()
      return
    }
    this.#connection = connection
    // Whatever goes wrong ends in 'close'; without a listener ioredis would write to the console.
    connection.on('error', () => {})
    connection.on('close', () => { this.#lose(connection) })
    connection.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      if (this.#connection === connection) this.#events?.message(channel.toString(), message)
    })
    this.#subscribe(connection).catch((error: unknown) => {
      // For one that never was ioredis would wait two seconds, and the process with it.
      if (connection.status !== 'end') connection.disconnect()
      this.#refused = isRefusal(error)
      if (isRefusal(error) && this.#connection === connection) {
        this.#onRefusal(error)
        this.#events?.refused?.(error)
      }
      this.#lose(connection)
    })
  }

  #make (): Redis | undefined {
    if (!isCluster(this.#parent)) return this.#parent.duplicate({ ...subscriberOptions, keyPrefix: '' })
    const masters = this.#parent.nodes('master')
    const node = masters[Math.floor(Math.random() * masters.length)]
    return node === undefined ? undefined : new Redis({ ...node.options, ...subscriberOptions, keyPrefix: '' })
  }

  async #subscribe (connection: Redis): Promise<void> {
    await connection.connect()
    await connection.subscribe(...this.#channels)
    if (this.#connection !== connection) return
    this.#attempts = 0
    this.#refused = false
    this.#subscribed = true
    this.#events?.subscribed()
  }

  #lose (connection: Redis): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    if (this.#subscribed) this.#events?.lost()
    this.#subscribed = false
    this.#again()
  }

  #again (): void {
    if (this.#closed || this.#retry !== undefined) return
    const pauses = this.#refused ? { baseMs: REFUSED_PAUSE_MS, maxMs: MAX_REFUSED_PAUSE_MS } : {}
    this.#retry = this.#clock.after(backoffMs(++this.#attempts, { ...pauses, random: Math.random }), () => { this.#connect() })
  }
}
