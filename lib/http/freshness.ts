import type { EpochMs, Milliseconds } from '../clock.ts'
import { initialAgeMs } from './age.ts'
import type { CacheControl } from './cache-control.ts'
import { parseHttpDate } from './http-date.ts'
import { headerOf } from './headers.ts'
import type { HeaderList } from './headers.ts'
import { staleBar } from './staleness.ts'
import { governing } from './targeted.ts'

/** Where a lifetime comes from. `targeted` is a field of RFC 9213; `route` the ttl of the route; `none`: nobody named one. */
export type FreshnessSource = 'targeted' | 's-maxage' | 'max-age' | 'expires' | 'route' | 'heuristic' | 'none'

export interface FreshnessInput {
  readonly status: number
  /** The final fields of the response. */
  readonly headers: HeaderList
  /** When the response was complete. */
  readonly nowMs: EpochMs
  /** When the request began. @default nowMs */
  readonly requestTimeMs?: EpochMs
  /** The answer where the handler says nothing. */
  readonly routeTtlMs?: Milliseconds | undefined
  /** The route's window for stale-while-revalidate, where the response names none and bars none. @default 0 */
  readonly staleWhileRevalidateMs?: Milliseconds
  /** The same for stale-if-error. @default 0 */
  readonly staleIfErrorMs?: Milliseconds
  /** Guess a lifetime from Last-Modified (RFC 9111 §4.2.2). @default false */
  readonly heuristics?: boolean
  /** Targeted fields to obey, most important first, lower-case: `['cdn-cache-control']`. @default [] */
  readonly targets?: readonly string[]
  /** See `StalenessOptions`. @default false */
  readonly sMaxageForbidsStale?: boolean
}

export interface Freshness {
  /** How long the response is fresh: counted from its birth, or, where the route says so, from its receipt. */
  readonly lifetimeMs: Milliseconds
  readonly source: FreshnessSource
  /** How old the response is already. */
  readonly initialAgeMs: Milliseconds
  /** What is left of the lifetime at receipt; 0 if the response is stale on arrival. */
  readonly freshForMs: Milliseconds
  /** How long after `freshForMs` a stale copy may be served while one refresh runs. */
  readonly staleWhileRevalidateMs: Milliseconds
  /** How long after `freshForMs` a stale copy may be served because the handler fails. */
  readonly staleIfErrorMs: Milliseconds
  /** The directives that this comes from: of a targeted field, else of Cache-Control. */
  readonly cacheControl: CacheControl
}

/** Statuses for which a lifetime may be guessed (RFC 9110 §15.1). */
const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])

/** The share of the time since the last change that is a typical guess (RFC 9111 §4.2.2), and its limit of a day. */
const HEURISTIC_FRACTION = 0.1
const HEURISTIC_LIMIT_MS: Milliseconds = 24 * 60 * 60 * 1000

/** How long a response is fresh, and how long it is of use after that (RFC 9111 §4.2, RFC 5861). */
export function judgeFreshness (input: FreshnessInput): Freshness {
  const { headers, nowMs } = input
  const { cacheControl, targeted } = governing(headers, input.targets ?? [])
  const [source, lifetimeMs] = lifetimeOf(input, cacheControl, targeted)
  const ageMs = initialAgeMs({ headers, requestTimeMs: input.requestTimeMs ?? nowMs, responseTimeMs: nowMs })
  const bar = staleBar(cacheControl, input)
  // The route's ttl is our own promise, counted from now: neither a slow handler nor an old upstream copy shortens it.
  const spentMs = source === 'route' ? 0 : ageMs
  const overdueMs = Math.max(0, spentMs - lifetimeMs)
  // The route's windows follow a lifetime. "Not fresh for a moment" does not mean "but stale for a while", nor does silence.
  const neverFresh = lifetimeMs === 0 && source !== 'route'
  const windowMs = (directive: string, routeMs: Milliseconds = 0) => {
    // A stored failure is never the answer to another failure, and what renews a part gets the whole.
    if (bar !== undefined || input.status >= 500 || input.status === 206) return 0
    const seconds = cacheControl.seconds(directive)
    const wholeMs = seconds === undefined ? (neverFresh ? 0 : routeMs) : seconds * 1000
    return Math.max(0, wholeMs - overdueMs)
  }
  return {
    lifetimeMs,
    source,
    initialAgeMs: ageMs,
    freshForMs: Math.max(0, lifetimeMs - spentMs),
    staleWhileRevalidateMs: windowMs('stale-while-revalidate', input.staleWhileRevalidateMs),
    staleIfErrorMs: windowMs('stale-if-error', input.staleIfErrorMs),
    cacheControl
  }
}

function lifetimeOf (input: FreshnessInput, cacheControl: CacheControl, targeted: boolean): [FreshnessSource, Milliseconds] {
  // A response that may not be used without validation is never fresh (§5.2.2.4).
  if (cacheControl.unqualified('no-cache')) return ['none', 0]
  // §4.2.1: s-maxage, then max-age, then Expires; an invalid value is a lifetime of 0.
  const sMaxage = cacheControl.seconds('s-maxage')
  if (sMaxage !== undefined) return [targeted ? 'targeted' : 's-maxage', sMaxage * 1000]
  const maxAge = cacheControl.seconds('max-age')
  if (maxAge !== undefined) return [targeted ? 'targeted' : 'max-age', maxAge * 1000]
  // RFC 9213 §2.2: a valid targeted field silences Expires as well.
  const expires = targeted ? undefined : headerOf(input.headers, 'expires')
  if (expires !== undefined) return ['expires', expiresMs(expires, input)]
  if (input.routeTtlMs !== undefined) return ['route', input.routeTtlMs]
  if (input.heuristics === true) return heuristicLifetime(input, cacheControl)
  return ['none', 0]
}

/** Expires − Date, or − the time of receipt without a Date (§4.2.1); two lines, or no date, are the past (§5.3). */
function expiresMs (expires: string, { headers, nowMs }: FreshnessInput): Milliseconds {
  const expiresAtMs = parseHttpDate(expires, nowMs)
  if (expiresAtMs === undefined) return 0
  const date = headerOf(headers, 'date')
  const bornMs = (date === undefined ? undefined : parseHttpDate(date, nowMs)) ?? nowMs
  return Math.max(0, expiresAtMs - bornMs)
}

function heuristicLifetime ({ status, headers, nowMs }: FreshnessInput, cacheControl: CacheControl): [FreshnessSource, Milliseconds] {
  if (!HEURISTIC_STATUSES.has(status) && !cacheControl.grants('public')) return ['none', 0]
  const lastModified = headerOf(headers, 'last-modified')
  const changedMs = lastModified === undefined ? undefined : parseHttpDate(lastModified, nowMs)
  if (changedMs === undefined || changedMs > nowMs) return ['none', 0]
  return ['heuristic', Math.min((nowMs - changedMs) * HEURISTIC_FRACTION, HEURISTIC_LIMIT_MS)]
}
