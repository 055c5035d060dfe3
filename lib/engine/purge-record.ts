import { errors, shown } from '../errors.ts'
import type { CacheEvents } from '../events.ts'
import { pathMark, tagMark } from '../keyspace/mark.ts'
import { checkKey, checkTag } from '../keyspace/name.ts'
import { checkPattern } from '../keyspace/pattern.ts'
import { normalisePath } from '../keyspace/request-path.ts'
import type { PurgeRecord } from '../ports/invalidation-log.ts'
import type { Purge } from '../purge.ts'
import { refuseUnknown } from '../unknown-option.ts'

const LISTS = ['keys', 'tags', 'patterns', 'paths'] as const
const KNOWN = new Set<string>([...LISTS, 'everything', 'soft'])

/** Where a name belongs: a namespace puts its own in front. */
export interface Naming { namespace: string, key: (key: string) => string, tag: (tag: string) => string, pattern: (pattern: string) => string }

/**
 * A purge of names. Keys and tags share their names: a purge of `product:42` takes the entry with that key, what was
 * built from it, and what is tagged so, whichever of the two the caller had in mind.
 */
export function nameRecord (names: readonly string[]): Pick<PurgeRecord, 'keys' | 'marks'> {
  return { keys: names, marks: names.map(tagMark) }
}

/** Turns what a caller wrote into what the log keeps; a purge that names nothing is a mistake, not a no-op. */
export function toPurgeRecord (purge: Purge, naming: Naming): PurgeRecord {
  if (typeof purge !== 'object' || purge === null || Array.isArray(purge)) throw new errors.FST_ERR_CACHE_OPTION('purge', shown(purge), `an object with ${[...KNOWN].join(', ')}`)
  refuseUnknown(purge, KNOWN)
  for (const name of LISTS) {
    const list: unknown = purge[name]
    if (list !== undefined && !Array.isArray(list)) throw new errors.FST_ERR_CACHE_OPTION(name, shown(list), 'an array of strings')
  }
  for (const name of ['everything', 'soft'] as const) {
    const flag: unknown = purge[name]
    if (flag !== undefined && typeof flag !== 'boolean') throw new errors.FST_ERR_CACHE_OPTION(name, shown(flag), 'true or false')
  }
  if (purgeKinds(purge).length === 0) throw new errors.FST_ERR_CACHE_PURGE_EMPTY()
  const markPrefixes: string[] = []
  const names = nameRecord([...(purge.keys ?? []).map((key) => naming.key(checkKey(key))), ...(purge.tags ?? []).map((tag) => naming.tag(checkTag(tag)))])
  const marks = [...names.marks ?? []]
  for (const path of purge.paths ?? []) {
    checkPath(path)
    if (path.endsWith('*')) markPrefixes.push(pathMark(normalisePath(path.slice(0, -1))))
    else marks.push(pathMark(normalisePath(path)))
  }
  const everything = purge.everything === true
  const within = naming.namespace !== ''
  // What is in it, and what is tagged by it.
  if (everything && within) markPrefixes.push(tagMark(naming.tag('')))
  return {
    keys: names.keys ?? [],
    marks,
    markPrefixes,
    patterns: [...purge.patterns ?? [], ...everything && within ? ['*'] : []].map((pattern) => naming.pattern(checkPattern(pattern))),
    everything: everything && !within,
    soft: purge.soft === true
  }
}

function checkPath (path: unknown): void {
  const fail = (allowed: string): never => { throw new errors.FST_ERR_CACHE_OPTION('paths', shown(path), allowed) }
  if (typeof path !== 'string' || path[0] !== '/') fail('paths that begin with /')
  else if (/[?#]/.test(path)) fail('paths without a query: all variants of a path are purged. A ? or # of the path itself is written as %3F or %23')
  else if (/\*./.test(path)) fail('paths with a * only at the end, where it stands for all that begin so. Another that is meant is written as %2A')
  else if (path.includes('/:')) fail('paths as they were asked for, such as /products/42 where the route says /products/:id. A : that is meant is written as %3A')
}

export function purgeKinds (purge: Purge): CacheEvents['invalidate']['kinds'][number][] {
  const kinds: CacheEvents['invalidate']['kinds'][number][] = LISTS.filter((name) => (purge[name]?.length ?? 0) > 0)
  if (purge.everything === true) kinds.push('everything')
  return kinds
}
