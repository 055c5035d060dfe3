import type { CacheManager } from '../lib/cache-manager.ts'
import type { Milliseconds, Seconds } from '../lib/clock.ts'
import type { CacheDeps } from '../lib/compose.ts'
import type { ContentCoding } from '../lib/codec/content-coding.ts'
import { CacheStrategy, CONFIG_NAMES, resolveConfig, type CacheConfig } from '../lib/config.ts'
import { checkCdn, type TagHeader } from '../lib/engine/cdn-options.ts'
import { durationMs, fraction } from '../lib/engine/load-options.ts'
import type { MetricsRegistry } from '../lib/engine/metrics.ts'
import type { MonitorOptions } from '../lib/engine/monitor/options.ts'
import { errors, shown } from '../lib/errors.ts'
import type { AdminOptions } from '../routes/guard.ts'
import { refuseUnknown } from '../lib/unknown-option.ts'
import { checkHttpOptions, type HttpOptions } from './http-options.ts'
import { HARMLESS_BESIDE_HEADERS } from './observed-request.ts'
import { CACHE_MODES_ALLOWED, contentCodings, headerNames, isCacheMode, type CacheMode } from './route-options.ts'
import { checkAudit, type AuditOptions } from './audit/boot-audit.ts'
import { checkWarmup, type WarmupOptions } from './warmup-options.ts'
import { checkMonitor } from './watch.ts'

export type { AdminOptions }

/** Options of the plugin: those of the cache (`CacheConfig`), and these. */
export interface CachePluginOptions extends Partial<CacheConfig>, CacheDeps {
  /** Name of the decorator, and of the route option that belongs to it; another name makes a second cache. @default 'cache' */
  name?: string
  /** Use this cache instead of making one; the plugin does not close it. @default a new one */
  manager?: CacheManager
  /** Path under which the routes of the cache live. @default '/' + name */
  prefix?: string
  /** Lend the connection of the cache to the app as `fastify.redis[redisNamespace]`, by way of @fastify/redis. @default off */
  redisNamespace?: string
  /** `GET <prefix>/stats`; aggregate figures only. @default true */
  exposeStats?: boolean
  /** Path of the Prometheus scrape, or false. @default '/metrics' */
  metrics?: string | false
  /** The prom-client registry to put the metrics into. @default one of its own */
  registry?: MetricsRegistry
  /** Turns on the routes that name or change what is stored. @default off */
  admin?: AdminOptions
  /** Name by which the cache goes in `Cache-Status` (RFC 9211), or false to send none. @default 'fastify-response-cache' */
  cacheStatus?: string | false
  /** Name the key in `Cache-Status` too: it shows to everybody how keys are made, cookies and partitions included (RFC 9211 §6). @default false */
  cacheStatusKey?: boolean
  /** Bytes of the largest response body that is stored; a longer one passes through. @default 5242880 (5 MB) */
  maxBodyBytes?: number
  /** Variants stored for one URL. @default 50 */
  maxVariants?: number
  /** Seconds for which a URL whose response could not be shared is remembered, so that its requests do not queue. @default 120 */
  hitForMiss?: Seconds
  /** Seconds that a request waits at most for another one that is getting the same response. @default 5 */
  coalesceTimeout?: Seconds
  /** Request headers that make a request one of a user, so that it passes the cache by. @default ['authorization', 'cookie'] */
  credentials?: readonly string[]
  /** Request headers that no handler's response depends on. @default none */
  harmlessHeaders?: readonly string[]
  /** Choices that HTTP leaves to a cache, for all routes: see `HttpOptions`. @default none */
  http?: HttpOptions
  /** Content codings in which responses are kept ready, for routes that do not say otherwise. @default none */
  precompress?: readonly ContentCoding[]
  /** What is fetched as soon as the app is ready: paths, and what was asked for most before the restart. @default off */
  warmup?: WarmupOptions
  /** `observe`: serve nothing, and report what would have been served. A route may say otherwise. @default 'serve' */
  mode?: CacheMode
  /** Share of hits, 0 to 1, whose handler is run again in the background, to compare. A route may say otherwise. @default 0 */
  verify?: number
  /** Watch the cache: alerts, and what would make it better; or false. @default true */
  monitor?: boolean | MonitorOptions
  /** Look at the routes when the app is ready, and tell what is probably not meant so; or false. @default true */
  audit?: boolean | AuditOptions
}

/** The names of the options that are not the cache's own; the README is checked against them. */
export const PLUGIN_OPTION_NAMES = ['name', 'manager', 'prefix', 'redisNamespace', 'exposeStats', 'metrics', 'registry', 'admin', 'cacheStatus', 'cacheStatusKey', 'maxBodyBytes', 'maxVariants', 'hitForMiss', 'coalesceTimeout', 'credentials', 'harmlessHeaders', 'http', 'precompress', 'warmup', 'mode', 'verify', 'monitor', 'audit', 'clock', 'random', 'serializer', 'compression', 'redis', 'store', 'cdn'] as const satisfies ReadonlyArray<keyof CachePluginOptions>

/** The plugin's options with their defaults. */
export interface PluginSettings {
  readonly name: string
  readonly manager: CacheManager | undefined
  readonly prefix: string
  readonly redisNamespace: string | undefined
  readonly exposeStats: boolean
  readonly metricsPath: string | false
  readonly registry: MetricsRegistry | undefined
  readonly admin: AdminOptions | undefined
  readonly cacheStatus: string | false
  readonly cacheStatusKey: boolean
  readonly maxBodyBytes: number
  readonly maxVariants: number
  readonly hitForMissMs: Milliseconds
  readonly coalesceTimeoutMs: Milliseconds
  readonly credentials: readonly string[]
  readonly harmlessHeaders: readonly string[]
  readonly http: HttpOptions
  readonly precompress: readonly ContentCoding[]
  readonly tagHeader: TagHeader | undefined
  readonly warmup: WarmupOptions | undefined
  readonly mode: CacheMode
  readonly verify: number
  readonly monitor: MonitorOptions | false
  readonly audit: AuditOptions | false
  readonly config: Partial<CacheConfig>
  readonly deps: CacheDeps
}

const IDENTIFIER = /^[A-Za-z][A-Za-z0-9]*$/
/** Fastify notes these in the config of each route. */
const IN_EVERY_CONFIG: ReadonlySet<string> = new Set(['url', 'method'])
const PATH = /^(?:\/[A-Za-z0-9\-._~]+)+$/

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_OPTION_CONFLICT */
export function resolvePluginOptions (given: CachePluginOptions): PluginSettings {
  refuseUnknown(given, new Set<string>([...PLUGIN_OPTION_NAMES, ...CONFIG_NAMES]))
  const check = <T>(option: keyof CachePluginOptions, preset: T, allowed: string, valid: (value: T) => boolean): T => {
    const value = (given[option] ?? preset) as T
    if (!valid(value)) throw new errors.FST_ERR_CACHE_OPTION(option, shown(value), allowed)
    return value
  }
  const count = (option: 'maxBodyBytes' | 'maxVariants', preset: number): number => check(option, preset, 'a whole number, 1 or more', (value) => Number.isSafeInteger(value) && value >= 1)
  const name = check('name', 'cache', 'a name such as "cache" or "assets"', (value) => typeof value === 'string' && IDENTIFIER.test(value) && !IN_EVERY_CONFIG.has(value))
  const config = Object.fromEntries(CONFIG_NAMES.filter((option) => given[option] !== undefined).map((option) => [option, given[option]])) as Partial<CacheConfig>
  const own = Object.keys(config)[0]
  if (given.manager !== undefined && own !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('manager', own, 'the manager has a configuration of its own')
  const part = (['redis', 'store', 'serializer', 'compression', 'clock', 'random'] as const).find((option) => given[option] !== undefined)
  if (given.manager !== undefined && part !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('manager', part, 'the manager has been made with its own')
  if (given.manager !== undefined && given.cdn?.purge !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('manager', 'cdn.purge', 'the manager hands its own purges on')
  if (given.store !== undefined && given.redisNamespace !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('store', 'redisNamespace', 'a store of your own has no connection to lend')
  if (given.strategy === CacheStrategy.MEMORY && given.redisNamespace !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(`strategy: ${shown(given.strategy)}`, 'redisNamespace', 'memory has no connection to lend')
  return {
    name,
    manager: check<CacheManager | undefined>('manager', undefined, 'a CacheManager', (value) => value === undefined || isManager(value)),
    prefix: check('prefix', `/${name}`, 'a path such as "/cache"', (value) => typeof value === 'string' && PATH.test(value)),
    redisNamespace: check<string | undefined>('redisNamespace', undefined, 'a name such as "cache"', (value) => value === undefined || (typeof value === 'string' && IDENTIFIER.test(value))),
    exposeStats: check('exposeStats', true, 'true or false', (value) => typeof value === 'boolean'),
    metricsPath: check<string | false>('metrics', '/metrics', 'a path such as "/metrics", or false', (value) => value === false || (typeof value === 'string' && PATH.test(value))),
    registry: check<MetricsRegistry | undefined>('registry', undefined, 'a Registry of prom-client', (value) => value === undefined || isRegistry(value)),
    admin: adminOptions(given.admin),
    cacheStatus: check<string | false>('cacheStatus', 'fastify-response-cache', 'a name, or false', (value) => value === false || (typeof value === 'string' && /^[\x20-\x7e]+$/.test(value))),
    cacheStatusKey: check('cacheStatusKey', false, 'true or false', (value) => typeof value === 'boolean'),
    maxBodyBytes: count('maxBodyBytes', 5 * 1024 * 1024),
    maxVariants: count('maxVariants', 50),
    hitForMissMs: durationMs('hitForMiss', given.hitForMiss ?? 120),
    coalesceTimeoutMs: durationMs('coalesceTimeout', given.coalesceTimeout ?? 5),
    credentials: credentialNames(given.credentials ?? ['authorization', 'cookie']),
    harmlessHeaders: headerNames('harmlessHeaders', given.harmlessHeaders ?? [], HARMLESS_BESIDE_HEADERS),
    http: checkHttpOptions(given.http),
    precompress: contentCodings('precompress', given.precompress ?? []),
    tagHeader: checkCdn(given.cdn).tagHeader,
    warmup: checkWarmup(given.warmup),
    mode: check<CacheMode>('mode', 'serve', CACHE_MODES_ALLOWED, isCacheMode),
    verify: fraction('verify', given.verify ?? 0),
    monitor: checkMonitor(given.monitor),
    audit: checkAudit(given.audit),
    config,
    deps: { ...given.clock !== undefined && { clock: given.clock }, ...given.random !== undefined && { random: given.random }, ...given.serializer !== undefined && { serializer: given.serializer }, ...given.compression !== undefined && { compression: given.compression }, ...given.redis !== undefined && { redis: given.redis }, ...given.store !== undefined && { store: given.store }, ...given.cdn !== undefined && { cdn: given.cdn } }
  }
}

/**
 * No body is let into what cannot hold it.
 * @throws FST_ERR_CACHE_OPTION_CONFLICT
 */
export function withinEntries (settings: PluginSettings, given: CachePluginOptions): PluginSettings {
  const { memoryMaxEntryBytes } = settings.manager?.config ?? resolveConfig(settings.config, process.env)
  if (given.maxBodyBytes !== undefined && given.maxBodyBytes > memoryMaxEntryBytes) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(`maxBodyBytes: ${given.maxBodyBytes}`, `memoryMaxEntryBytes: ${memoryMaxEntryBytes}`, 'a body is part of its entry')
  return { ...settings, maxBodyBytes: Math.min(settings.maxBodyBytes, memoryMaxEntryBytes) }
}

/** The list takes the place of the usual one, and what the one of all users is called is hardly left out on purpose. */
function credentialNames (given: readonly string[]): readonly string[] {
  const names = headerNames('credentials', given)
  if (!names.includes('authorization')) throw new errors.FST_ERR_CACHE_OPTION('credentials', shown(given), 'all headers that tell users apart: "authorization", "cookie" unless no cookie does, and those of your own')
  return names
}

/** By what it has: a program may hold two copies of this package, or of prom-client. */
function isManager (value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'parts' in value && 'config' in value && 'getOrSet' in value && typeof value.getOrSet === 'function'
}

function isRegistry (value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'registerMetric' in value && typeof value.registerMetric === 'function'
}

/** A token that can be guessed is none, and one with other characters does not come through a header unchanged. */
const TOKEN = /^[!-~]{16,}$/

const ADMIN_OPTION_NAMES: ReadonlySet<string> = new Set<keyof AdminOptions>(['token', 'onRequest'])

function adminOptions (admin: unknown): AdminOptions | undefined {
  if (admin === undefined) return undefined
  // Nobody who writes this wants no routes, and none are open to all.
  if (typeof admin !== 'object' || admin === null || Object.keys(admin).length === 0) throw new errors.FST_ERR_CACHE_OPTION('admin', shown(admin), 'an object with token, onRequest or both')
  refuseUnknown(admin, ADMIN_OPTION_NAMES, 'admin.')
  const { token, onRequest } = admin as { token?: unknown, onRequest?: unknown }
  // An environment variable that is not set must switch the routes off, not open them.
  if (token === undefined && onRequest === undefined) return undefined
  if (token !== undefined && (typeof token !== 'string' || !TOKEN.test(token))) throw new errors.FST_ERR_CACHE_OPTION('admin.token', 'not fit (and not repeated here)', 'a string of at least 16 visible ASCII characters, without spaces')
  if (onRequest !== undefined && typeof onRequest !== 'function') throw new errors.FST_ERR_CACHE_OPTION('admin.onRequest', shown(onRequest), 'a hook function')
  return admin as AdminOptions
}
