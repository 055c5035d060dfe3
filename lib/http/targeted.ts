import { cacheControlOf, MAX_CACHE_CONTROL_LENGTH, parseCacheControl } from './cache-control.ts'
import type { CacheControl, Directive } from './cache-control.ts'
import { MAX_DELTA_SECONDS } from './delta-seconds.ts'
import { headerOf, linesOf } from './headers.ts'
import type { HeaderList } from './headers.ts'
import { sfDictionary } from './structured-fields.ts'
import type { SfBareItem } from './structured-fields.ts'

/**
 * The first valid, non-empty field of an ordered target list (RFC 9213 §2.2); the caller then ignores Cache-Control and
 * Expires. `undefined` when there is none: an empty or unparsable field is ignored as a whole (§2.1), while one beyond the
 * cap of Cache-Control forbids storing like that.
 */
export function targetedCacheControl (headers: HeaderList, targets: readonly string[]): CacheControl | undefined {
  for (const target of targets) {
    const text = headerOf(headers, target)
    if (text === undefined) continue
    // Nobody reads all of it, and there may be a no-store among it.
    if (text.length > MAX_CACHE_CONTROL_LENGTH) return UNREAD
    const dictionary = sfDictionary(text)
    if (dictionary === undefined || dictionary.size === 0) continue
    return cacheControlOf(directivesOf(dictionary))
  }
  return undefined
}

const UNREAD = parseCacheControl('no-store')

/** By what a response lives. */
export interface Governing {
  readonly cacheControl: CacheControl
  /** The directives are those of a targeted field, so Expires is silenced with Cache-Control. */
  readonly targeted: boolean
}

/** The directives of the targeted field that counts, if there is one, else those of Cache-Control. */
export function governing (headers: HeaderList, targets: readonly string[]): Governing {
  const targeted = targetedCacheControl(headers, targets)
  return targeted === undefined ? { cacheControl: parseCacheControl(linesOf(headers, 'cache-control')), targeted: false } : { cacheControl: targeted, targeted: true }
}

const DELTAS: ReadonlySet<string> = new Set(['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'])
const RESTRICTIVE: ReadonlySet<string> = new Set(['no-store', 'no-cache', 'private', 'must-revalidate', 'proxy-revalidate'])

/**
 * A value of the wrong type is not consumed (RFC 9213 §2.1): `max-age="60"` is as good as absent. A restriction counts
 * whatever its value, unless that is false: its author had a reason.
 */
function directivesOf (dictionary: ReadonlyMap<string, SfBareItem>): ReadonlyMap<string, Directive> {
  const directives = new Map<string, Directive>()
  for (const [name, value] of dictionary) {
    if (DELTAS.has(name)) {
      if (typeof value !== 'number' || !Number.isInteger(value)) continue
      directives.set(name, { seconds: Math.min(Math.max(0, value), MAX_DELTA_SECONDS), fields: undefined, malformed: value < 0, bare: false })
    } else if (value === true || (RESTRICTIVE.has(name) && value !== false)) {
      directives.set(name, { seconds: 0, fields: undefined, malformed: value !== true, bare: value === true })
    }
  }
  return directives
}
