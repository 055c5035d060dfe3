import type { EpochMs } from '../clock.ts'
import { parseEntityTag, parseEntityTagList, weakMatch } from './etag.ts'
import { parseHttpDate } from './http-date.ts'
import { requestHeaderOf } from './headers.ts'
import type { HeaderList, RequestHeaders } from './headers.ts'

/** What a condition is compared with. */
export interface StoredValidators {
  readonly status: number
  /** The ETag field as stored. */
  readonly etag?: string | undefined
  /** The Last-Modified field as stored. */
  readonly lastModified?: string | undefined
  /** When the response was born; stands in for a missing Last-Modified, if the condition names a later second (RFC 9111 §4.3.2). */
  readonly dateMs?: EpochMs | undefined
}

/**
 * Whether the client's conditions are met by what is stored (RFC 9110 §13.2.2, RFC 9111 §4.3.2). Only a 200, or
 * a 206, can become a 304 (§13.2.1), and only for GET and HEAD; If-Match and If-Unmodified-Since are not a cache's to evaluate.
 */
export function judgeConditional (request: RequestHeaders, stored: StoredValidators): 'full' | 'not-modified' {
  if (stored.status !== 200 && stored.status !== 206) return 'full'
  const ifNoneMatch = requestHeaderOf(request, 'if-none-match')
  if (ifNoneMatch !== undefined) return noneMatch(ifNoneMatch, stored.etag) ? 'full' : 'not-modified'
  // §13.1.3: evaluated only without If-None-Match, and only if it is a date.
  const ifModifiedSince = requestHeaderOf(request, 'if-modified-since')
  const sinceMs = ifModifiedSince === undefined ? undefined : parseHttpDate(ifModifiedSince, stored.dateMs)
  if (sinceMs === undefined) return 'full'
  // What the client holds may be of the same second as what is stored, and older: a purge in between leaves no trace in a Date.
  if (stored.lastModified === undefined) return stored.dateMs !== undefined && stored.dateMs < sinceMs ? 'not-modified' : 'full'
  const changedMs = parseHttpDate(stored.lastModified, stored.dateMs)
  return changedMs !== undefined && changedMs <= sinceMs ? 'not-modified' : 'full'
}

/** §13.1.2: weak comparison; `*` matches whatever is stored. */
function noneMatch (ifNoneMatch: string, etag: string | undefined): boolean {
  const tags = parseEntityTagList(ifNoneMatch)
  if (tags === '*') return false
  const own = etag === undefined ? undefined : parseEntityTag(etag)
  return own === undefined || !tags.some((tag) => weakMatch(tag, own))
}

/**
 * The stored fields that a 304 repeats (RFC 9110 §15.4.5), and those that tell a browser whether its script may read the
 * answer. Other metadata of the representation stays away: the client has it.
 */
export const NOT_MODIFIED_HEADERS: ReadonlySet<string> = new Set([
  'cache-control', 'content-location', 'date', 'etag', 'expires', 'vary', 'age', 'cache-status',
  'access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers', 'timing-allow-origin'
])

/** The stored fields to send with a 304. */
export function notModifiedHeaders (headers: HeaderList): HeaderList {
  const hasEtag = headers.some(([name]) => name === 'etag')
  // Last-Modified is of use only where there is no better validator (§15.4.5).
  return headers.filter(([name]) => NOT_MODIFIED_HEADERS.has(name) || (name === 'last-modified' && !hasEtag))
}
