import type { FastifyReply } from 'fastify'
import { downstreamCacheControl } from '../lib/http/downstream.ts'
import { makeEtag } from '../lib/http/etag.ts'
import { headerListOf, headerOf, type HeaderList, type HeaderValue } from '../lib/http/headers.ts'
import { addToVary, type EffectiveVary } from '../lib/http/vary.ts'
import type { ReplyHeaders } from './exchange.ts'
import type { RoutePolicy } from './route-options.ts'

/** What the cache counts anew for every answer. Its own word in Cache-Status is not there yet when headers are taken. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['age', 'content-length'])

/** Where the id of one request stands, which would lead whoever traces a later request to that one. */
const TRACES: ReadonlySet<string> = new Set(['request-id', 'x-request-id', 'correlation-id', 'x-correlation-id', 'x-trace-id', 'traceparent', 'tracestate', 'x-amzn-trace-id', 'x-b3-traceid', 'x-b3-spanid'])

/** What the handler, and the hooks between the lookup and the capture, have added to the reply: all that a hit has to replay. */
export function addedHeaders (before: ReplyHeaders, after: ReplyHeaders): HeaderList {
  return headerListOf(after)
    .filter(([name, value]) => !OWN_FIELDS.has(name) && !TRACES.has(name) && String(before[name]) !== String(value))
    .map((pair) => pair[0] === 'set-cookie' ? [pair[0], cookiesBeside(before['set-cookie'], pair[1])] : pair)
}

/** The headers of a reply as they are now. Fastify puts the cookies that come later into the array that it has. */
export function headersNow (reply: FastifyReply): ReplyHeaders {
  const headers: ReplyHeaders = reply.getHeaders()
  const cookies = headers['set-cookie']
  if (Array.isArray(cookies)) headers['set-cookie'] = [...cookies as readonly string[]]
  return headers
}

/** Each cookie is a line of its own: those of hooks are one visitor's, and stand among those of the handler. */
function cookiesBeside (before: ReplyHeaders[string], after: HeaderValue): HeaderValue {
  if (before === undefined) return after
  const theirs = new Set([before].flat().map(String))
  return [after].flat().filter((cookie) => !theirs.has(cookie))
}

/** Makes the headers of a reply again what they were. */
export function setBack (reply: FastifyReply, before: ReplyHeaders): void {
  // Cookies would be added to those that are there.
  for (const name of Object.keys(reply.getHeaders())) if (before[name] === undefined || name === 'set-cookie') reply.removeHeader(name)
  for (const [name, value] of Object.entries(before)) if (value !== undefined) reply.header(name, value as string)
}

/**
 * Tells caches behind us which request headers the response was chosen by: those in the key of the route, and Origin where
 * the response allows a single one. (Cookies and partitions go out as `private` instead.)
 */
export function varyOnKey (reply: FastifyReply, policy: RoutePolicy, vary: EffectiveVary): void {
  const names = vary === 'star' ? [] : vary.names
  for (const name of [...ownVaryOf(policy), ...names]) reply.header('vary', addToVary(reply.getHeader('vary')?.toString(), name))
}

/** What the route itself lets its responses vary on, whatever the handler says. */
export function ownVaryOf ({ headers, precompress }: RoutePolicy): readonly string[] {
  // Hits of such a route differ by what the client can decode, and who keeps this answer must know (RFC 9110 §12.5.5).
  return precompress.length === 0 ? headers : [...headers, 'Accept-Encoding']
}

/** The Cache-Control of a response where its handler has said `handlerSaid`, or nothing; `undefined`: the handler's. */
export function ownCacheControl ({ clientTtlSeconds, partition, cookies }: RoutePolicy, handlerSaid?: string): string | undefined {
  return downstreamCacheControl({ handlerSaid, clientTtlSeconds, partitioned: partition !== undefined || cookies.length > 0 })
}

/** Whether the hooks behind ours have surely left the headers alone: a list may have grown. The length is Fastify's to add. */
export function headersUnchanged (ours: ReplyHeaders, final: ReplyHeaders): boolean {
  for (const name in final) if ((final[name] !== ours[name] && name !== 'content-length') || Array.isArray(final[name])) return false
  for (const name in ours) if (!(name in final)) return false
  return true
}

/** The headers with an entity-tag, for a body that was not known when they were sent. */
export function withEtag (headers: HeaderList, status: number, body: Buffer): HeaderList {
  return status === 200 && body.length > 0 && headerOf(headers, 'etag') === undefined ? [...headers, ['etag', makeEtag(body)]] : headers
}
