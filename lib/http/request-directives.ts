/**
 * The client's Cache-Control (RFC 9111 §5.2.1). Advisory, and by default not obeyed: a stranger must not be able to force
 * misses. These judges are for routes that trust their clients.
 */
import type { Milliseconds } from '../clock.ts'
import { parseCacheControl } from './cache-control.ts'
import type { CacheControl } from './cache-control.ts'
import { requestHeaderOf } from './headers.ts'
import type { RequestHeaders } from './headers.ts'

/** The request's directives; Pragma speaks where Cache-Control is absent (§5.4). */
export function requestCacheControl (headers: RequestHeaders): CacheControl {
  const value = headers['cache-control'] ?? (/(^|,)\s*no-cache\s*(,|$)/i.test(requestHeaderOf(headers, 'pragma') ?? '') ? 'no-cache' : undefined)
  return parseCacheControl(value)
}

/** The state of the stored response that a client is about to get. */
export interface Candidate {
  readonly ageMs: Milliseconds
  /** What is left of its freshness; negative: how long it has been stale. */
  readonly freshForMs: Milliseconds
  /** No stale use is allowed, whatever the client would take. */
  readonly mustRevalidate: boolean
}

export type ClientVerdict =
  /** `acceptsStale`: the client takes it although it is stale. */
  | { readonly serve: true, readonly acceptsStale: boolean }
  | { readonly serve: false, readonly reason: 'no-cache' | 'max-age' | 'min-fresh' }

/** Whether the client takes what is stored. */
export function judgeClientDirectives (request: CacheControl, candidate: Candidate): ClientVerdict {
  if (request.has('no-cache')) return { serve: false, reason: 'no-cache' }
  const maxAge = request.seconds('max-age')
  if (maxAge !== undefined && candidate.ageMs > maxAge * 1000) return { serve: false, reason: 'max-age' }
  const minFresh = request.seconds('min-fresh')
  if (minFresh !== undefined && candidate.freshForMs < minFresh * 1000) return { serve: false, reason: 'min-fresh' }
  return { serve: true, acceptsStale: acceptsStale(request, candidate) }
}

/** §5.2.1.2: max-stale without a number takes any staleness, unless the response forbids every stale use. */
function acceptsStale (request: CacheControl, { freshForMs, mustRevalidate }: Candidate): boolean {
  if (mustRevalidate || !request.grants('max-stale')) return false
  return request.bare('max-stale') || -freshForMs <= (request.seconds('max-stale') ?? 0) * 1000
}
