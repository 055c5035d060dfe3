import type { Milliseconds, Seconds } from '../lib/clock.ts'
import { durationMs } from '../lib/engine/load-options.ts'
import { errors, shown } from '../lib/errors.ts'
import { isToken } from '../lib/http/token.ts'
import { refuseUnknown } from '../lib/unknown-option.ts'

/** What a route may say in `config.cache.http`: the parts of HTTP caching that are somebody's choice. */
export interface RouteHttpOptions {
  /** Seconds for which a stale response is kept so that the handler can say with a 304 whether it still holds (RFC 9111 §4.3). @default 0; 86400 where `ttl` is 0 */
  revalidate?: Seconds
  /** Fields to obey in place of `Cache-Control` and `Expires`, most important first (RFC 9213): `['cdn-cache-control']`. @default none */
  targets?: readonly string[]
  /** Obey the client's `Cache-Control` (RFC 9111 §5.2.1): whoever may ask can force misses. @default false */
  requestDirectives?: boolean
  /** Share with requests that carry credentials what says that it may be: `public`, `s-maxage`, `must-revalidate` (RFC 9111 §3.5). @default false */
  shareByDirective?: boolean
  /** Guess a lifetime from `Last-Modified` where nobody names one (RFC 9111 §4.2.2). @default false */
  heuristics?: boolean
  /** Store what sets a cookie, with the cookie (RFC 9111 §7.3). @default false */
  storeSetCookie?: boolean
  /** Keep the answer to a POST that says it is the response to a GET of the same URL: explicit freshness, and a Content-Location that is the URL (RFC 9110 §9.3.3). @default false */
  storePost?: boolean
  /** Let the handler see a Range that asks for one part of what is not stored, and store its 206 (RFC 9111 §3.3). @default false */
  storeParts?: boolean
  /** Whether `s-maxage` bars stale use even beside `stale-while-revalidate` (RFC 9111 §5.2.2.10). @default false */
  sMaxageForbidsStale?: boolean
}

/** What the plugin takes as `http`: defaults for all routes, and what can only be said for all. */
export interface HttpOptions extends RouteHttpOptions {
  /** Take languages of equal quality in `Accept-Language` for a set (RFC 9110 §12.5.4). @default false */
  ignoreLanguageOrder?: boolean
  /** HTTP cache groups (RFC 9875): `in` takes the groups of a response for tags, and purges what an unsafe request calls back; `out` sends our tags. @default false */
  cacheGroups?: false | 'in' | 'out' | 'both'
}

const FLAGS = ['requestDirectives', 'shareByDirective', 'heuristics', 'storeSetCookie', 'storePost', 'storeParts', 'sMaxageForbidsStale'] as const

const ROUTE_HTTP_OPTION_NAMES = ['revalidate', 'targets', ...FLAGS] as const satisfies ReadonlyArray<keyof RouteHttpOptions>

/** The names of all of these options; the README is checked against them. */
export const HTTP_OPTION_NAMES = [...ROUTE_HTTP_OPTION_NAMES, 'ignoreLanguageOrder', 'cacheGroups'] as const satisfies ReadonlyArray<keyof HttpOptions>

/** The same, resolved for one route. */
export interface HttpPolicy {
  readonly revalidateMs: Milliseconds
  readonly targets: readonly string[]
  readonly requestDirectives: boolean
  readonly shareByDirective: boolean
  readonly heuristics: boolean
  readonly storeSetCookie: boolean
  readonly storePost: boolean
  readonly storeParts: boolean
  readonly sMaxageForbidsStale: boolean
  readonly groups: GroupPolicy
}

/** Whether cache groups are read, and whether they are sent. */
export interface GroupPolicy { readonly in: boolean, readonly out: boolean }

/** A day: long enough for what is asked for at all, short enough for what is not. */
const REVALIDATE_SECONDS: Seconds = 86_400

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function checkHttpOptions (given: unknown): HttpOptions {
  const options = checked<HttpOptions>('http', given, HTTP_OPTION_NAMES)
  flag('http', 'ignoreLanguageOrder', options)
  groupPolicy(options.cacheGroups)
  return options
}

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function resolveHttpPolicy (given: unknown, base: HttpOptions, handlerDecides: boolean): HttpPolicy {
  const options = { ...base, ...checked<RouteHttpOptions>('config.cache.http', given, ROUTE_HTTP_OPTION_NAMES) }
  return Object.freeze({
    revalidateMs: durationMs('http.revalidate', options.revalidate ?? (handlerDecides ? REVALIDATE_SECONDS : 0)),
    targets: (options.targets ?? []).map((name) => name.toLowerCase()),
    requestDirectives: options.requestDirectives === true,
    shareByDirective: options.shareByDirective === true,
    heuristics: options.heuristics === true,
    storeSetCookie: options.storeSetCookie === true,
    storePost: options.storePost === true,
    storeParts: options.storeParts === true,
    sMaxageForbidsStale: options.sMaxageForbidsStale === true,
    groups: groupPolicy(base.cacheGroups)
  })
}

/** @throws FST_ERR_CACHE_OPTION */
export function groupPolicy (given: unknown): GroupPolicy {
  if (given !== undefined && given !== false && given !== 'in' && given !== 'out' && given !== 'both') throw new errors.FST_ERR_CACHE_OPTION('http.cacheGroups', shown(given), 'false, "in", "out" or "both"')
  return Object.freeze({ in: given === 'in' || given === 'both', out: given === 'out' || given === 'both' })
}

function checked<T extends RouteHttpOptions> (place: string, given: unknown, known: readonly string[]): T {
  if (given === undefined) return {} as T
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new errors.FST_ERR_CACHE_OPTION(place, shown(given), 'an object')
  refuseUnknown(given, new Set(known), `${place}.`)
  const options = given as T
  if (options.revalidate !== undefined) durationMs(`${place}.revalidate`, options.revalidate)
  const { targets } = options
  if (targets !== undefined && !(Array.isArray(targets) && targets.every((name) => typeof name === 'string' && isToken(name)))) {
    throw new errors.FST_ERR_CACHE_OPTION(`${place}.targets`, shown(targets), 'an array of header names, such as ["cdn-cache-control"]')
  }
  for (const name of FLAGS) flag(place, name, options)
  return options
}

function flag<T extends object> (place: string, name: keyof T & string, options: T): void {
  const value = options[name]
  if (value !== undefined && typeof value !== 'boolean') throw new errors.FST_ERR_CACHE_OPTION(`${place}.${name}`, shown(value), 'true or false')
}
