import type { CacheControl } from './cache-control.ts'
import type { Freshness, FreshnessSource } from './freshness.ts'
import { headerOf } from './headers.ts'
import type { HeaderList } from './headers.ts'
import { isSuccess } from './method.ts'
import { partOf } from './parts.ts'
import type { StoreRefusal } from './store-refusals.ts'
import { isToken } from './token.ts'
import { effectiveVary } from './vary.ts'

export type { StoreRefusal } from './store-refusals.ts'

export type StoreVerdict =
  | { readonly store: true }
  | { readonly store: false, readonly reason: StoreRefusal, readonly detail?: string }

/** The statuses kept by default. 404 and 410 join by the route's choice, with a ttl of their own; errors never do. */
export const DEFAULT_STATUSES: ReadonlySet<number> = new Set([200, 203, 204, 301, 308])

export interface StorableInput {
  readonly method: string
  readonly status: number
  /** The final fields, as they go to the client. */
  readonly headers: HeaderList
  /** What `judgeFreshness` said of the same response. */
  readonly freshness: Freshness
  /** Whether the request carried Authorization or a Cookie that is not part of the key. */
  readonly requestHasCredentials: boolean
  /** The route is declared the same for everybody. @default false */
  readonly public?: boolean
  /** The key contains whom the response is for. @default false */
  readonly partitioned?: boolean
  /** Statuses that may be stored; `any`: every final one whose own fields say how long. @default DEFAULT_STATUSES */
  readonly statuses?: ReadonlySet<number> | 'any'
  /**
   * Methods whose answers may be stored. One to another method than GET is a representation only if it says how long
   * and its Content-Location is the target (RFC 9110 §9.3.3), so `url` must be given, and it must be a success (§8.7).
   * @default GET
   */
  readonly methods?: ReadonlySet<string> | undefined
  /** The absolute URI of the request. */
  readonly url?: string | undefined
  /** Store a response that sets cookies (RFC 9111 §7.3). @default false */
  readonly storeSetCookie?: boolean
  /** Store a 206 that says which bytes it holds of how many (RFC 9111 §3.3). @default false */
  readonly storeParts?: boolean
  /** Whether a stored response can be validated through the handler, which makes one without freshness worth keeping. @default false */
  readonly revalidates?: boolean
  /** Request fields whose share in the response is part of the key, so that Vary may name them freely. @default none */
  readonly keyed?: ReadonlySet<string>
  /** The length of the body, where it is known. */
  readonly bodyBytes?: number | undefined
}

const STORE: StoreVerdict = Object.freeze({ store: true })

/** The methods of a cache in front of a representation: HEAD shares the entry of GET. */
const DEFAULT_METHODS: ReadonlySet<string> = new Set(['GET'])

const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** The directives that let a shared cache keep an answer to a request with credentials (§3.5). */
const SHARES_WITH_CREDENTIALS: readonly string[] = ['public', 's-maxage', 'must-revalidate']

/** Whether a response says that it is for others than who sent credentials with the request for it (§3.5). */
export function sharesWithCredentials (cacheControl: CacheControl): boolean {
  return SHARES_WITH_CREDENTIALS.some(cacheControl.grants)
}

/** Whether a response may be stored (RFC 9111 §3), the most telling reason first. */
export function judgeStorable (input: StorableInput): StoreVerdict {
  const { method, status, headers, freshness } = input
  if (!(input.methods ?? DEFAULT_METHODS).has(method) || (method !== 'GET' && !representsTarget(input))) return refuse('method', method)
  const malformed = malformedField(headers)
  if (malformed !== undefined) return refuse('malformed-header', malformed)

  const { cacheControl } = freshness
  if (status === 206 && (input.storeParts !== true || partOf(headers) === undefined)) return refuse('partial')
  if (status < 200 || status > 599 || status === 304) return refuse('status', String(status))
  // §5.2.2.3: must-understand limits storing to known statuses, and there it overrules no-store.
  const understood = cacheControl.grants('must-understand') && cacheControl.bare('must-understand') && UNDERSTOOD_STATUSES.has(status)
  if (cacheControl.has('must-understand') && !understood) return refuse('status', `${status}; must-understand`)
  if (cacheControl.has('no-store') && !understood) return refuse('no-store')
  if (cacheControl.unqualified('private')) return refuse('private')
  if (input.storeSetCookie !== true && headerOf(headers, 'set-cookie') !== undefined) return refuse('set-cookie')

  const vary = effectiveVary(headers, input.keyed)
  if (vary === 'star') return refuse('vary-star')
  const credential = vary.names.find((name) => name === 'cookie' || name === 'authorization')
  if (credential !== undefined) return refuse('vary-credentials', credential)
  // §3.5: with credentials only what says that it is not for them alone.
  if (input.requestHasCredentials && input.public !== true && input.partitioned !== true && !sharesWithCredentials(cacheControl)) return refuse('authorization')

  // §14.4 gives the field no meaning here, and some collections are paged by `items 0-9/100`; bytes are meant as bytes.
  if (status !== 206 && /^\s*bytes\b/i.test(headerOf(headers, 'content-range') ?? '')) return refuse('content-range')
  const statuses = input.statuses ?? DEFAULT_STATUSES
  // A route's ttl is meant for its good answers; another status has to ask for itself.
  const whole = status === 206 ? 200 : status
  const allowed = statuses === 'any' ? freshness.source !== 'route' || DEFAULT_STATUSES.has(whole) : statuses.has(whole)
  if (!allowed) return refuse('status', String(status))
  if (input.bodyBytes !== undefined && !isAsLong(headers, input.bodyBytes)) return refuse('length-mismatch')

  if (freshness.freshForMs > 0 || freshness.staleWhileRevalidateMs > 0) return STORE
  if (input.revalidates === true && hasValidator(headers)) return STORE
  return refuse(cacheControl.unqualified('no-cache') ? 'no-cache' : 'no-freshness')
}

/** The statuses whose caching rules are implemented here: those of RFC 9110 §15.1. */
const UNDERSTOOD_STATUSES: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])

/** Whether a body is as long as Content-Length says, and Content-Range, where that counts bytes. */
function isAsLong (headers: HeaderList, bytes: number): boolean {
  const length = headerOf(headers, 'content-length')
  const part = partOf(headers)
  return (length === undefined || length === String(bytes)) && (part === undefined || part.end - part.start + 1 === bytes)
}

/** RFC 9110 §9.3.3: explicit freshness, and a Content-Location that is the URI of the request. */
function representsTarget ({ url, status, headers, freshness }: StorableInput): boolean {
  const location = headerOf(headers, 'content-location')
  if (url === undefined || location === undefined || !isSuccess(status) || !EXPLICIT.has(freshness.source)) return false
  return URL.canParse(location, url) && new URL(location, url).href === new URL(url).href
}

const EXPLICIT: ReadonlySet<FreshnessSource> = new Set<FreshnessSource>(['targeted', 's-maxage', 'max-age', 'expires'])

/** Whether a response can be validated at all (RFC 9110 §8.8). */
export function hasValidator (headers: HeaderList): boolean {
  return headers.some(([name]) => name === 'etag' || name === 'last-modified')
}

function malformedField (headers: HeaderList): string | undefined {
  for (const [name, value] of headers) {
    if (!isToken(name)) return JSON.stringify(name.slice(0, 64))
    if (typeof value === 'string' ? !FIELD_VALUE.test(value) : !value.every((line) => FIELD_VALUE.test(line))) return name
  }
  return undefined
}

function refuse (reason: StoreRefusal, detail?: string): StoreVerdict {
  return detail === undefined ? { store: false, reason } : { store: false, reason, detail }
}
