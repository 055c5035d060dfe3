import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Entry } from '../lib/entry.ts'
import { ageSeconds } from '../lib/http/age.ts'
import { judgeConditional, notModifiedHeaders, type StoredValidators } from '../lib/http/conditional.ts'
import { chosenRepresentation, representations, tagInCoding } from '../lib/http/encoding.ts'
import { headerOf } from '../lib/http/headers.ts'
import { judgeRange, partialResponse, unsatisfiableResponse } from '../lib/http/range.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { onFinalHeaders } from './final-headers.ts'

/**
 * What a request gets of a stored response: all of it, the part that was asked for, or nothing when the client has it
 * already (RFC 9110 §13.2.2 gives the order).
 * @param seen whether hooks of others see it on its way out; then nothing is cut from it
 */
export function responseFor (request: FastifyRequest, entry: Entry<StoredResponse>, seen: boolean): StoredResponse {
  const { headers } = request
  const chosen = entry.value.encoded === undefined ? entry.value : chosenRepresentation(entry.value, headers['accept-encoding']?.toString())
  return headers['if-none-match'] === undefined && headers['if-modified-since'] === undefined && headers.range === undefined
    ? chosen
    : asAsked(request, entry, chosen, seen)
}

/** Puts a response onto a reply, with the age of what is stored, and answers the payload to send. */
export function putStored (reply: FastifyReply, response: StoredResponse, { storedAtMs }: Entry, nowMs: number): string | Buffer | undefined {
  putHead(reply, response)
  reply.header('age', String(ageSeconds(0, storedAtMs, nowMs)))
  if (reply.request.method === 'HEAD' && (response.status === 304 || response.status === 204)) bareHead(reply)
  return response.body.length === 0 ? undefined : payloadOf(reply, response)
}

/** Status and fields. Whoever adds to a field in place adds to that of this reply. */
export function putHead (reply: FastifyReply, { status, headers }: Pick<StoredResponse, 'status' | 'headers'>): void {
  reply.code(status)
  for (const [name, value] of headers) reply.header(name, typeof value === 'string' ? value : [...value])
}

/** The payload as its handler sent it, which hooks may change, in place too. */
export function payloadOf (reply: FastifyReply, { body, text }: StoredResponse): string | Buffer {
  if (text !== true) return Buffer.from(body)
  // It has been serialised, by whatever a hook has chosen for this reply.
  reply.serializer(asItIs)
  return body.toString()
}

const asItIs = (payload: string): string => payload

/** Fastify gives the answer to a HEAD the length of the payload it gets, and that of nothing is no length of anything (RFC 9110 §8.6). */
function bareHead ({ raw }: FastifyReply): void {
  onFinalHeaders(raw, (_status, headers) => {
    delete headers['content-length']
    delete headers['content-type']
  }, () => {})
}

const NO_BODY = Buffer.alloc(0)

function asAsked ({ headers, method }: FastifyRequest, entry: Entry<StoredResponse>, chosen: StoredResponse, seen: boolean): StoredResponse {
  const stored = entry.value
  const validators = (response: StoredResponse): StoredValidators => ({ status: response.status, etag: headerOf(response.headers, 'etag'), lastModified: headerOf(response.headers, 'last-modified'), dateMs: entry.storedAtMs })
  // Whichever coding the client holds is still good: it is for the server to choose (RFC 9110 §12.1).
  const held = [chosen, ...stored.encoded === undefined ? [] : representations(stored)].find((each) => judgeConditional(headers, validators(each)) === 'not-modified')
  if (held !== undefined) return { status: 304, headers: notModifiedHeaders(held.headers), body: NO_BODY }
  if (method !== 'GET' || seen) return chosen
  // Parts are cut from the body as it was stored; those of a coded body could not be read by themselves.
  const range = judgeRange(headers.range, headers['if-range']?.toString(), { ...validators(stored), bytes: stored.body.length })
  if (range.kind === 'full') return chosen
  return range.kind === 'partial' ? partialResponse(stored, range.ranges) : unsatisfiableResponse(stored)
}

/**
 * Makes a 304 of a reply that its client has already, in whichever of these codings; answers whether it has. The tag that
 * goes out is the one that the client holds.
 */
export function putNotModified ({ headers }: FastifyRequest, reply: FastifyReply, codings: readonly string[], nowMs: number): boolean {
  const { statusCode: status } = reply
  if (status !== 200) return false
  const own = reply.getHeader('etag')?.toString()
  const lastModified = reply.getHeader('last-modified')?.toString()
  for (const etag of own === undefined ? [own] : [own, ...codings.map((coding) => tagInCoding(own, coding))]) {
    // What has been made this very moment is younger than whatever its client holds, unless its handler says since when it is as it is.
    if (judgeConditional(headers, { status, etag, lastModified, dateMs: lastModified === undefined ? undefined : nowMs }) === 'full') continue
    if (etag !== own) reply.header('etag', etag)
    reply.code(304).removeHeader('content-length').removeHeader('content-type')
    return true
  }
  return false
}
