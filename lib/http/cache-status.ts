/** Cache-Status (RFC 9211): one member of a Structured Fields list for each cache on the way, the nearest to the origin first. */
import type { Seconds } from '../clock.ts'
import type { HeaderValue } from './headers.ts'
import { SF_TOKEN, sfString } from './structured-fields.ts'

/** Why a request went on to the handler (RFC 9211 §2.2), the most specific word that fits. */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial'

export interface CacheStatusHit {
  readonly hit: true
  /** What is left of the lifetime; negative once stale (§2.4). */
  readonly ttl?: Seconds | undefined
  readonly key?: string | undefined
  readonly detail?: string | undefined
}

export interface CacheStatusForward {
  readonly hit?: false
  readonly fwd: ForwardReason
  /** What the handler answered, where that differs from what the client gets (§2.3). */
  readonly fwdStatus?: number | undefined
  readonly ttl?: Seconds | undefined
  /** Whether the answer was stored (§2.5). */
  readonly stored?: boolean | undefined
  /** Whether the request waited for another one; `false` when that was of no use (§2.6). */
  readonly collapsed?: boolean | undefined
  readonly key?: string | undefined
  readonly detail?: string | undefined
}

/** The member of one cache. `hit` and `fwd` exclude each other (§2.1). */
export function cacheStatusMember (name: string, status: CacheStatusHit | CacheStatusForward): string {
  if (status.hit === true) {
    return hitMember(cacheStatusName(name), status.ttl) + keyAndDetail(status)
  }
  let member = `${cacheStatusName(name)};fwd=${status.fwd}`
  if (status.fwdStatus !== undefined) member += `;fwd-status=${status.fwdStatus}`
  if (status.ttl !== undefined) member += `;ttl=${Math.floor(status.ttl)}`
  if (status.stored === true) member += ';stored'
  if (status.collapsed !== undefined) member += status.collapsed ? ';collapsed' : ';collapsed=?0'
  return member + keyAndDetail(status)
}

/** A cache's name as it stands in the field: a Token where it can be one, else a String (§2). Made once, used on every hit. */
export function cacheStatusName (name: string): string {
  return SF_TOKEN.test(name) ? name : sfString(name)
}

/** The member of a plain hit, from a name that `cacheStatusName` has made ready. */
export function hitMember (readyName: string, ttl?: Seconds): string {
  return ttl === undefined ? readyName + ';hit' : readyName + ';hit;ttl=' + Math.floor(ttl)
}

/** Puts a member behind those of the caches nearer to the origin, which are kept (§2). */
export function appendCacheStatus (existing: HeaderValue | undefined, member: string): string {
  if (existing === undefined || existing.length === 0) return member
  return (typeof existing === 'string' ? existing : existing.join(', ')) + ', ' + member
}

/** A field is no place for a whole URL of 16 KB. */
const MAX_TEXT_LENGTH = 512

/** A key is a String (§2.7), a detail a Token or a String (§2.8). Both may tell more than a stranger should know (§6). */
function keyAndDetail ({ key, detail }: CacheStatusHit | CacheStatusForward): string {
  return (key === undefined ? '' : `;key=${sfString(key.slice(0, MAX_TEXT_LENGTH))}`) +
    (detail === undefined ? '' : `;detail=${SF_TOKEN.test(detail) && detail.length <= MAX_TEXT_LENGTH ? detail : sfString(detail.slice(0, MAX_TEXT_LENGTH))}`)
}
