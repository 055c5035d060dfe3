/**
 * Validating a stored response through the handler (RFC 9111 §4.3), the pure half: what to ask, and what the
 * answer changes. The client's own conditions are kept aside meanwhile and judged afterwards.
 */
import type { EpochMs } from '../clock.ts'
import { headerOf, requestHeaderOf } from './headers.ts'
import type { HeaderList, HeaderValue, RequestHeaders } from './headers.ts'
import { formatHttpDate } from './http-date.ts'
import { stripUnstorable } from './response.ts'
import type { StoredResponse, StripOptions } from './response.ts'

/** Request fields that must not reach the handler of a cacheable request: they would turn the fill into a 304 or a 206. */
export const CLIENT_CONDITIONS: ReadonlySet<string> = new Set([
  'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'range'
])

/** The conditions of a client, for a handler that is to judge them itself; `undefined` where there are none. */
export function clientConditions (request: RequestHeaders): Readonly<Record<string, string>> | undefined {
  const conditions: Record<string, string> = {}
  for (const name of CLIENT_CONDITIONS) {
    const value = requestHeaderOf(request, name)
    if (value !== undefined) conditions[name] = value
  }
  return Object.keys(conditions).length === 0 ? undefined : conditions
}

/** The fields that ask whether a stored response still holds (§4.3.1); empty when it has no validator. */
export function validatorsOf (stored: StoredResponse): Readonly<Record<string, string>> {
  const validators: Record<string, string> = {}
  const etag = headerOf(stored.headers, 'etag')
  if (etag !== undefined) validators['if-none-match'] = etag
  const lastModified = headerOf(stored.headers, 'last-modified')
  if (lastModified !== undefined) validators['if-modified-since'] = lastModified
  return validators
}

export interface UpdateOptions extends StripOptions {
  /** When the answer came; becomes the Date where it has none (RFC 9110 §6.6.1). */
  readonly receivedAtMs?: EpochMs
  /** The stored body is in another coding than the handler's, so the fields that describe it stay. @default false */
  readonly transformed?: boolean
}

/** Fields that say how the stored bytes are to be read (§3.2). */
const DESCRIBES_BODY: ReadonlySet<string> = new Set(['content-encoding', 'content-type', 'content-range'])

/**
 * The stored response after a 304, or the 200 to a HEAD (RFC 9111 §3.2, §4.3.4): each field that the answer carries
 * replaces all lines of its name, in place; others stay; Content-Length stays, being that of the stored body. An Age that
 * the answer does not repeat is gone: the response is as old as its validation.
 */
export function updateStored (stored: StoredResponse, answer: HeaderList, options: UpdateOptions = {}): StoredResponse {
  const next = new Map<string, HeaderValue[]>()
  for (const [name, value] of stripUnstorable(answer, options)) {
    if (name === 'content-length' || (options.transformed === true && DESCRIBES_BODY.has(name))) continue
    next.set(name, [...next.get(name) ?? [], value])
  }
  if (!next.has('date') && options.receivedAtMs !== undefined) next.set('date', [formatHttpDate(options.receivedAtMs)])

  const headers: Array<readonly [string, HeaderValue]> = []
  const replaced = new Set<string>()
  for (const field of stored.headers) {
    const [name] = field
    const values = next.get(name)
    if (values === undefined) {
      if (name !== 'age') headers.push(field)
    } else if (!replaced.has(name)) {
      replaced.add(name)
      for (const value of values) headers.push([name, value])
    }
  }
  for (const [name, values] of next) {
    if (replaced.has(name)) continue
    for (const value of values) headers.push([name, value])
  }
  return { ...stored, headers }
}

/**
 * What a 200 to a HEAD that went to the handler tells about a stored GET (§4.3.5): it is `stale` if a validator or the
 * length differs; `update` it if a validator agrees. (The RFC would update on no validator at all; that proves nothing.)
 */
export function judgeHead (stored: StoredResponse, head: HeaderList): 'update' | 'stale' | 'unknown' {
  let proven = false
  for (const name of ['etag', 'last-modified'] as const) {
    const value = headerOf(head, name)
    if (value === undefined) continue
    if (value !== headerOf(stored.headers, name)) return 'stale'
    proven = true
  }
  const length = headerOf(head, 'content-length')
  if (length !== undefined && length !== String(stored.body.length)) return 'stale'
  return proven ? 'update' : 'unknown'
}
