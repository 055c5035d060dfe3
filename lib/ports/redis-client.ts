import type { EpochMs, Milliseconds } from '../clock.ts'

export type RedisArgument = string | number | Buffer
/** A command and its arguments: `['SET', key, value, 'PX', 1000]`. */
export type RedisCommand = readonly [name: string, ...args: RedisArgument[]]
/** What became of one command of a batch. */
export type RedisOutcome =
  | { readonly ok: true, readonly reply: unknown }
  | { readonly ok: false, readonly error: Error }

export interface RedisCallOptions {
  /** How long the caller waits for this call. @default the client's own deadline (200 ms) */
  readonly deadlineMs?: Milliseconds
}

export interface RedisScanPage {
  readonly keys: readonly string[]
  /** Hand it to the next call; `undefined` after the last page. */
  readonly cursor: string | undefined
}

/**
 * Redis as the adapters see it: standalone, Sentinel or Cluster, our own connection or one that was handed in. Every
 * call is guarded by a deadline and a circuit breaker, so it settles soon whatever Redis does; it rejects with
 * FST_ERR_CACHE_REDIS_UNAVAILABLE when there was no answer, and with the error of Redis itself (a `ReplyError`) when
 * that was the answer. A call that timed out may still have happened.
 */
export interface RedisClient {
  /** Whether a call has a chance: connected, and the breaker lets it pass. Ask first where a miss is the answer anyway. */
  readonly ready: boolean
  /** The same with the reason, for figures. `silent`: the circuit is open; `away`: there is no connection. */
  readonly state: 'up' | 'silent' | 'away'
  readonly clustered: boolean
  /** One command, all of whose keys are in one slot; bulk replies are strings. */
  call: (command: RedisCommand, options?: RedisCallOptions) => Promise<unknown>
  /** The same with bulk replies as Buffers. */
  callBuffer: (command: RedisCommand, options?: RedisCallOptions) => Promise<unknown>
  /** Many commands in one round trip per node, bulk replies as Buffers, outcomes in order. Never rejects. */
  batch: (commands: readonly RedisCommand[], options?: RedisCallOptions) => Promise<RedisOutcome[]>
  /** A Lua script by its hash, sent in full when the server does not know it. `keys` are in one slot; bulk replies are strings. */
  script: (source: string, keys: readonly string[], args: readonly RedisArgument[], options?: RedisCallOptions) => Promise<unknown>
  /** One step of SCAN; goes through every master in turn. `match` is a Redis glob over whole key names. */
  scan: (cursor: string | undefined, match: string, count: number) => Promise<RedisScanPage>
  /** A connection of its own for messages. The caller closes it. */
  subscriber: () => RedisSubscriber
  /** Tells each change of `ready`; the answer stops it. */
  onChange: (listener: (ready: boolean) => void) => () => void
  /** The clock of the Redis server: the one that all instances share. Exact to about half a round trip. */
  now: () => EpochMs
}

export interface RedisSubscriberEvents {
  readonly message: (channel: string, message: Buffer) => void
  /** All channels are subscribed, for the first time or again: what was published in between did not arrive. */
  readonly subscribed: () => void
  /** The connection is gone; it is being made anew. */
  readonly lost: () => void
  /** Redis does not let us listen. It is asked again now and then. */
  readonly refused?: (error: Error) => void
}

/** A subscription that outlives its connections. Reconnects and subscribes again by itself. */
export interface RedisSubscriber {
  /** Begins to listen. Call it once. */
  start: (channels: readonly string[], events: RedisSubscriberEvents) => void
  /** Throws the connection away and makes a new one: for a peer that has gone silent. */
  reconnect: () => void
  close: () => Promise<void>
}

/** Answers by which Redis says that it cannot work now. */
export const CANNOT_WORK = /^(?:LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/

/** Whether Redis itself answered with this error. */
export function isReply (error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}
