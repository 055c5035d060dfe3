import { parseCacheControl } from './cache-control.ts'
import type { CacheControl } from './cache-control.ts'
import { headerOf, linesOf } from './headers.ts'
import type { HeaderList } from './headers.ts'

/** What a cache keeps of a response: enough to send it again byte for byte. */
export interface StoredResponse {
  readonly status: number
  readonly headers: HeaderList
  readonly body: Buffer
  /** Its handler sent text, and whoever looks at the payload of a hit sees text as well. @default false */
  readonly text?: boolean
  /** The same body compressed ahead of time, for clients that accept it so; in the server's order of preference. */
  readonly encoded?: readonly EncodedBody[]
}

/** A body in a content coding (RFC 9110 §8.4.1). */
export interface EncodedBody { readonly coding: string, readonly body: Buffer }

/**
 * Fields that belong to one connection (RFC 9110 §7.6.1), or to the exchange with a proxy, which RFC 9111 §3.1 forbids
 * to store. Trailer goes with the trailers, which are dropped; a stored body is sent with a length of its own.
 */
const CONNECTION_BOUND: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
  'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization'
])

/** The names that the Connection field declares to be bound to this connection (RFC 9110 §7.6.1). */
function connectionOptions (value: string | undefined): readonly string[] {
  return value === undefined ? [] : value.split(',').map((name) => name.trim().toLowerCase())
}

export interface StripOptions {
  /** The Cache-Control of the response, where the caller has read it already. */
  readonly cacheControl?: CacheControl
  /** The Connection field, where it came later than the others. */
  readonly connection?: string | undefined
  /** Keep Set-Cookie (RFC 9111 §7.3 allows it). @default false */
  readonly keepSetCookie?: boolean
}

/**
 * The fields that may be stored (RFC 9111 §3.1): all, unknown ones too, except those of the connection, those that the
 * response itself withdraws by `no-cache="…"` or `private="…"` (§5.2.2.4, §5.2.2.7), and Set-Cookie, which is one user's.
 */
export function stripUnstorable (headers: HeaderList, options: StripOptions = {}): HeaderList {
  const bound = connectionOptions(options.connection ?? headerOf(headers, 'connection'))
  const cacheControl = options.cacheControl ?? parseCacheControl(linesOf(headers, 'cache-control'))
  const withdrawn = [...cacheControl.fields('no-cache') ?? [], ...cacheControl.fields('private') ?? []]
  return headers.filter(([name]) => !CONNECTION_BOUND.has(name) && !bound.includes(name) && !withdrawn.includes(name) &&
    (options.keepSetCookie === true || name !== 'set-cookie'))
}
