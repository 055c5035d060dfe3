import { trimBlanks } from './blanks.ts'
import { headerOf, requestHeaderOf, sentHeader } from './headers.ts'
import type { HeaderList, HeaderValue, RequestHeaders } from './headers.ts'
import { remembered } from './remembered.ts'
import { isToken } from './token.ts'
import { weightedList } from './weighted-list.ts'
import type { Weighted } from './weighted-list.ts'

/** Which request fields a response was chosen by, sorted; `star`: by something that cannot be known (RFC 9111 §4.1). */
export type EffectiveVary = 'star' | { readonly names: readonly string[] }

/** More names than this, or a longer field, is nobody's honest Vary. */
const MAX_NAMES = 32
const MAX_VARY_LENGTH = 4096

const BEARS_ON_VARY: ReadonlySet<string> = new Set(['vary', 'access-control-allow-origin', 'content-encoding'])
const NOT_VARIED: EffectiveVary = Object.freeze({ names: Object.freeze([]) })

/**
 * What the response varies on (RFC 9110 §12.5.5). A `*` anywhere, and anything that is no field name, is `star`. Some
 * responses vary without saying so: an Access-Control-Allow-Origin that names one origin was made for it (Fetch, "CORS
 * protocol and HTTP caches"), and a coded body was made for a client that can decode it.
 * @param keyed request fields whose share in the response is part of the key; they need not tell variants apart
 */
export function effectiveVary (headers: HeaderList, keyed?: ReadonlySet<string>): EffectiveVary {
  if (!headers.some(([name]) => BEARS_ON_VARY.has(name))) return NOT_VARIED
  const names = new Set<string>()
  const text = headerOf(headers, 'vary') ?? ''
  if (text.length > MAX_VARY_LENGTH) return 'star'
  for (const member of text.split(',')) {
    const name = member.trim().toLowerCase()
    if (name === '') continue
    if (name === '*' || !isToken(name)) return 'star'
    names.add(name)
  }
  const allowedOrigin = headerOf(headers, 'access-control-allow-origin')
  if (allowedOrigin !== undefined && allowedOrigin.trim() !== '*') names.add('origin')
  const coding = headerOf(headers, 'content-encoding')
  if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') names.add('accept-encoding')
  for (const name of keyed ?? []) names.delete(name)
  return names.size > MAX_NAMES ? 'star' : { names: [...names].sort() }
}

/** The Vary field with a name added, where it is not there already. */
export function addToVary (existing: HeaderValue | undefined, name: string): string {
  const lines = existing === undefined ? [] : typeof existing === 'string' ? [existing] : existing
  const members = lines.join(',').split(',').map((member) => member.trim()).filter((member) => member !== '')
  const known = members.some((member) => member === '*' || member.toLowerCase() === name.toLowerCase())
  return (known ? members : [...members, name]).join(', ')
}

export interface VaryKeyOptions {
  /**
   * Treat languages of equal quality as a set. RFC 9110 §12.5.4 says that their order means nothing; many a handler
   * picks the first all the same, and would then answer an English reader with the page of a German one.
   * @default false
   */
  readonly ignoreLanguageOrder?: boolean
}

/**
 * The part of a key that tells variants apart. Two requests have the same key exactly if each of the named fields is
 * absent in both, or has the same normalised value in both (RFC 9111 §4.1): lengths stand before the texts, so no value
 * can imitate the end of its neighbour.
 * @param rawHeaders what was sent: a field that a hook has taken off the request once it had made something of it counts too
 */
export function varyKey (names: readonly string[], headers: RequestHeaders, options: VaryKeyOptions = {}, rawHeaders: readonly string[] = []): string {
  let key = ''
  for (const name of names) {
    const value = requestHeaderOf(headers, name) ?? sentHeader(rawHeaders, name)
    key += `${name.length}:${name}`
    if (value === undefined) {
      key += '-'
    } else {
      const normalised = normalise(name, value, options)
      key += `${normalised.length}:${normalised}`
    }
  }
  return key
}

/** Fields that are no lists: a comma in them is text, and so is the blank behind it. */
const SINGLE: ReadonlySet<string> = new Set(['user-agent', 'referer', 'origin', 'authorization', 'cookie', 'date', 'from'])

/** Only what RFC 9111 §4.1 allows: what the field's own specification says does not matter. */
function normalise (name: string, value: string, options: VaryKeyOptions): string {
  if (name === 'accept-encoding') return asSet(value)
  if (name === 'accept-language') return options.ignoreLanguageOrder === true ? asSet(value) : asRanking(value)
  // Blanks in a quoted string mean something.
  if (SINGLE.has(name) || value.includes('"')) return value
  return value.split(',').map(trimBlanks).join(',')
}

/** Best quality first; the order of equals means nothing. */
const asSet = remembered((value) => weighted(value, (a, b) => b.quality - a.quality || compare(a.value, b.value)))

/** Best quality first; equals keep their order. */
const asRanking = remembered((value) => weighted(value, (a, b) => b.quality - a.quality))

function weighted (value: string, order: (a: Weighted, b: Weighted) => number): string {
  const list = weightedList(value)
  if (list === undefined) return value
  return [...list].sort(order).map((member) => member.quality === 1 ? member.value : `${member.value};q=${member.quality}`).join(',')
}

function compare (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
