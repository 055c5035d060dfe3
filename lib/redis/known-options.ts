import type { ClusterOptions, RedisOptions } from 'ioredis'
import { refuseUnknown } from '../unknown-option.ts'

// By name, so that the compiler says what another version of ioredis has more or less of.

const ofRedis: Readonly<Record<keyof RedisOptions | 'url', true>> = {
  autoPipeliningIgnoredCommands: true,
  autoResendUnfulfilledCommands: true,
  autoResubscribe: true,
  blockingTimeout: true,
  blockingTimeoutGrace: true,
  clientInfoTag: true,
  commandQueue: true,
  commandTimeout: true,
  connectionName: true,
  Connector: true,
  connectTimeout: true,
  db: true,
  disableClientInfo: true,
  disconnectTimeout: true,
  enableAutoPipelining: true,
  enableOfflineQueue: true,
  enableReadyCheck: true,
  enableTLSForSentinelMode: true,
  failoverDetector: true,
  family: true,
  himportFieldsets: true,
  host: true,
  keepAlive: true,
  keyPrefix: true,
  lazyConnect: true,
  maxLoadingRetryTime: true,
  maxRetriesPerRequest: true,
  monitor: true,
  name: true,
  natMap: true,
  noDelay: true,
  offlineQueue: true,
  password: true,
  path: true,
  port: true,
  preferredSlaves: true,
  protocol: true,
  readOnly: true,
  reconnectOnError: true,
  replyMapping: true,
  retryStrategy: true,
  role: true,
  scripts: true,
  sentinelCommandTimeout: true,
  sentinelMaxConnections: true,
  sentinelPassword: true,
  sentinelReconnectStrategy: true,
  sentinelRetryStrategy: true,
  sentinels: true,
  sentinelTLS: true,
  sentinelUsername: true,
  showFriendlyErrorStack: true,
  socketTimeout: true,
  stringNumbers: true,
  tls: true,
  updateSentinels: true,
  url: true,
  username: true
}

const ofCluster: Readonly<Record<keyof ClusterOptions, true>> = {
  autoPipeliningIgnoredCommands: true,
  clusterNodeRetryStrategy: true,
  clusterRetryStrategy: true,
  dnsLookup: true,
  enableAutoPipelining: true,
  enableOfflineQueue: true,
  enableReadyCheck: true,
  himportFieldsets: true,
  keyPrefix: true,
  lazyConnect: true,
  maxRedirections: true,
  natMap: true,
  redisOptions: true,
  resolveSrv: true,
  retryDelayOnClusterDown: true,
  retryDelayOnFailover: true,
  retryDelayOnMoved: true,
  retryDelayOnTryAgain: true,
  scaleReads: true,
  scripts: true,
  shardedSubscribers: true,
  showFriendlyErrorStack: true,
  slotsRefreshInterval: true,
  slotsRefreshTimeout: true,
  useSRVRecords: true
}

const REDIS: ReadonlySet<string> = new Set(Object.keys(ofRedis))
const CLUSTER: ReadonlySet<string> = new Set(Object.keys(ofCluster))
const SOURCE: ReadonlySet<string> = new Set(['cluster', 'options'])

/**
 * ioredis takes every name without a word; with a misspelt one it connects to somewhere else, or with somebody else's name.
 * @throws FST_ERR_CACHE_OPTION_UNKNOWN
 */
export function refuseUnknownRedis (options: object): void {
  if (!('cluster' in options)) {
    refuseUnknown(options, REDIS, 'redis.')
    return
  }
  refuseUnknown(options, SOURCE, 'redis.')
  const { redisOptions, ...ofNodes } = ('options' in options ? options.options : undefined) as ClusterOptions | undefined ?? {}
  refuseUnknown(ofNodes, CLUSTER, 'redis.options.')
  refuseUnknown(redisOptions ?? {}, REDIS, 'redis.options.redisOptions.')
}
