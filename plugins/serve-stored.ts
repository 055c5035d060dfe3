import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Entry } from '../lib/entry.ts'
import { ageSeconds } from '../lib/http/age.ts'
import { judgeConditional, notModifiedHeaders } from '../lib/http/conditional.ts'
import { headerOf } from '../lib/http/headers.ts'
import { judgeRange, partialResponse, unsatisfiableResponse } from '../lib/http/range.ts'
import type { StoredResponse } from '../lib/http/response.ts'

/**
 * Puts a stored response onto a reply and answers the payload to send: all of it, the part that was asked for, or
 * nothing when the client has it already (RFC 9110 §13.2.2 gives the order).
 */
export function putStored (request: FastifyRequest, reply: FastifyReply, entry: Entry<StoredResponse>, nowMs: number): Buffer | undefined {
  const { headers } = request
  const response: StoredResponse = headers['if-none-match'] === undefined && headers['if-modified-since'] === undefined && headers.range === undefined
    ? entry.value
    : asAsked(request, entry)
  reply.code(response.status)
  for (const [name, value] of response.headers) reply.header(name, value)
  reply.header('age', String(ageSeconds(0, entry.storedAtMs, nowMs)))
  return response.body.length === 0 ? undefined : response.body
}

const NO_BODY = Buffer.alloc(0)

function asAsked ({ headers, method }: FastifyRequest, entry: Entry<StoredResponse>): StoredResponse {
  const response = entry.value
  const validators = { status: response.status, etag: headerOf(response.headers, 'etag'), lastModified: headerOf(response.headers, 'last-modified'), dateMs: entry.storedAtMs }
  if (judgeConditional(headers, validators) === 'not-modified') return { status: 304, headers: notModifiedHeaders(response.headers), body: NO_BODY }
  if (method !== 'GET') return response
  const range = judgeRange(headers.range, headers['if-range']?.toString(), { ...validators, bytes: response.body.length })
  if (range.kind === 'full') return response
  return range.kind === 'partial' ? partialResponse(response, range.ranges) : unsatisfiableResponse(response)
}
