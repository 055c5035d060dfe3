import { inspect } from 'node:util'
import type { Seconds } from './clock.ts'
import { errors, shown } from './errors.ts'
import { looksLike } from './nearest.ts'
import { refuseUnknown } from './unknown-option.ts'
import { databaseOf, isRedisUrl, withoutSecrets } from './redis/url.ts'

/** Where entries live. */
export const CacheStrategy = Object.freeze({ MEMORY: 'memory', REDIS: 'redis', HYBRID: 'hybrid' } as const)
export type CacheStrategy = typeof CacheStrategy[keyof typeof CacheStrategy]

/** Which entry makes room when memory is full. */
export const EvictionPolicy = Object.freeze({ LRU: 'lru', LFU: 'lfu', FIFO: 'fifo', S3_FIFO: 's3-fifo', W_TINYLFU: 'w-tinylfu' } as const)
export type EvictionPolicy = typeof EvictionPolicy[keyof typeof EvictionPolicy]

export type WritePolicy = 'through' | 'back'
export type Consistency = 'bounded' | 'strict'

/** The settings of a cache. All have a default; see `DEFAULT_CACHE_CONFIG`. */
export interface CacheConfig {
  /** Where entries live: this process, Redis, or both. `hybrid` without a Redis is the memory of this process, and one line in the log. */
  strategy: CacheStrategy
  /** Where Redis is, as `redis://[user:password@]host[:port][/db]` or `rediss://…`. */
  redisUrl: string
  /** Number of the Redis database; must not contradict the one in `redisUrl`. */
  redisDb: number
  /** Password for Redis; wins over the one in `redisUrl`. */
  redisPassword: string | null
  /** Entries in memory at most. */
  memoryMaxSize: number
  /** Bytes in memory at most. */
  memoryMaxBytes: number
  /** Bytes of one entry at most; a larger one is refused, not stored. */
  memoryMaxEntryBytes: number
  /** Seconds for which an entry is fresh when nobody says otherwise (strategy `memory`), and the longest life of a copy in memory (strategy `hybrid`). */
  memoryTtl: Seconds
  /** Seconds for which an entry is fresh when nobody says otherwise (strategies `redis` and `hybrid`). */
  redisTtl: Seconds
  /** In front of every key in Redis. Caches with the same prefix share their entries and their purges. `null` is `frc:` and the name in the application's package.json. */
  redisPrefix: string | null
  /** Seconds that one operation on Redis may take before the cache goes on without it, at most 60. */
  redisTimeout: Seconds
  /** Fail at the start when Redis does not answer, instead of going on without it. */
  redisRequired: boolean
  /** Strategy `hybrid`: `through` stores in Redis before a write is done, `back` a moment later, many at once. */
  writePolicy: WritePolicy
  /** `bounded`: other instances honour a purge within milliseconds; `strict`: every read asks the shared log first. */
  consistency: Consistency
  /** Compress what goes to Redis when that makes it smaller. */
  enableCompression: boolean
  /** Store data values as copies that nobody can change. `false` keeps the very object that was given, in memory only. */
  enableSerialization: boolean
  /** Which entry makes room when memory is full. */
  evictionPolicy: EvictionPolicy
  /** Count hits, misses and the rest for `getStats()`. */
  enableStats: boolean
  /** Let `CacheWarmingService` work; `false` makes warming a no-op. */
  enableWarming: boolean
  /** Entries that warming stores at a time. */
  warmingBatchSize: number
  /** How often work on Redis that nobody waits for, such as emptying the cache, is tried again. What a request waits for is tried once. */
  retryAttempts: number
  /** Seconds before the first of these tries; each further one waits longer. */
  retryDelay: Seconds
  /** Seconds after its ttl during which a stale entry is served while one refresh runs (RFC 5861 §3). */
  staleWhileRevalidate: Seconds
  /** Seconds after its ttl during which a stale entry is served when the load fails (RFC 5861 §4). */
  staleIfError: Seconds
  /** Part of a ttl, 0 to 1, by which it is shortened at random, so that entries stored together do not expire together. */
  ttlJitter: number
  /** Seconds after which a load is given up. */
  loadTimeout: Seconds
  /** Remember what a value or response was built from, so that a purge of the one takes the other. */
  trackDependencies: boolean
  /** How many purges are remembered at most; older entries than the oldest remembered purge are not trusted. */
  maxInvalidations: number
}

interface Spec<T> {
  readonly default: T
  /** Reads an environment variable; `undefined` when the text makes no sense. */
  readonly parse: (text: string) => T | undefined
  readonly valid: (value: unknown) => boolean
  readonly allowed: string
}

function oneOf<T extends string> (values: readonly T[], preset: T): Spec<T> {
  return { default: preset, parse: (text) => values.find((value) => value === text), valid: (value) => values.includes(value as T), allowed: 'one of ' + values.join(', ') }
}

function wholeNumber (preset: number, min: number, max = Number.MAX_SAFE_INTEGER): Spec<number> {
  const valid = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
  return { default: preset, parse: (text) => /^\d+$/.test(text) ? Number(text) : undefined, valid, allowed: max === Number.MAX_SAFE_INTEGER ? `a whole number, ${min} or more` : `a whole number from ${min} to ${max}` }
}

function decimal (preset: number, allowed: string, valid: (value: number) => boolean): Spec<number> {
  return { default: preset, parse: (text) => /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined, valid: (value) => typeof value === 'number' && Number.isFinite(value) && valid(value), allowed }
}

/** About 24 days: what a timer of Node can still count. */
const MAX_SECONDS = 2_000_000
/** Who writes more means milliseconds: every request would wait so long for a Redis that has fallen silent. */
const MAX_REDIS_SECONDS = 60

const seconds = (preset: number): Spec<number> => decimal(preset, 'a number of seconds, 0 or more', (value) => value >= 0)
const timerSeconds = (preset: number, max = MAX_SECONDS): Spec<number> => decimal(preset, `a number of seconds, above 0 and at most ${max}`, (value) => value > 0 && value <= max)
const lifetime = (preset: number): Spec<number> => decimal(preset, 'a number of seconds above 0', (value) => value > 0)
const flag = (preset: boolean): Spec<boolean> => ({ default: preset, parse: (text) => ['true', '1'].includes(text) ? true : ['false', '0'].includes(text) ? false : undefined, valid: (value) => typeof value === 'boolean', allowed: 'true or false' })

const specs: { readonly [K in keyof CacheConfig]: Spec<CacheConfig[K]> } = {
  strategy: oneOf<CacheStrategy>(Object.values(CacheStrategy), CacheStrategy.HYBRID),
  redisUrl: { default: 'redis://localhost:6379', parse: (text) => text, valid: isRedisUrl, allowed: 'a URL redis://[user:password@]host[:port][/db], or the same with rediss://, where db is a number' },
  redisDb: wholeNumber(0, 0),
  redisPassword: { default: null, parse: (text) => text, valid: (value) => value === null || typeof value === 'string', allowed: 'a string or null' },
  memoryMaxSize: wholeNumber(1000, 1, 2 ** 24),
  memoryMaxBytes: wholeNumber(100 * 1024 * 1024, 1024),
  memoryMaxEntryBytes: wholeNumber(5 * 1024 * 1024, 1),
  memoryTtl: lifetime(300),
  redisTtl: lifetime(3600),
  redisPrefix: { default: null, parse: (text) => text, valid: (value) => value === null || (typeof value === 'string' && value.length <= 128 && !/[{}\s]/.test(value)), allowed: 'a string of at most 128 characters without braces and blanks, or null' },
  redisTimeout: timerSeconds(0.2, MAX_REDIS_SECONDS),
  redisRequired: flag(false),
  writePolicy: oneOf<WritePolicy>(['through', 'back'], 'through'),
  consistency: oneOf<Consistency>(['bounded', 'strict'], 'bounded'),
  enableCompression: flag(true),
  enableSerialization: flag(true),
  evictionPolicy: oneOf<EvictionPolicy>(Object.values(EvictionPolicy), EvictionPolicy.LRU),
  enableStats: flag(true),
  enableWarming: flag(true),
  warmingBatchSize: wholeNumber(100, 1),
  retryAttempts: wholeNumber(3, 0, 100),
  retryDelay: seconds(0.1),
  staleWhileRevalidate: seconds(0),
  staleIfError: seconds(60),
  ttlJitter: decimal(0.05, 'a number from 0 to 1', (value) => value >= 0 && value <= 1),
  loadTimeout: timerSeconds(30),
  trackDependencies: flag(true),
  maxInvalidations: wholeNumber(100_000, 1)
}

export const CONFIG_NAMES = Object.freeze(Object.keys(specs)) as ReadonlyArray<keyof CacheConfig>

export const DEFAULT_CACHE_CONFIG: Readonly<CacheConfig> = Object.freeze(Object.fromEntries(CONFIG_NAMES.map((name) => [name, specs[name].default])) as unknown as CacheConfig)

const PREFIX = 'CACHE_'

/** The environment variable of a setting: `memoryMaxSize` is `CACHE_MEMORY_MAX_SIZE`. */
export function envName (name: keyof CacheConfig): string {
  return PREFIX + name.replace(/[A-Z]/g, (letter) => '_' + letter).toUpperCase()
}

/** Variables of the environment that look like one of a setting, and are none: each with the one that was probably meant. */
export function misspeltVariables (env: Readonly<Record<string, string | undefined>>): Array<[name: string, meant: string]> {
  const known = new Set(CONFIG_NAMES.map(envName))
  return Object.keys(env).filter((name) => name.startsWith(PREFIX) && !known.has(name)).flatMap((name) => {
    const meant = [...known].find((other) => looksLike(name.slice(PREFIX.length), other.slice(PREFIX.length)))
    return meant === undefined ? [] : [[name, meant]]
  })
}

/**
 * The whole configuration: what is given, else what the environment says (`CACHE_*`), else the default. Frozen.
 * @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_OPTION_CONFLICT
 */
export function resolveConfig (given: Partial<CacheConfig> = {}, env: Readonly<Record<string, string | undefined>> = {}): Readonly<CacheConfig> {
  refuseUnknown(given, new Set(CONFIG_NAMES))
  const config = Object.fromEntries(CONFIG_NAMES.map((name) => [name, resolveOne(name, given[name], env)])) as unknown as CacheConfig
  const database = databaseOf(config.redisUrl)
  if (given.redisDb === undefined && (env[envName('redisDb')] ?? '') === '') config.redisDb = database ?? config.redisDb
  if (database !== undefined && database !== config.redisDb) {
    throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(`redisDb: ${config.redisDb}`, `redisUrl: ${shown(withoutSecrets(config.redisUrl))}`, 'they name different databases')
  }
  if (!config.enableSerialization && config.strategy !== CacheStrategy.MEMORY) {
    throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('enableSerialization: false', `strategy: ${shown(config.strategy)}`, 'what goes to Redis has to be serialised')
  }
  if (config.memoryMaxEntryBytes > config.memoryMaxBytes) {
    throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(`memoryMaxEntryBytes: ${config.memoryMaxEntryBytes}`, `memoryMaxBytes: ${config.memoryMaxBytes}`, 'one entry cannot be larger than all')
  }
  return discreet(config)
}

/** The configuration as logs and messages may show it. */
export function withoutPasswords (config: Readonly<CacheConfig>): CacheConfig {
  return { ...config, redisUrl: withoutSecrets(config.redisUrl), redisPassword: config.redisPassword === null ? null : '***' }
}

const whole = new WeakSet<object>()

/** Whether a configuration is one that `resolveConfig` has answered: then the program has not said all of it itself. */
export const isWhole = (config: Partial<CacheConfig>): boolean => whole.has(config)

/** Frozen, and without its passwords wherever it is printed. */
function discreet (config: CacheConfig): Readonly<CacheConfig> {
  const print = (): CacheConfig => withoutPasswords(config)
  whole.add(config)
  return Object.freeze(Object.defineProperties(config, { toJSON: { value: print }, [inspect.custom]: { value: print } }))
}

function resolveOne<K extends keyof CacheConfig> (name: K, given: CacheConfig[K] | undefined, env: Readonly<Record<string, string | undefined>>): CacheConfig[K] {
  const spec: Spec<CacheConfig[K]> = specs[name]
  const variable = envName(name)
  const text = env[variable]
  if (given === undefined && text !== undefined && text !== '') {
    const parsed = spec.parse(text)
    if (parsed === undefined || !spec.valid(parsed)) throw new errors.FST_ERR_CACHE_OPTION(variable, shownSetting(name, text), spec.allowed)
    return parsed
  }
  const value = given === undefined ? spec.default : given
  if (!spec.valid(value)) throw new errors.FST_ERR_CACHE_OPTION(name, shownSetting(name, value), spec.allowed)
  return value
}

function shownSetting (name: keyof CacheConfig, value: unknown): string {
  if (name === 'redisPassword') return '***'
  return shown(name === 'redisUrl' && typeof value === 'string' ? withoutSecrets(value) : value)
}
