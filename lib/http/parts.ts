/** A 206 as a part of its representation: what it holds, what can be cut from it, and how two are joined (RFC 9111 §3.3, §3.4). */
import type { EpochMs } from '../clock.ts'
import type { ByteRange } from './byteranges.ts'
import { parseEntityTag, strongMatch } from './etag.ts'
import { headerOf } from './headers.ts'
import type { HeaderList } from './headers.ts'
import { contentRange, judgeRange, partialResponse } from './range.ts'
import type { StoredResponse } from './response.ts'

/** Which bytes of how many. */
export interface Part extends ByteRange { readonly complete: number }

const CONTENT_RANGE = /^bytes[ \t]+(\d{1,15})-(\d{1,15})\/(\d{1,15})$/i
const SINGLE_RANGE = /^[ \t]*bytes[ \t]*=[ \t]*(?:\d+-\d*|-\d+)[ \t]*$/i

/** Whether a Range asks for one part, which a single 206 can answer. */
export function isSingleRange (range: string | undefined): boolean {
  return range !== undefined && SINGLE_RANGE.test(range)
}

/** What Content-Range says (RFC 9110 §14.4); `undefined` for several parts, an unknown length, and what cannot be. */
export function partOf (headers: HeaderList): Part | undefined {
  const [, start, end, complete] = (CONTENT_RANGE.exec(headerOf(headers, 'content-range')?.trim() ?? '') ?? []).map(Number)
  if (start === undefined || end === undefined || complete === undefined) return undefined
  return start <= end && end < complete ? { start, end, complete } : undefined
}

/** What a Range asks for, cut from a stored part; `undefined` where that does not hold all of it (§3.3). */
export function cutFromPart (stored: StoredResponse, range: string | undefined, ifRange: string | undefined, dateMs: EpochMs): StoredResponse | undefined {
  const { headers } = stored
  const part = partOf(headers)
  if (part === undefined) return undefined
  const verdict = judgeRange(range, ifRange, { status: 200, bytes: part.complete, etag: headerOf(headers, 'etag'), lastModified: headerOf(headers, 'last-modified'), dateMs })
  if (verdict.kind !== 'partial') return undefined
  return verdict.ranges.every(({ start, end }) => part.start <= start && end <= part.end) ? partialResponse(stored, verdict.ranges, part) : undefined
}

/**
 * Two parts as one, where they are of the same representation by a strong entity-tag and no byte between them is missing
 * (RFC 9110 §15.3.7.3); `undefined` otherwise. The fields are those of the later one (RFC 9111 §3.4). A whole is a 200.
 */
export function joinParts (earlier: StoredResponse, later: StoredResponse): StoredResponse | undefined {
  const [one, other] = [partOf(earlier.headers), partOf(later.headers)]
  if (one === undefined || other?.complete !== one.complete || !isSameRepresentation(earlier.headers, later.headers)) return undefined
  if (other.start > one.end + 1 || one.start > other.end + 1) return undefined
  const joined = { start: Math.min(one.start, other.start), end: Math.max(one.end, other.end) }
  const body = Buffer.alloc(joined.end - joined.start + 1)
  earlier.body.copy(body, one.start - joined.start)
  later.body.copy(body, other.start - joined.start)
  const headers = later.headers.filter(([name]) => name !== 'content-range' && name !== 'content-length')
  if (body.length === one.complete) return { status: 200, headers, body }
  return { status: 206, headers: [...headers, ['content-range', contentRange(joined, one.complete)]], body }
}

function isSameRepresentation (a: HeaderList, b: HeaderList): boolean {
  const [tag, other] = [parseEntityTag(headerOf(a, 'etag') ?? ''), parseEntityTag(headerOf(b, 'etag') ?? '')]
  return tag !== undefined && other !== undefined && strongMatch(tag, other)
}
