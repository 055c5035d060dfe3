import { Ambient } from './ambient.ts'
import { applicationName } from './application-name.ts'
import { systemClock, toMs, type Clock } from './clock.ts'
import { checkCompression, type CompressionOptions } from './codec/compression.ts'
import { jsonSerializer, type ValueSerializer } from './codec/serializer.ts'
import { verbatimSerializer } from './codec/verbatim.ts'
import type { CacheConfig } from './config.ts'
import { checkCdn, type CdnOptions } from './engine/cdn-options.ts'
import { DependencyTracker } from './engine/dependencies.ts'
import type { EngineParts } from './engine/parts.ts'
import { PurgeHandOff, type PurgeHandOffParts } from './engine/purge-hand-off.ts'
import { errors, shown } from './errors.ts'
import { CacheEventHub } from './events.ts'
import { createLocalLog } from './invalidation/local-log.ts'
import { createRedisLog } from './invalidation/redis-log.ts'
import { Sharing } from './invalidation/sharing.ts'
import { createRedisLeases } from './leases/redis-leases.ts'
import type { BaseCache } from './ports/base-cache.ts'
import type { InvalidationLog } from './ports/invalidation-log.ts'
import type { StoreFactory, StoreParts } from './ports/store-factory.ts'
import { openRedis } from './redis/open.ts'
import { permissionLine } from './redis/permission.ts'
import { checkSource, type RedisSource } from './redis/source.ts'
import { refuseUnknown } from './unknown-option.ts'
import { StatsCounter } from './stats.ts'
import { HybridCache } from './stores/hybrid.ts'
import { MemoryCache } from './stores/memory.ts'
import { RedisCache } from './stores/redis.ts'

/** What a program may bring along instead of what the configuration would make. */
export interface CacheDeps {
  /** @default the system's */
  clock?: Clock
  /** A number from 0 up to 1. @default Math.random */
  random?: () => number
  /** How data values are kept. @default JSON */
  serializer?: ValueSerializer
  /** How bodies that go to Redis are compressed; from 1024 bytes on unless said otherwise; not beside `enableCompression: false`. @default brotli at quality 1 */
  compression?: CompressionOptions
  /** A Redis client (ioredis, Cluster, `fastify.redis`), options of one, or a URL. A client is used, never closed. @default `redisUrl` */
  redis?: RedisSource
  /** Makes the store, in the place of the memory of this process; the strategy is `memory`, whatever the environment says. @default `MemoryCache` */
  store?: StoreFactory
  /** The CDN in front: who tells it what was purged. @default none */
  cdn?: CdnOptions
}

/** The names of what may be brought along. */
export const DEPENDENCY_NAMES = ['clock', 'random', 'serializer', 'compression', 'redis', 'store', 'cdn'] as const satisfies ReadonlyArray<keyof CacheDeps>

type Stores = Pick<EngineParts, 'store' | 'log' | 'leases' | 'connection' | 'canStore' | 'open' | 'close'>
type Common = Pick<EngineParts, 'clock' | 'events' | 'serializer'>

const STORE_ALLOWED = 'a function that answers a BaseCache'
const STORE_METHODS = ['read', 'readMany', 'write', 'writeMany', 'remove', 'wipe', 'scan', 'usage', 'close', 'getStats'] as const satisfies ReadonlyArray<keyof BaseCache>

/** How long the start waits for Redis; after that the cache works without it until it comes. */
const CONNECT_MS = 500
/** The same where there is no going on without it. */
const CONNECT_REQUIRED_MS = 5000

/** Builds what `config` describes. The only place where the parts meet. */
export function compose (config: Readonly<CacheConfig>, deps: CacheDeps = {}): EngineParts {
  checkDeps(deps)
  if (deps.compression !== undefined && !config.enableCompression) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('compression', 'enableCompression: false', 'one says how to compress, the other not to')
  const clock = deps.clock ?? systemClock
  const events = new CacheEventHub()
  const serializer = deps.serializer ?? (config.enableSerialization ? jsonSerializer : verbatimSerializer)
  const common: Common = { clock, events, serializer }
  const random = deps.random ?? Math.random
  const stores = config.strategy === 'memory' ? inProcess(config, common, deps.store) : shared(config, common, deps)
  return {
    ...common,
    ...stores,
    log: handedOn(stores.log, config, deps.cdn, { clock, events, random }),
    stats: new StatsCounter(config.enableStats),
    patienceMs: toMs(config.redisTimeout),
    strict: isStrict(config),
    dependencies: new DependencyTracker(config.trackDependencies),
    warming: new Ambient(),
    random,
    scratchLog: (): InvalidationLog => createLocalLog({ clock }),
    defaults: {
      ttlMs: toMs(config.strategy === 'memory' ? config.memoryTtl : config.redisTtl),
      staleWhileRevalidateMs: toMs(config.staleWhileRevalidate),
      staleIfErrorMs: toMs(config.staleIfError),
      jitter: config.ttlJitter,
      loadTimeoutMs: toMs(config.loadTimeout)
    }
  }
}

/** In one process every purge is known. */
function isStrict ({ consistency, strategy }: Readonly<CacheConfig>): boolean {
  return consistency === 'strict' && strategy !== 'memory'
}

/** The log, and behind it the CDN, where there is one. */
function handedOn (log: InvalidationLog, config: Readonly<CacheConfig>, { purge, wait = false, timeout = 10 }: CdnOptions = {}, parts: Pick<PurgeHandOffParts, 'clock' | 'events' | 'random'>): InvalidationLog {
  if (purge === undefined) return log
  return new PurgeHandOff({ ...parts, handOn: purge, wait, timeoutMs: toMs(timeout), retryAttempts: config.retryAttempts, retryDelayMs: toMs(config.retryDelay) }).behind(log)
}

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
function checkDeps (deps: CacheDeps): void {
  refuseUnknown(deps, new Set<string>(DEPENDENCY_NAMES))
  const { clock, random, serializer, compression, redis, store, cdn } = deps
  if (clock !== undefined && !hasMethods(clock, ['now', 'after'])) throw new errors.FST_ERR_CACHE_OPTION('clock', shown(clock), 'an object with now() and after(delayMs, task)')
  if (random !== undefined && typeof random !== 'function') throw new errors.FST_ERR_CACHE_OPTION('random', shown(random), 'a function that answers a number from 0 up to 1')
  if (serializer !== undefined && !hasMethods(serializer, ['normalise', 'encode', 'decode', 'view'])) throw new errors.FST_ERR_CACHE_OPTION('serializer', shown(serializer), 'jsonSerializer, structuredSerializer, schemaSerializer(schema), or an object like these')
  if (compression !== undefined) checkCompression(compression)
  if (redis !== undefined) checkSource(redis)
  if (store !== undefined && typeof store !== 'function') throw new errors.FST_ERR_CACHE_OPTION('store', shown(store), STORE_ALLOWED)
  checkCdn(cdn)
}

function hasMethods (value: unknown, names: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && names.every((name) => typeof (value as Readonly<Record<string, unknown>>)[name] === 'function')
}

function inProcess (config: Readonly<CacheConfig>, common: Common, makeStore: StoreFactory | undefined): Stores {
  const log = createLocalLog({ clock: common.clock, maxRecords: config.maxInvalidations })
  const nothingToDo = async (): Promise<void> => {}
  const store = makeStore === undefined ? memory(config, common, log) : ownStore(makeStore(storeParts(config, common, log)))
  return { log, store, leases: undefined, connection: undefined, canStore: () => true, open: nothingToDo, close: nothingToDo }
}

function shared (config: Readonly<CacheConfig>, common: Common, { redis: source, compression = {} }: CacheDeps): Stores {
  const { clock, serializer } = common
  const prefix = config.redisPrefix ?? prefixOf(applicationName(process.argv[1], process.cwd()))
  const strict = isStrict(config)
  const client = openRedis(source ?? { url: addressOf(config), db: config.redisDb }, { clock, deadlineMs: toMs(config.redisTimeout), onRefusal: ({ message }) => { sharing.refused(message) } })
  const log = createRedisLog({
    client,
    clock,
    prefix,
    maxRecords: config.maxInvalidations,
    deadlineMs: toMs(config.redisTimeout),
    onState: () => { sharing.look() },
    onRefusal: (why) => { if (why === undefined) sharing.allowed(); else sharing.refused(why) },
    onLost: (purges) => {
      const error = new errors.FST_ERR_CACHE_PURGES_LOST(purges)
      if (common.events.heard('fault')) common.events.emit('fault', { where: 'closing', error })
      else process.emitWarning(error)
    }
  })
  const sharing: Sharing = new Sharing({
    client,
    log,
    cure: (kind) => permissionLine(client.raw, prefix, kind),
    onChange: (event) => { common.events.emit('connection', event) },
    onFault: (error) => { common.events.emit('fault', { where: 'redis', error }) }
  })
  client.onChange(() => { sharing.look() })
  const redis = new RedisCache({ client, clock, log, prefix, serializer, strict, maxEntryBytes: config.memoryMaxEntryBytes, retryAttempts: config.retryAttempts, retryDelayMs: toMs(config.retryDelay), compression: config.enableCompression ? compression : { codec: 'none' } })
  return {
    log,
    store: config.strategy === 'redis' ? redis : new HybridCache({ clock, log, redis, strict, memory: memory(config, common, log), memoryTtl: config.memoryTtl, writes: config.writePolicy, patienceMs: toMs(config.redisTimeout) }),
    leases: createRedisLeases({ client, clock, prefix }),
    connection: client,
    canStore: () => config.strategy === 'hybrid' || client.ready,
    open: async () => {
      // What is loaded before the place in the shared log is known could not be stored for others.
      if (await client.opened({ withinMs: config.redisRequired ? CONNECT_REQUIRED_MS : CONNECT_MS, required: config.redisRequired })) await log.sync()
    },
    close: async () => { await client.close() }
  }
}

/** Applications that find the same Redis, as on the machine of a developer, share nothing by accident; the instances of one do. */
function prefixOf (application: string | undefined): string {
  return application === undefined ? 'frc:' : `frc:${application.replaceAll(/[^\w@./-]/g, '-').slice(0, 100)}:`
}

/** ioredis believes what the URL says before what stands beside it. */
function addressOf ({ redisUrl, redisPassword }: Readonly<CacheConfig>): string {
  if (redisPassword === null) return redisUrl
  const url = new URL(redisUrl)
  // The setter leaves percent signs alone, and ioredis decodes them.
  url.password = encodeURIComponent(redisPassword)
  return url.href
}

function memory (config: Readonly<CacheConfig>, common: Common, log: InvalidationLog): MemoryCache {
  return new MemoryCache({ ...storeParts(config, common, log), evictionPolicy: config.evictionPolicy })
}

function storeParts (config: Readonly<CacheConfig>, { clock, events }: Common, log: InvalidationLog): StoreParts {
  return {
    log,
    clock,
    maxEntries: config.memoryMaxSize,
    maxBytes: config.memoryMaxBytes,
    maxEntryBytes: config.memoryMaxEntryBytes,
    onEvict: (key, entry, cause) => { if (events.heard('evict')) events.emit('evict', { key, cause, atMs: clock.now(), bytes: entry.bytes }) }
  }
}

/** By what it has: a program may hold two copies of this package. */
function ownStore (made: BaseCache): BaseCache {
  if (!hasMethods(made, STORE_METHODS)) throw new errors.FST_ERR_CACHE_OPTION('store', `a function that answers ${shown(made)}`, STORE_ALLOWED)
  return made
}
