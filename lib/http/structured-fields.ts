/** Structured Fields (RFC 9651): the only file that knows the package which parses them. */
import { parseDictionary, parseList, Token } from 'structured-headers'

export type SfBareItem = string | number | boolean | SfToken | undefined
export interface SfToken { readonly token: string }

/**
 * A Dictionary, parameters and inner lists left out (their keys are there with `undefined`); `undefined` if the field
 * does not parse, which means that all of it is to be ignored (RFC 9651 §4.2).
 */
export function sfDictionary (text: string): ReadonlyMap<string, SfBareItem> | undefined {
  try {
    const members = new Map<string, SfBareItem>()
    for (const [key, [value]] of parseDictionary(text)) members.set(key, bareItem(value))
    return members
  } catch {
    return undefined
  }
}

/** A List, read as `sfDictionary` reads a Dictionary. */
export function sfList (text: string): readonly SfBareItem[] | undefined {
  try {
    return parseList(text).map(([value]) => bareItem(value))
  } catch {
    return undefined
  }
}

function bareItem (value: unknown): SfBareItem {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  return value instanceof Token ? { token: value.toString() } : undefined
}

/** What a Token looks like (RFC 9651 §3.3.4). */
export const SF_TOKEN = /^[A-Za-z*][!#$%&'*+\-.^_`|~\dA-Za-z:/]*$/

/** A String (RFC 9651 §3.3.3) holds visible ASCII and blanks; the rest goes in as percent-encoded UTF-8. */
export function sfString (value: string): string {
  const ascii = value.replace(/[^\x20-\x7e]+/gu, (part) => Buffer.from(part).toString('hex').replace(/../g, '%$&'))
  return `"${ascii.replace(/["\\]/g, '\\$&')}"`
}
