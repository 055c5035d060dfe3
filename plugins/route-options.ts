import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Milliseconds, Seconds } from '../lib/clock.ts'
import { fraction, durationMs } from '../lib/engine/load-options.ts'
import { CONTENT_CODINGS, type ContentCoding } from '../lib/codec/content-coding.ts'
import { errors, shown } from '../lib/errors.ts'
import { refuseUnknown } from '../lib/unknown-option.ts'
import { DEFAULT_STATUSES } from '../lib/http/storable.ts'
import { parseEntityPaths, type EntityPaths } from '../lib/http/entity-path.ts'
import { isToken } from '../lib/http/token.ts'
import { closedQuery, type ClosedQuery } from './closed-query.ts'
import { resolveHttpPolicy, type HttpOptions, type HttpPolicy, type RouteHttpOptions } from './http-options.ts'
import { KnownKeys } from './known-keys.ts'
import { HARMLESS_BESIDE_HEADERS, type ObservedInput } from './observed-request.ts'
import { Outlet } from './outlet.ts'
import { validatedHeaders } from './validated-headers.ts'

/** A request as the functions in `config.cache` see it: routes cannot tell their own types to their configuration. */
export type CacheRequest = FastifyRequest<{ Params: Record<string, string>, Querystring: Record<string, unknown>, Body: Record<string, unknown> }>

/** A function of the request. (Written as a method, so that one that declares its own request type is accepted.) */
type OfRequest<T> = { of (request: CacheRequest, reply: FastifyReply): T }['of']

/** Names as tags, or where to take them from. */
export type NamesOf = readonly string[] | OfRequest<readonly string[]>

type PartitionOf = OfRequest<string | number | null | undefined>

/**
 * `serve`: answers come from the cache. `observe`: every answer comes from the handler; what the cache would have done is
 * told and counted, and responses are stored as they would be.
 */
export type CacheMode = 'serve' | 'observe'

export const CACHE_MODES_ALLOWED = '"serve" or "observe"'
export const isCacheMode = (value: unknown): value is CacheMode => value === 'serve' || value === 'observe'

/** What a route says in `config.cache`. On a safe method it asks for caching, on any other it names what a success invalidates. */
export interface RouteCacheOptions {
  /** Seconds for which a response is fresh when the handler's own headers do not say; with `0` only they decide. @default the strategy's ttl */
  ttl?: Seconds
  /** Seconds after that during which a stale response is served while one refresh runs. @default the plugin's */
  staleWhileRevalidate?: Seconds
  /** Seconds after that during which a stale response is served when the handler fails. @default the plugin's */
  staleIfError?: Seconds
  /** Tags of the response, beside those it takes over from the data it was built from. @default none */
  tags?: NamesOf
  /** Which entities the payload contains, as `{ product: 'items[].id' }`: each becomes the tag `product:<id>`. @default none */
  entities?: Readonly<Record<string, string | readonly string[]>>
  /** Tags that a successful request of an unsafe method invalidates before its client gets the answer. @default none */
  invalidates?: NamesOf
  /** The response is the same for everybody and guarded by nothing: requests with credentials are served, before parsing and validation. @default false */
  public?: boolean
  /** Where hits are served from: `handler` lets every guard run first, `onRequest` is faster. @default 'onRequest' for public routes, else 'handler' */
  serveFrom?: 'handler' | 'onRequest'
  /** Whom the response is for, as a part of the key: a user, a tenant. `undefined` for a request is: do not cache. @default for everybody */
  partition?: PartitionOf
  /** Request headers that belong in the key. @default none */
  headers?: readonly string[]
  /** Cookies that belong in the key. A request whose cookies are all named here is not taken for one with credentials. @default none */
  cookies?: readonly string[]
  /** Request headers that the handler may read though they are not in the key, because they do not change the response. @default none */
  harmlessHeaders?: readonly string[]
  /** Statuses to store; `any` is every one whose own headers say for how long, errors too. @default 200, 203, 204, 301, 308; any where `ttl` is 0 */
  statuses?: readonly number[] | 'any'
  /** Seconds for which a 404 or 410 is stored; `0` is not at all. @default 0 */
  notFoundTtl?: Seconds
  /** Seconds for which browsers may keep the response without asking. No purge reaches them. @default 0 */
  clientTtl?: Seconds
  /** Seconds to wait for the handler before a stale response is served in its place. @default no limit */
  softTimeout?: Seconds
  /** Part of the ttl, 0 to 1, after which a hit starts a refresh; `0` is never. @default 0 */
  refreshAhead?: number
  /** Content codings in which the response is kept ready, the preferred one first; `[]` is none. @default the plugin's */
  precompress?: readonly ContentCoding[]
  /** `observe`: serve nothing, and report what would have been served. @default the plugin's */
  mode?: CacheMode
  /** Share of hits, 0 to 1, whose handler is run again in the background, to compare. @default the plugin's */
  verify?: number
  /** Choices that HTTP leaves to a cache: see `RouteHttpOptions`. @default the plugin's */
  http?: RouteHttpOptions
}

/** The names of all route options; the README is checked against them. */
export const ROUTE_OPTION_NAMES = ['ttl', 'staleWhileRevalidate', 'staleIfError', 'tags', 'entities', 'invalidates', 'public', 'serveFrom', 'partition', 'headers', 'cookies', 'harmlessHeaders', 'statuses', 'notFoundTtl', 'clientTtl', 'softTimeout', 'refreshAhead', 'precompress', 'mode', 'verify', 'http'] as const satisfies ReadonlyArray<keyof RouteCacheOptions>

/** A route's options, resolved and checked once, in the units of the inside. */
export interface RoutePolicy {
  readonly route: string
  readonly ttlMs: Milliseconds
  readonly staleWhileRevalidateMs: Milliseconds
  readonly staleIfErrorMs: Milliseconds
  readonly tags: NamesOf | undefined
  readonly entities: EntityPaths | undefined
  readonly invalidates: NamesOf | undefined
  readonly public: boolean
  readonly serveFrom: 'handler' | 'onRequest'
  readonly partition: PartitionOf | undefined
  readonly headers: readonly string[]
  readonly cookies: readonly string[]
  /** The request headers whose share in the response is in the key, so that Vary may name them freely. */
  readonly keyed: ReadonlySet<string>
  readonly harmlessHeaders: ReadonlySet<string>
  readonly statuses: ReadonlySet<number> | 'any'
  readonly notFoundTtlMs: Milliseconds
  readonly clientTtlSeconds: Seconds
  readonly softTimeoutMs: Milliseconds | undefined
  readonly refreshAhead: number
  readonly precompress: readonly ContentCoding[]
  readonly observed: boolean
  /** The share of hits to verify. */
  readonly verify: number
  readonly http: HttpPolicy
  /** The query parameters that count, when the route's schema names them all. */
  readonly query: ClosedQuery | undefined
  /** What the handler knows of the request without reading it. */
  readonly validated: readonly ObservedInput[]
  /** Tells apart routes of one path that differ in their constraints. */
  readonly constraints: string | undefined
  /** `undefined` where the key has other parts than scheme, host and target. */
  readonly knownKeys: KnownKeys | undefined
  /** The way out of its hits. */
  readonly outlet: Outlet
}

type Given = RouteCacheOptions | true

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_OPTION_CONFLICT */
export function resolveRoutePolicy (given: Given, route: RouteOptions, defaults: { ttlMs: Milliseconds, staleWhileRevalidateMs: Milliseconds, staleIfErrorMs: Milliseconds, harmlessHeaders: readonly string[], http: HttpOptions, precompress: readonly ContentCoding[], ownValidator: boolean, mode: CacheMode, verify: number }): RoutePolicy {
  if (given !== true && (typeof given !== 'object' || given === null || Array.isArray(given))) throw new errors.FST_ERR_CACHE_OPTION('config.cache', shown(given), 'true, false or an object')
  const options: RouteCacheOptions = given === true ? {} : given
  refuseUnknown(options, new Set(ROUTE_OPTION_NAMES), 'config.cache.')
  const ms = (name: 'ttl' | 'staleWhileRevalidate' | 'staleIfError' | 'notFoundTtl' | 'clientTtl' | 'softTimeout', preset: Milliseconds): Milliseconds => options[name] === undefined ? preset : durationMs(`config.cache.${name}`, options[name])
  const isPublic = flag('public', options.public)
  if (isPublic && options.partition !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('config.cache.public', 'config.cache.partition', 'a response is for everybody or for one partition')
  if (options.partition !== undefined && typeof options.partition !== 'function') throw new errors.FST_ERR_CACHE_OPTION('config.cache.partition', shown(options.partition), 'a function')
  const serveFrom = options.serveFrom ?? (isPublic ? 'onRequest' : 'handler')
  if (serveFrom !== 'handler' && serveFrom !== 'onRequest') throw new errors.FST_ERR_CACHE_OPTION('config.cache.serveFrom', shown(serveFrom), '"handler" or "onRequest"')
  if (serveFrom === 'onRequest' && !isPublic) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('config.cache.serveFrom: "onRequest"', 'config.cache.public: false', 'guards in later hooks would not be asked')
  const { mode = defaults.mode } = options
  if (!isCacheMode(mode)) throw new errors.FST_ERR_CACHE_OPTION('config.cache.mode', shown(mode), CACHE_MODES_ALLOWED)
  if (mode === 'observe' && options.verify !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('config.cache.mode: "observe"', 'config.cache.verify', 'every answer of an observed route is compared')
  const ttlMs = ms('ttl', defaults.ttlMs)
  const notFoundTtlMs = ms('notFoundTtl', 0)
  const http = resolveHttpPolicy(options.http, defaults.http, ttlMs === 0)
  const headers = [...headerNames('config.cache.headers', options.headers ?? [])].sort()
  const cookies = [...strings('cookies', options.cookies)].sort()
  const ownValidator = route.validatorCompiler !== undefined || defaults.ownValidator
  const query = route.attachValidation === true || ownValidator ? undefined : closedQuery(route.schema)
  const constraints = route.constraints === undefined || Object.keys(route.constraints).length === 0 ? undefined : constraintsText(route.constraints)
  return Object.freeze({
    route: route.url,
    ttlMs,
    staleWhileRevalidateMs: ms('staleWhileRevalidate', defaults.staleWhileRevalidateMs),
    staleIfErrorMs: ms('staleIfError', defaults.staleIfErrorMs),
    tags: names('tags', options.tags),
    entities: options.entities === undefined ? undefined : parseEntityPaths(options.entities),
    invalidates: names('invalidates', options.invalidates),
    public: isPublic,
    serveFrom,
    partition: options.partition,
    headers,
    keyed: new Set([...headers, ...cookies.length > 0 ? ['cookie'] : [], ...options.partition === undefined ? [] : ['cookie', 'authorization']]),
    cookies,
    harmlessHeaders: new Set([...defaults.harmlessHeaders, ...headerNames('config.cache.harmlessHeaders', options.harmlessHeaders ?? [], HARMLESS_BESIDE_HEADERS)]),
    statuses: statuses(options.statuses ?? (ttlMs === 0 ? 'any' : [...DEFAULT_STATUSES]), notFoundTtlMs),
    notFoundTtlMs,
    clientTtlSeconds: ms('clientTtl', 0) / 1000,
    softTimeoutMs: options.softTimeout === undefined ? undefined : ms('softTimeout', 0),
    refreshAhead: options.refreshAhead === undefined ? 0 : fraction('config.cache.refreshAhead', options.refreshAhead),
    precompress: options.precompress === undefined ? defaults.precompress : contentCodings('config.cache.precompress', options.precompress),
    observed: mode === 'observe',
    verify: options.verify === undefined ? defaults.verify : fraction('config.cache.verify', options.verify),
    http,
    query,
    validated: validatedHeaders(route, ownValidator),
    constraints,
    knownKeys: headers.length > 0 || cookies.length > 0 || options.partition !== undefined || query !== undefined || constraints !== undefined ? undefined : new KnownKeys(),
    outlet: new Outlet()
  })
}

let nameless = 0

/** Constraints as text. What has no text of its own (symbols, functions, objects of classes) gets a number: no other route has it. */
function constraintsText (constraints: object): string {
  return JSON.stringify(constraints, (_name, value: unknown) => {
    if (value instanceof RegExp) return String(value)
    const plain = value === null || ['string', 'number', 'boolean'].includes(typeof value) || value === constraints || Array.isArray(value)
    return plain ? value : `#${++nameless}`
  })
}

function flag (name: string, value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw new errors.FST_ERR_CACHE_OPTION(`config.cache.${name}`, shown(value), 'true or false')
  return value === true
}

function names (name: string, value: unknown): NamesOf | undefined {
  return value === undefined || typeof value === 'function' ? value as NamesOf | undefined : strings(name, value, 'an array of strings, or a function that answers one')
}

function strings (name: string, value: unknown, allowed = 'an array of strings'): readonly string[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string' && item !== '')) throw new errors.FST_ERR_CACHE_OPTION(`config.cache.${name}`, shown(value), allowed)
  return value
}

/**
 * The names in lower case.
 * @param besides what else may be named
 * @throws FST_ERR_CACHE_OPTION for a name that no header can have (RFC 9110 §5.1)
 */
export function headerNames (option: string, value: unknown, besides: readonly string[] = []): readonly string[] {
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string' && (isToken(name) || besides.includes(name)))) throw new errors.FST_ERR_CACHE_OPTION(option, shown(value), 'an array of header names')
  return value.map((name: string) => name.toLowerCase())
}

/** @throws FST_ERR_CACHE_OPTION */
export function contentCodings (option: string, value: unknown): readonly ContentCoding[] {
  if (!Array.isArray(value) || new Set(value).size !== value.length || !value.every((coding) => CONTENT_CODINGS.includes(coding as ContentCoding))) {
    throw new errors.FST_ERR_CACHE_OPTION(option, shown(value), `an array of ${CONTENT_CODINGS.map((coding) => `"${coding}"`).join(' and ')}, each once`)
  }
  return value as readonly ContentCoding[]
}

function statuses (value: unknown, notFoundTtlMs: Milliseconds): ReadonlySet<number> | 'any' {
  if (value === 'any') return value
  if (!Array.isArray(value) || !value.every((status) => Number.isInteger(status) && status >= 200 && status < 500 && status !== 206 && status !== 304)) {
    throw new errors.FST_ERR_CACHE_OPTION('config.cache.statuses', shown(value), '"any", or an array of statuses from 200 to 499, without 206 and 304')
  }
  return new Set<number>(notFoundTtlMs > 0 ? [...value, 404, 410] : value)
}
