import type { Seconds } from '../clock.ts'
import { errors, shown } from '../errors.ts'
import { refuseUnknown } from '../unknown-option.ts'
import { durationMs } from './load-options.ts'

/** Purges as they are handed on to a CDN. */
export interface HandedPurge {
  /** Tags and keys, which share their names, spelled as in the tag header of the responses they take. */
  readonly tags: readonly string[]
  /** Paths, whatever the host and the query. A trailing `*` takes all below. */
  readonly paths: readonly string[]
  /** Globs over keys. No CDN has such; what they take is for the app to say. */
  readonly patterns: readonly string[]
  /** Everything there is; the lists are empty then. */
  readonly everything: boolean
  /** Stale instead of gone. */
  readonly soft: boolean
}

/** Tells a CDN what is not true any more. What it throws is tried again, and told as a `fault` in the end. */
export type HandPurgeOn = (purge: HandedPurge, context: { readonly signal: AbortSignal }) => unknown

/** How the tags of a response are called for a CDN. */
export type TagHeader = 'Surrogate-Key' | 'Cache-Tag'

/** A CDN in front of the app. */
export interface CdnOptions {
  /** The header in which responses name the tags and keys they are made of; the plugin adds it. @default none */
  tagHeader?: TagHeader
  /** Takes what is purged in this process on to the CDN, one call at a time. @default nobody */
  purge?: HandPurgeOn
  /** Whether a purge, and the answer to the request that made it, waits until the CDN knows. @default false */
  wait?: boolean
  /** Seconds that a call may take. @default 10 */
  timeout?: Seconds
}

const NAMES: ReadonlySet<string> = new Set(['tagHeader', 'purge', 'wait', 'timeout'] satisfies Array<keyof CdnOptions>)

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_OPTION_CONFLICT */
export function checkCdn (given: unknown): CdnOptions {
  if (given === undefined) return {}
  if (typeof given !== 'object' || given === null) throw new errors.FST_ERR_CACHE_OPTION('cdn', shown(given), 'an object with tagHeader, purge or both')
  if (Object.keys(given).length === 0) throw new errors.FST_ERR_CACHE_OPTION('cdn', '{}', 'an object with tagHeader, purge or both')
  refuseUnknown(given, NAMES, 'cdn.')
  const { tagHeader, purge, wait, timeout } = given as Record<keyof CdnOptions, unknown>
  if (tagHeader !== undefined && tagHeader !== 'Surrogate-Key' && tagHeader !== 'Cache-Tag') throw new errors.FST_ERR_CACHE_OPTION('cdn.tagHeader', shown(tagHeader), '"Surrogate-Key" or "Cache-Tag"')
  if (purge !== undefined && typeof purge !== 'function') throw new errors.FST_ERR_CACHE_OPTION('cdn.purge', shown(purge), 'a function of the purge')
  if (wait !== undefined && typeof wait !== 'boolean') throw new errors.FST_ERR_CACHE_OPTION('cdn.wait', shown(wait), 'true or false')
  if (timeout !== undefined && durationMs('cdn.timeout', timeout) === 0) throw new errors.FST_ERR_CACHE_OPTION('cdn.timeout', '0', 'a number of seconds above 0')
  return given
}
