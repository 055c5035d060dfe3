import { createHash } from 'node:crypto'
import { errors, shown } from '../errors.ts'
import { escapeGlob, parsePattern } from '../keyspace/pattern.ts'
import type { AnyMethod } from './decorate.ts'
import { parameterNames } from './parameter-names.ts'

/** What can stand in a name. */
export type NameValue = string | number | bigint | boolean

type Placeholder<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholder<Rest> : never

/** The arguments that a template can be filled with: `'{1}'` asks for a second one that can stand in a name. */
export type ArgumentsOf<Text extends string> = { readonly [Index in Placeholder<Text> & `${number}`]: NameValue }

/** A name that arguments complete. */
export type NameTemplate = (args: readonly unknown[]) => string
/** A name where globs are meant: exact, or a pattern if the text itself (never a value) has wildcards. */
export type PurgeTemplate = (args: readonly unknown[]) => { readonly exact: string } | { readonly pattern: string }

type Part = string | { readonly index: number, readonly path: readonly string[], readonly label: string }

const PLACEHOLDER = /\{([\w$]+(?:\.[\w$]+)*)\}/
/** What separates names, and what would be a wildcard. */
const SPECIAL = /[%:*?[\]\\^]/g
const MAX_VALUE_LENGTH = 256

/**
 * Reads `product:{productId}:{1}:{filter.page}`: the argument of that name, the second argument, a member of an argument.
 *
 * A value is written such that it stays one segment of the name: `:` and wildcards are percent-encoded, a long value is
 * its digest. So `product:{0}` can never yield the name of `product:{0}:reviews`, nor widen a purge; an empty value, which
 * would, is refused.
 *
 * @throws FST_ERR_CACHE_OPTION for a place that no argument can fill; what it answers throws FST_ERR_CACHE_ARGUMENT
 */
export function parseTemplate (option: string, text: unknown, method: AnyMethod): NameTemplate {
  const parts = partsOf(option, text, method)
  return (args) => parts.map((part) => typeof part === 'string' ? part : segmentOf(part.label, valueAt(part, args))).join('')
}

/** The same for a text in which `*`, `?` and `[` are wildcards. @throws FST_ERR_CACHE_PATTERN, too */
export function parsePurgeTemplate (option: string, text: unknown, method: AnyMethod): PurgeTemplate {
  const parts = partsOf(option, text, method)
  parsePattern(parts.map((part) => typeof part === 'string' ? part : '0').join(''))
  return (args) => {
    const pattern = parts.map((part) => typeof part === 'string' ? part : escapeGlob(segmentOf(part.label, valueAt(part, args)))).join('')
    const parsed = parsePattern(pattern)
    return parsed.kind === 'exact' ? { exact: parsed.key } : { pattern }
  }
}

export function isNameValue (value: unknown): value is NameValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
}

/** A value as one segment of a name. @throws FST_ERR_CACHE_ARGUMENT for an empty one, and for what is no text */
export function segmentOf (label: string, value: unknown): string {
  if (!isNameValue(value) || Number.isNaN(value)) throw new errors.FST_ERR_CACHE_ARGUMENT(`{${label}}`, `is ${shown(value)}, neither a string nor a number`)
  const text = String(value)
  if (text === '') throw new errors.FST_ERR_CACHE_ARGUMENT(`{${label}}`, 'is empty')
  // No other value yields a % that no hexadecimal digits follow.
  if (text.length > MAX_VALUE_LENGTH) return '%#' + createHash('sha256').update(text).digest('base64url')
  return text.replace(SPECIAL, (character) => '%' + character.charCodeAt(0).toString(16).toUpperCase())
}

function partsOf (option: string, text: unknown, method: AnyMethod): Part[] {
  if (typeof text !== 'string' || text === '') throw new errors.FST_ERR_CACHE_OPTION(option, shown(text), 'a string with at least one character')
  return text.split(PLACEHOLDER).map((part, at): Part => at % 2 === 0 ? literalOf(option, text, part) : placeOf(option, text, part, method))
}

/** A place that is written wrongly would be the same text for all arguments. */
function literalOf (option: string, text: string, part: string): string {
  if (/[{}]/.test(part)) throw new errors.FST_ERR_CACHE_OPTION(option, shown(text), 'a text whose braces hold the name of an argument, its place or a member of it, and nothing else: {productId}, {0}, {filter.page}')
  return part
}

function placeOf (option: string, text: string, place: string, method: AnyMethod): Part {
  const [head = '', ...path] = place.split('.')
  if (/^\d+$/.test(head)) return { index: Number(head), path, label: place }
  const names = parameterNames(method)
  const index = names.indexOf(head)
  if (index === -1) throw new errors.FST_ERR_CACHE_OPTION(option, shown(text), `filled from the arguments, and none is called "${head}": they are ${names.map((name, at) => name ?? `{${at}}`).join(', ') || 'none'}; {0} is the first one`)
  return { index, path, label: place }
}

function valueAt ({ index, path }: Exclude<Part, string>, args: readonly unknown[]): unknown {
  let value = args[index]
  for (const member of path) value = typeof value === 'object' && value !== null && Object.hasOwn(value, member) ? (value as Record<string, unknown>)[member] : undefined
  return value
}
