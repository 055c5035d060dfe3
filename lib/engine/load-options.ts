import type { Milliseconds, Seconds } from '../clock.ts'
import { toMs } from '../clock.ts'
import { errors, shown } from '../errors.ts'
import { refuseUnknown } from '../unknown-option.ts'

/** What a loader is told. */
export interface LoadContext {
  readonly key: string
  /** Aborts when the load runs over its deadline, or the cache closes. */
  readonly signal: AbortSignal
}

/** Answers the value for one key. `undefined` means "there is nothing": it is handed on and not stored; `null` is a value. */
export type Loader<T> = (context: LoadContext) => T | Promise<T>

/** How long a value lives and by what names a purge reaches it. */
export interface StoreOptions<T = unknown> {
  /** Seconds for which the value is fresh, or a function of the value. `0`: do not store. @default the strategy's ttl */
  ttl?: Seconds | ((value: T) => Seconds)
  /** Seconds after `ttl` during which a stale value is served while one refresh runs (RFC 5861 §3). @default config `staleWhileRevalidate` */
  staleWhileRevalidate?: Seconds
  /** Seconds after `ttl` during which a stale value is served when the load fails (RFC 5861 §4). @default config `staleIfError` */
  staleIfError?: Seconds
  /** Names by which `invalidate({ tags })` reaches the value, or a function of the value. @default none */
  tags?: readonly string[] | ((value: T) => readonly string[])
}

export interface LoadOptions<T = unknown> extends StoreOptions<T> {
  /** Part of the ttl, 0 to 1, by which it is shortened at random, so that values stored together do not expire together. @default config `ttlJitter` */
  jitter?: number
  /** Part of the ttl, 0 to 1, after which a hit starts a refresh in the background; `0` is never. @default 0 */
  refreshAhead?: number
  /** Seconds after which a load is given up with `FST_ERR_CACHE_LOAD_TIMEOUT`. @default config `loadTimeout` */
  timeout?: Seconds
}

/** The settings of the engine that a call can override, in the units of the inside. */
export interface LoadDefaults {
  readonly ttlMs: Milliseconds
  readonly staleWhileRevalidateMs: Milliseconds
  readonly staleIfErrorMs: Milliseconds
  readonly jitter: number
  readonly loadTimeoutMs: Milliseconds
}

/** Seconds that a caller gave, in milliseconds. */
export function durationMs (option: string, seconds: unknown): Milliseconds {
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds < 0) {
    throw new errors.FST_ERR_CACHE_OPTION(option, shown(seconds), 'a number of seconds, 0 or more')
  }
  return toMs(seconds)
}

export function fraction (option: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
    throw new errors.FST_ERR_CACHE_OPTION(option, shown(value), 'a number from 0 to 1')
  }
  return value
}

export function ttlMsOf<T> (options: StoreOptions<T>, value: T, defaultMs: Milliseconds): Milliseconds {
  const ttl = typeof options.ttl === 'function' ? options.ttl(value) : options.ttl
  return ttl === undefined ? defaultMs : durationMs('ttl', ttl)
}

/** The second argument of `set`: seconds, or options. */
export function storeOptionsOf<T> (ttlOrOptions: Seconds | StoreOptions<T> | undefined): StoreOptions<T> {
  if (ttlOrOptions === undefined) return {}
  if (typeof ttlOrOptions === 'number') return { ttl: ttlOrOptions }
  if (typeof ttlOrOptions !== 'object' || ttlOrOptions === null) throw new errors.FST_ERR_CACHE_OPTION('ttl', shown(ttlOrOptions), 'a number of seconds, 0 or more, or an object of options')
  return ttlOrOptions
}

/** @throws FST_ERR_CACHE_OPTION */
export function checkLoader (loader: unknown): void {
  if (typeof loader !== 'function') throw new errors.FST_ERR_CACHE_OPTION('loader', shown(loader), 'a function that answers the value')
}

/** The names of the options of `getOrSet`. */
export const LOAD_OPTION_NAMES = ['ttl', 'staleWhileRevalidate', 'staleIfError', 'tags', 'jitter', 'refreshAhead', 'timeout'] as const satisfies ReadonlyArray<keyof LoadOptions>
const KNOWN: ReadonlySet<string> = new Set(LOAD_OPTION_NAMES)

/** Checks what can be checked before the load, so that a mistake shows on the first call and not on the first miss. */
export function checkLoadOptions (options: LoadOptions<never>): void {
  if (typeof options !== 'object' || options === null) throw new errors.FST_ERR_CACHE_OPTION('options', shown(options), `an object with ${[...KNOWN].join(', ')}`)
  refuseUnknown(options, KNOWN)
  if (options.ttl !== undefined && typeof options.ttl !== 'function') durationMs('ttl', options.ttl)
  if (options.staleWhileRevalidate !== undefined) durationMs('staleWhileRevalidate', options.staleWhileRevalidate)
  if (options.staleIfError !== undefined) durationMs('staleIfError', options.staleIfError)
  if (options.timeout !== undefined) durationMs('timeout', options.timeout)
  if (options.tags !== undefined && typeof options.tags !== 'function' && !Array.isArray(options.tags)) throw new errors.FST_ERR_CACHE_OPTION('tags', shown(options.tags), 'an array of strings, or a function of the value')
  if (options.jitter !== undefined) fraction('jitter', options.jitter)
  if (options.refreshAhead !== undefined) fraction('refreshAhead', options.refreshAhead)
}
