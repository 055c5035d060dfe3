import type { CacheControl } from './cache-control.ts'

/** One field: a single line, or several lines of the same name in order. */
export type HeaderValue = string | readonly string[]

/** Response fields in the order in which they were sent. Names are lower-case. */
export type HeaderList = ReadonlyArray<readonly [name: string, value: HeaderValue]>

/** Request fields as Node parses them: lower-case names, usually one joined line. */
export type RequestHeaders = Readonly<Record<string, HeaderValue | undefined>>

/** What a cache keeps of a response: enough to send it again byte for byte. */
export interface StoredResponse {
  readonly status: number
  readonly headers: HeaderList
  readonly body: Buffer
}

/**
 * Fields that belong to one connection (RFC 9110 §7.6.1), or to the exchange with a proxy, which RFC 9111 §3.1 forbids
 * to store. Trailer goes with the trailers, which are dropped; a stored body is sent with a length of its own.
 */
const CONNECTION_BOUND: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
  'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization'
])

const SETS_COOKIES: ReadonlySet<string> = new Set(['set-cookie', 'set-cookie2'])

/** Every line of a field, in order; none when it is absent. */
export function linesOf (headers: HeaderList, name: string): readonly string[] {
  const lines: string[] = []
  for (const [key, value] of headers) {
    if (key !== name) continue
    if (typeof value === 'string') lines.push(value)
    else lines.push(...value)
  }
  return lines
}

/** The combined value of a field, its lines joined with `, ` (RFC 9110 §5.2); `undefined` when it is absent. */
export function headerOf (headers: HeaderList, name: string): string | undefined {
  let found: string | undefined
  for (const [key, value] of headers) {
    if (key !== name) continue
    const line = typeof value === 'string' ? value : value.join(', ')
    found = found === undefined ? line : found + ', ' + line
  }
  return found
}

/** The combined value of a request field; `undefined` when it is absent. */
export function requestHeaderOf (headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name]
  return value === undefined || typeof value === 'string' ? value : value.join(', ')
}

/** The fields of a record such as Node's `getHeaders()` gives: numbers become text, what is absent is left out. */
export function headerListOf (record: Readonly<Record<string, number | HeaderValue | undefined>>): HeaderList {
  const list: Array<readonly [string, HeaderValue]> = []
  for (const [name, value] of Object.entries(record)) {
    if (value === undefined) continue
    list.push([name.toLowerCase(), typeof value === 'number' ? String(value) : value])
  }
  return list
}

/** The names that the Connection field declares to be bound to this connection (RFC 9110 §7.6.1). */
export function connectionOptions (headers: HeaderList): ReadonlySet<string> {
  const value = headerOf(headers, 'connection')
  return new Set(value === undefined ? [] : value.split(',').map((name) => name.trim().toLowerCase()))
}

export interface StripOptions {
  /** Fields that a qualified `no-cache="…"` or `private="…"` names (RFC 9111 §5.2.2.4, §5.2.2.7). */
  readonly cacheControl?: CacheControl
  /** Keep Set-Cookie (RFC 9111 §7.3 allows it). @default false */
  readonly keepSetCookie?: boolean
}

/**
 * The fields that may be stored (RFC 9111 §3.1): all, unknown ones too, except those of the connection, those that the
 * response itself withdraws by a qualified directive, and Set-Cookie, which is one user's.
 */
export function stripUnstorable (headers: HeaderList, options: StripOptions = {}): HeaderList {
  const bound = connectionOptions(headers)
  const withdrawn = new Set([
    ...options.cacheControl?.fields('no-cache') ?? [],
    ...options.cacheControl?.fields('private') ?? []
  ])
  return headers.filter(([name]) => !CONNECTION_BOUND.has(name) && !bound.has(name) && !withdrawn.has(name) &&
    (options.keepSetCookie === true || !SETS_COOKIES.has(name)))
}
