import type { EpochMs } from '../lib/clock.ts'
import type { Entry } from '../lib/entry.ts'
import { judgeClientDirectives, requestCacheControl } from '../lib/http/request-directives.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { staleBar } from '../lib/http/staleness.ts'
import { sharesWithCredentials } from '../lib/http/storable.ts'
import { directivesOfHandler } from './stored-directives.ts'
import type { Visit } from './visit.ts'

/**
 * What becomes of a request that is not like all others. `usual`: nothing sets it apart after all; `stale`: its client
 * takes what is stored although it is stale; `alone`: the handler runs for it, and nobody waits; `bypass`: what is stored
 * is not for it; `unavailable`: its client wants nothing but what is stored, and that is not there (RFC 9111 §5.2.1.7).
 */
export type Wish =
  | { readonly kind: 'usual' | 'stale' | 'bypass' | 'unavailable' }
  | { readonly kind: 'alone', readonly alone: true, /** The stored response would do, were it not for the client's directives. */ readonly declined: boolean, readonly storable: boolean }

const USUAL: Wish = Object.freeze({ kind: 'usual' })

/** Whether a request has to be asked what it wants: it carries credentials, or its route obeys its directives. */
export function isParticular ({ headers }: Visit['request'], { http }: Visit['policy'], credentialed: boolean): boolean {
  return credentialed || (http.requestDirectives && (headers['cache-control'] !== undefined || headers.pragma !== undefined))
}

/** What a particular request is to get, with or without a stored response at hand. */
export function judgeWish ({ policy, request, credentialed }: Visit, entry: Entry<StoredResponse> | undefined, nowMs: EpochMs): Wish {
  if (credentialed && entry !== undefined && !sharesWithCredentials(directivesOfHandler(entry.value, policy))) return { kind: 'bypass' }
  const atHand = entry !== undefined && nowMs < Math.max(entry.freshUntilMs, entry.staleWhileRevalidateUntilMs)
  const wish = policy.http.requestDirectives ? judgeDirectives({ policy, request }, entry, atHand, nowMs) : USUAL
  return wish.kind === 'usual' && credentialed && !atHand ? { kind: 'alone', alone: true, declined: false, storable: true } : wish
}

function judgeDirectives ({ policy, request }: Pick<Visit, 'policy' | 'request'>, entry: Entry<StoredResponse> | undefined, atHand: boolean, nowMs: EpochMs): Wish {
  const wanted = requestCacheControl(request.headers)
  const verdict = entry === undefined
    ? undefined
    : judgeClientDirectives(wanted, {
      ageMs: nowMs - entry.storedAtMs,
      freshForMs: entry.freshUntilMs - nowMs,
      mustRevalidate: staleBar(directivesOfHandler(entry.value, policy), policy.http) !== undefined
    })
  if (verdict?.serve === true) {
    if (atHand) return USUAL
    if (verdict.acceptsStale) return { kind: 'stale' }
  }
  if (wanted.has('only-if-cached')) return { kind: 'unavailable' }
  const declined = verdict?.serve === false
  const storable = !wanted.has('no-store')
  return declined || !storable ? { kind: 'alone', alone: true, declined, storable } : USUAL
}
