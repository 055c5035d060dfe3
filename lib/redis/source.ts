import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis'
import type { Milliseconds } from '../clock.ts'
import { errors, shown } from '../errors.ts'
import { Cluster, Redis } from './ioredis.ts'
import { refuseUnknownRedis } from './known-options.ts'
import { leavingReplicas, ownClusterOptions, ownRedisOptions, SLOTS_REFRESH_MS, socketTimeoutMs } from './options.ts'
import { isRedisUrl, withoutSecrets } from './url.ts'

/** What an ioredis client has of which the cache can tell that it is one, whatever its version. */
export interface ForeignRedis {
  readonly status: string
  readonly options: { readonly keyPrefix?: string }
  pipeline: () => unknown
  duplicate: () => unknown
}

/**
 * Where Redis is: a URL, options of ioredis (host and port, a path, `sentinels` and `name`, `tls`, `username` …), the
 * nodes of a Cluster, or a client that the program already has, as `fastify.redis`. A client that was handed in is
 * used as it is and never closed. One with a `keyPrefix` only lends its address: the cache has a prefix of its own, and
 * SCAN would not know of the other.
 */
export type RedisSource =
  | string
  | RedisOptions & { readonly url?: string }
  | { readonly cluster: readonly ClusterNode[], readonly options?: ClusterOptions }
  | ForeignRedis

export type AnyRedis = Redis | Cluster

export interface Client {
  readonly client: AnyRedis
  /** Whether we made it, and so have to close it. */
  readonly own: boolean
  /** For messages: address without credentials. */
  readonly where: string
  /** How often a Cluster of ours is asked who has which slots. */
  readonly slotsRefreshMs?: Milliseconds
}

/**
 * @param deadlineMs of a single call: no connection may be given up before its calls are
 * @throws FST_ERR_CACHE_OPTION
 */
export function clientOf (source: RedisSource, deadlineMs: Milliseconds): Client {
  checkSource(source)
  const socketTimeout = socketTimeoutMs(deadlineMs)
  if (isForeign(source)) return borrowed(source as unknown as AnyRedis, socketTimeout)
  if (typeof source === 'object' && 'cluster' in source) {
    const nodes = [...source.cluster]
    const { slotsRefreshInterval: slotsRefreshMs = SLOTS_REFRESH_MS, redisOptions, ...others } = source.options ?? {}
    const options = { ...ownClusterOptions, ...others, redisOptions: { ...ownClusterOptions.redisOptions, socketTimeout, ...redisOptions } }
    return { client: new Cluster(nodes, options), own: true, where: 'the Redis Cluster', slotsRefreshMs }
  }
  const { url, ...options } = typeof source === 'string' ? { url: source } : source
  // Not before everything is checked; the connection wakes it.
  const all = { ...ownRedisOptions, socketTimeout, reconnectOnError: leavingReplicas(), ...options, lazyConnect: true }
  const client = url === undefined ? new Redis(all) : new Redis(url, all)
  checkDatabase(client.options.db)
  return { client, own: true, where: whereOf(client.options) }
}

const SOURCES = 'a client of ioredis, options of ioredis, { cluster: [nodes] }, or a URL'

/**
 * Whether it can be used; says nothing about whether anybody answers there.
 * @throws FST_ERR_CACHE_OPTION
 */
export function checkSource (source: unknown): void {
  if (typeof source === 'string') checkUrl('redis', source)
  else if (typeof source !== 'object' || source === null || Array.isArray(source)) throw new errors.FST_ERR_CACHE_OPTION('redis', shown(source), SOURCES)
  else if (!isForeign(source)) checkOptions(source)
}

function checkOptions (options: object): void {
  // Connecting to localhost is not what somebody meant whose settings are missing.
  if (Object.values(options).every((value) => value === undefined)) throw new errors.FST_ERR_CACHE_OPTION('redis', '{}', SOURCES)
  refuseUnknownRedis(options)
  if ('cluster' in options && (!Array.isArray(options.cluster) || options.cluster.length === 0)) throw new errors.FST_ERR_CACHE_OPTION('redis.cluster', shown(options.cluster), 'a list of at least one node')
  if ('sentinels' in options && options.sentinels !== undefined && !('name' in options && typeof options.name === 'string')) throw new errors.FST_ERR_CACHE_OPTION('redis.name', shown('name' in options ? options.name : undefined), 'the name by which the sentinels know the master')
  if ('url' in options && options.url !== undefined) checkUrl('redis.url', options.url)
}

function checkUrl (option: string, url: unknown): void {
  const isSocket = typeof url === 'string' && /^\/[^/]/.test(url)
  if (!isSocket && !isRedisUrl(url)) throw new errors.FST_ERR_CACHE_OPTION(option, typeof url === 'string' ? shown(withoutSecrets(url)) : shown(url), 'a URL redis://[user:password@]host[:port][/db], or the same with rediss://, where db is a number, or the path of a socket')
}

/** ioredis sends what is no number to Redis, and leaves the answer to nobody. */
function checkDatabase (db: unknown): void {
  if (db !== undefined && !(Number.isSafeInteger(db) && Number(db) >= 0)) throw new errors.FST_ERR_CACHE_OPTION('redis.db', shown(db), 'a whole number, 0 or more')
}

function isForeign (source: unknown): source is ForeignRedis {
  return typeof source === 'object' && source !== null && 'duplicate' in source && typeof source.duplicate === 'function' && 'pipeline' in source && typeof source.pipeline === 'function'
}

function borrowed (client: AnyRedis, socketTimeout: Milliseconds): Client {
  const where = isCluster(client) ? 'the Redis Cluster that was handed in' : whereOf(client.options)
  if (!isCluster(client)) checkDatabase(client.options.db)
  const { keyPrefix } = client.options
  if (keyPrefix === undefined || keyPrefix === '') return { client, own: false, where }
  if (isCluster(client)) return { client: client.duplicate([], { ...ownClusterOptions, keyPrefix: '', redisOptions: { ...ownClusterOptions.redisOptions, socketTimeout, keyPrefix: '' } }), own: true, where, slotsRefreshMs: SLOTS_REFRESH_MS }
  return { client: client.duplicate({ ...ownRedisOptions, socketTimeout, reconnectOnError: leavingReplicas(), keyPrefix: '' }), own: true, where }
}

export function isCluster (client: AnyRedis): client is Cluster {
  return client.isCluster
}

function whereOf ({ path, host, port, sentinels, name }: RedisOptions): string {
  if (sentinels !== undefined && sentinels !== null && sentinels.length > 0) return `the Sentinel master '${String(name)}'`
  return path ?? `${String(host)}:${String(port)}`
}
