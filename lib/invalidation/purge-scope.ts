import type { Glob } from '../keyspace/glob.ts'
import { keyMark, type Mark } from '../keyspace/mark.ts'
import { parsePattern } from '../keyspace/pattern.ts'
import type { PurgeRecord } from '../ports/invalidation-log.ts'

/**
 * A record in the form in which it is looked up. A key is held as its mark, so that one map answers for the entry of
 * that key and for all entries built from it; a pattern `product:*` is the mark prefix `k:product:` for the same reason.
 */
export interface PurgeScope {
  readonly soft: boolean
  readonly everything: boolean
  readonly marks: readonly Mark[]
  readonly prefixes: readonly Mark[]
  readonly globs: readonly Glob[]
}

/** @throws FST_ERR_CACHE_PATTERN */
export function scopeOf (record: PurgeRecord): PurgeScope {
  let everything = record.everything === true
  const marks = new Set(record.marks)
  const prefixes = new Set(record.markPrefixes)
  const globs = new Map<string, Glob>()
  for (const key of record.keys ?? []) marks.add(keyMark(key))
  for (const text of record.patterns ?? []) {
    const pattern = parsePattern(text)
    if (pattern.kind === 'everything') everything = true
    else if (pattern.kind === 'exact') marks.add(keyMark(pattern.key))
    else if (pattern.kind === 'prefix') prefixes.add(keyMark(pattern.prefix))
    else globs.set(text, pattern.glob)
  }
  if (prefixes.has('')) everything = true
  return everything
    ? { soft: record.soft === true, everything, marks: [], prefixes: [], globs: [] }
    : { soft: record.soft === true, everything, marks: [...marks], prefixes: [...prefixes], globs: [...globs.values()] }
}

export function isEmptyScope (scope: PurgeScope): boolean {
  return !scope.everything && scope.marks.length === 0 && scope.prefixes.length === 0 && scope.globs.length === 0
}
