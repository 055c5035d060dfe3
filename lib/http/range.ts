/** Byte ranges of a stored response (RFC 9110 §14). */
import { hash } from 'node:crypto'
import type { EpochMs } from '../clock.ts'
import { multipartByteranges } from './byteranges.ts'
import type { ByteRange } from './byteranges.ts'
import { parseEntityTag, strongMatch } from './etag.ts'
import { headerOf } from './headers.ts'
import type { HeaderList } from './headers.ts'
import { parseHttpDate } from './http-date.ts'
import type { StoredResponse } from './response.ts'

export type RangeVerdict =
  | { readonly kind: 'full' }
  | { readonly kind: 'partial', readonly ranges: readonly ByteRange[] }
  | { readonly kind: 'unsatisfiable' }

/** What a range is cut from. */
export interface RangeSubject {
  readonly status: number
  readonly bytes: number
  readonly etag?: string | undefined
  readonly lastModified?: string | undefined
  readonly dateMs?: EpochMs | undefined
}

const FULL: RangeVerdict = Object.freeze({ kind: 'full' })
const UNSATISFIABLE: RangeVerdict = Object.freeze({ kind: 'unsatisfiable' })

/** More ranges than this are no viewer's seek, but an attack or a mistake; RFC 9110 §14.2 lets us send the whole. */
const MAX_RANGES = 16
const MAX_RANGE_LENGTH = 1024

/** A Last-Modified is a strong validator only if it lies well before the Date beside it (§8.8.2.2). */
const STRONG_AFTER_MS = 1000

/**
 * What a Range asks for. Ask only for GET, and only when no condition has made the answer a 304 (§13.2.2, §14.2). An
 * unknown unit, a malformed set, and ranges that overlap to more than the whole are ignored.
 */
export function judgeRange (range: string | undefined, ifRange: string | undefined, subject: RangeSubject): RangeVerdict {
  if (range === undefined || subject.status !== 200 || subject.bytes === 0) return FULL
  if (ifRange !== undefined && !ifRangeHolds(ifRange, subject)) return FULL
  const wanted = parseRanges(range, subject.bytes)
  if (wanted === undefined) return FULL
  const ranges = wanted.filter(({ start, end }) => start <= end)
  if (ranges.length === 0) return UNSATISFIABLE
  const total = ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0)
  return total > subject.bytes ? FULL : { kind: 'partial', ranges }
}

/** §13.1.5: an entity-tag by strong comparison, or a date that is exactly a strong Last-Modified. */
function ifRangeHolds (ifRange: string, { etag, lastModified, dateMs }: RangeSubject): boolean {
  const tag = parseEntityTag(ifRange)
  if (tag !== undefined) {
    const own = etag === undefined ? undefined : parseEntityTag(etag)
    return own !== undefined && strongMatch(tag, own)
  }
  const sinceMs = parseHttpDate(ifRange, dateMs)
  const changedMs = lastModified === undefined ? undefined : parseHttpDate(lastModified, dateMs)
  return sinceMs !== undefined && sinceMs === changedMs && dateMs !== undefined && dateMs - changedMs >= STRONG_AFTER_MS
}

/** Each range within the representation; one that starts behind its end comes out empty, `start > end`. */
function parseRanges (range: string, bytes: number): ByteRange[] | undefined {
  if (range.length > MAX_RANGE_LENGTH) return undefined
  const equals = range.indexOf('=')
  // Range units are matched without case (§14.1).
  if (range.slice(0, equals).trim().toLowerCase() !== 'bytes') return undefined
  const ranges: ByteRange[] = []
  for (const member of range.slice(equals + 1).split(',')) {
    const spec = member.trim()
    if (spec === '') continue
    const parts = /^(\d*)-(\d*)$/.exec(spec)
    if (parts === null || spec === '-') return undefined
    const [, first = '', last = ''] = parts
    if (first === '') {
      ranges.push({ start: Math.max(0, bytes - Number(last)), end: bytes - 1 })
    } else {
      if (last !== '' && Number(last) < Number(first)) return undefined
      ranges.push({ start: Number(first), end: last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1) })
    }
  }
  return ranges.length === 0 || ranges.length > MAX_RANGES ? undefined : ranges
}

/**
 * The 206 that carries these ranges (§15.3.7): one as it is, several as multipart/byteranges.
 * @param from where in the whole the stored body begins, and how long that is. @default the stored body is all of it
 */
export function partialResponse (stored: StoredResponse, ranges: readonly ByteRange[], from = { start: 0, complete: stored.body.length }): StoredResponse {
  const { headers, body } = stored
  const [only] = ranges
  if (only !== undefined && ranges.length === 1) {
    const part = body.subarray(only.start - from.start, only.end + 1 - from.start)
    return { status: 206, body: part, headers: sized(headers, part, [['content-range', contentRange(only, from.complete)]]) }
  }
  // Made from the whole body, so that no body can contain it on purpose.
  const boundary = hash('sha256', body, 'base64url').slice(0, 32)
  const parts = multipartByteranges(body, ranges, headerOf(headers, 'content-type'), boundary)
  // §15.3.7.2: a Content-Range in the head would claim one range for all parts.
  const rest = headers.filter(([name]) => name !== 'content-type')
  return { status: 206, body: parts, headers: sized(rest, parts, [['content-type', `multipart/byteranges; boundary=${boundary}`]]) }
}

/** The 416 that tells how long the representation is (§15.5.17). */
export function unsatisfiableResponse (stored: StoredResponse): StoredResponse {
  const kept = stored.headers.filter(([name]) => !name.startsWith('content-') && name !== 'etag' && name !== 'last-modified')
  const body = Buffer.alloc(0)
  return { status: 416, body, headers: sized(kept, body, [['content-range', `bytes */${stored.body.length}`]]) }
}

/** `bytes 0-99/1234` (§14.4). */
export function contentRange ({ start, end }: ByteRange, bytes: number): string {
  return `bytes ${start}-${end}/${bytes}`
}

function sized (headers: HeaderList, body: Buffer, added: HeaderList): HeaderList {
  const kept = headers.filter(([name]) => name !== 'content-length' && name !== 'content-range')
  return [...kept, ...added, ['content-length', String(body.length)]]
}
