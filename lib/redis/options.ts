import type { ClusterOptions, RedisOptions } from 'ioredis'

import type { Milliseconds } from '../clock.ts'
import { backoffMs } from '../resilience/backoff.ts'

/** Up to 1.1 s; ioredis would wait 5 s, and be blind for as long after Redis has come back. */
export const retryDelayMs = (attempt: number): number => backoffMs(attempt, { random: Math.random })

/** The only option that replaces a connection whose peer has gone silent. Some calls may be late before that is believed. */
export const socketTimeoutMs = (deadlineMs: Milliseconds): Milliseconds => Math.max(1000, 5 * deadlineMs)

/**
 * How a connection that belongs to the cache differs from an ioredis connection with its defaults, under which a GET
 * waits 73 s when the server is down and for ever when it is frozen. The deadline of each single call is the guard's.
 */
export const ownRedisOptions: RedisOptions = {
  // A command that cannot be sent now fails now. A queued SET would be applied after the reconnection, late and stale.
  enableOfflineQueue: false,
  // A command whose answer was lost fails instead of being sent again: it may have been applied already.
  maxRetriesPerRequest: 0,
  // Asks by INFO, and prints a line where the user may not; the connection asks by PING.
  enableReadyCheck: false,
  socketTimeout: socketTimeoutMs(200),
  // A cache that takes longer to reach than this is no help.
  connectTimeout: 1000,
  // ioredis waits so long for a stream to close, one that has closed before as well, and a script lives on meanwhile.
  disconnectTimeout: 100,
  // A server that loads its data says how long that will take, and is wrong by seconds; ioredis would believe it for up to ten.
  maxLoadingRetryTime: 500,
  // The connection makes the next attempt itself: a timer of ioredis would keep a process alive that has nothing left to do.
  retryStrategy: () => null,
  // Follows the switch of a master that hangs instead of dying; one connection more to each sentinel.
  failoverDetector: true,
  sentinelRetryStrategy: retryDelayMs,
  sentinelReconnectStrategy: retryDelayMs
}

/** Every answer of a pipeline would ask for a new connection. */
const LEAVE_AGAIN_MS = 1000

/** A master that has become a replica refuses writes for ever on this connection; a new one finds its successor. For one client. */
export function leavingReplicas (): NonNullable<RedisOptions['reconnectOnError']> {
  let leftAtMs = Number.NEGATIVE_INFINITY
  return (error) => {
    const nowMs = performance.now()
    if (!/^(READONLY|MASTERDOWN)/.test(error.message) || nowMs - leftAtMs < LEAVE_AGAIN_MS) return false
    leftAtMs = nowMs
    // Reconnect only: to resend (2) could apply a command twice.
    return 1
  }
}

/** A node that hangs sends no MOVED; only asking the others tells that it was replaced. */
export const SLOTS_REFRESH_MS: Milliseconds = 2000

export const ownClusterOptions: ClusterOptions = {
  // Here, not within redisOptions, where it has no effect.
  enableOfflineQueue: false,
  clusterRetryStrategy: retryDelayMs,
  // Splits by node what is sent in one turn, where an explicit pipeline would have to stay on one node.
  enableAutoPipelining: true,
  slotsRefreshTimeout: 1000,
  // The connection asks itself.
  slotsRefreshInterval: 0,
  // One redirection, and one more for a cluster that moves slots right now.
  maxRedirections: 3,
  redisOptions: {
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    socketTimeout: socketTimeoutMs(200),
    connectTimeout: 1000,
    disconnectTimeout: 100,
    maxLoadingRetryTime: 500
  }
}

/**
 * For the connection that only listens. It is made anew by its owner whenever it is lost, because the owner has to know
 * about each gap; ioredis would reconnect and subscribe again without a word.
 */
export const subscriberOptions: RedisOptions = {
  ...ownRedisOptions,
  lazyConnect: true,
  autoResubscribe: false,
  sentinelRetryStrategy: () => null
}
