import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EpochMs } from '../lib/clock.ts'
import type { Found } from '../lib/engine/response-cache.ts'
import type { Explanation } from '../routes/explain.ts'
import { countedTarget, dimensions, partitionOf, type BypassReason } from './admission.ts'
import type { RoutePolicy } from './route-options.ts'

export const BYPASS_WORDS: Readonly<Record<BypassReason, string>> = {
  method: 'Only GET and HEAD are answered from the cache',
  'unclean-target': 'Only a plain path and query is cached: no //, no dot segments, no backslash, no fragment, nothing but visible ASCII',
  'invalid-host': 'The Host header is not the name of a host in lower case, or a proxy names a scheme that is none',
  upgrade: 'The request asks for a WebSocket',
  'request-body': 'The request has a body, which could change the answer and is not in the key',
  credentials: 'The request carries credentials, and the route is neither public nor does it say to whom a response belongs (partition)',
  'no-partition': 'The partition of the route has no answer for this request',
  moved: 'A refresh in the background came to be for somebody else than the response that it was to renew'
}

/** What a lookup would make of what it found. */
export function judgeFound ({ entry, varyMiss }: Found, nowMs: EpochMs, uncacheable: boolean): Pick<Explanation, 'verdict' | 'reason' | 'why'> {
  if (entry === undefined) {
    if (uncacheable) return { verdict: 'miss', reason: 'hit-for-miss', why: 'The last response could not be stored, so requests go straight to the handler for a while; its Cache-Status says why' }
    return varyMiss
      ? { verdict: 'miss', reason: 'vary-miss', why: 'There are stored variants, but none for the headers of this request' }
      : { verdict: 'miss', reason: 'uri-miss', why: 'Nothing is stored for this key, or a purge has taken it' }
  }
  if (nowMs < entry.freshUntilMs) return { verdict: 'fresh', reason: 'fresh', why: 'The stored response is fresh, and no purge has touched it' }
  if (nowMs < entry.staleWhileRevalidateUntilMs) return { verdict: 'stale', reason: 'stale-while-revalidate', why: 'The stored response would be served while one refresh runs' }
  if (nowMs >= entry.staleIfErrorUntilMs) return { verdict: 'stale', reason: 'revalidate', why: 'The handler would be asked whether the stored response still holds' }
  return { verdict: 'stale', reason: 'stale-if-error', why: 'The handler would be asked; the stored response would be served if it fails' }
}

/** What the key of a request is made of. */
export function inputsOf (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): NonNullable<Explanation['inputs']> {
  const rest = dimensions(request, policy, partitionOf(request, reply, policy)) ?? []
  return { scheme: request.protocol, host: request.host.toLowerCase(), target: countedTarget(request, policy), ...Object.fromEntries(rest.map(([name, value]) => [name, value ?? null])) }
}
