import { errors, shown } from '../errors.ts'
import { literalPrefix, parseGlob, type Glob } from './glob.ts'

/** The longest pattern, in UTF-16 code units. */
export const MAX_PATTERN_LENGTH = 1024

/**
 * What a pattern comes down to. Only the last kind has to be matched entry by entry; the others are looked up.
 * An exact or prefix pattern is given without its escapes.
 */
export type Pattern =
  | { readonly kind: 'everything' }
  | { readonly kind: 'exact', readonly key: string }
  | { readonly kind: 'prefix', readonly prefix: string }
  | { readonly kind: 'glob', readonly glob: Glob }

/**
 * A pattern as a caller gave it, unchanged.
 * @throws FST_ERR_CACHE_PATTERN when it is empty, longer than 1024 characters, ends in a lone `\`, or leaves a `[` open.
 */
export function checkPattern (pattern: unknown): string {
  if (typeof pattern !== 'string') throw new errors.FST_ERR_CACHE_PATTERN(shown(pattern), 'it is not a string')
  if (pattern.length > MAX_PATTERN_LENGTH) throw new errors.FST_ERR_CACHE_PATTERN(shown(pattern), `it is longer than ${MAX_PATTERN_LENGTH} characters`)
  parsePattern(pattern)
  return pattern
}

/**
 * Reads a glob over keys: `*`, `?`, `[abc]`, `[a-z]`, `[^…]`, `\` as escape. Its length is not looked at: a namespace may
 * stand in front of what the caller wrote.
 * @throws FST_ERR_CACHE_PATTERN when it is empty, ends in a lone `\`, or leaves a `[` open.
 */
export function parsePattern (text: string): Pattern {
  if (text === '') throw new errors.FST_ERR_CACHE_PATTERN(shown(text), 'it is empty; everything is "*"')
  const verdict = parseGlob(text)
  if (!verdict.valid) throw new errors.FST_ERR_CACHE_PATTERN(shown(text), verdict.why)
  const { prefix, rest } = literalPrefix(verdict.glob)
  if (rest === 'nothing') return { kind: 'exact', key: prefix }
  if (rest === 'more') return { kind: 'glob', glob: verdict.glob }
  return prefix === '' ? { kind: 'everything' } : { kind: 'prefix', prefix }
}

/**
 * Makes `text` stand for itself inside a pattern, so that data from outside cannot widen a purge:
 * `user:${escapeGlob(id)}:*`.
 * @throws FST_ERR_CACHE_PATTERN when `text` is empty: `${''}*` would be everything.
 */
export function escapeGlob (text: string): string {
  if (typeof text !== 'string' || text === '') throw new errors.FST_ERR_CACHE_PATTERN(shown(text), 'a value inside a pattern must be a string with at least one character')
  return text.replace(/[*?[\]\\^-]/g, '\\$&')
}
