import { headerOf, requestHeaderOf } from './response.ts'
import type { HeaderList, RequestHeaders } from './response.ts'

/** Which request fields a response was chosen by, sorted; `star`: by something that cannot be known (RFC 9111 §4.1). */
export type EffectiveVary = 'star' | { readonly names: readonly string[] }

const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/

/** More names than this, or a longer field, is nobody's honest Vary. */
const MAX_NAMES = 32
const MAX_VARY_LENGTH = 4096

/**
 * What the response varies on (RFC 9110 §12.5.5). A `*` anywhere, and anything that is no field name, is `star`. An
 * Access-Control-Allow-Origin that names one origin was made for it, so such a response varies on Origin whether it says
 * so or not (Fetch, "CORS protocol and HTTP caches").
 */
export function effectiveVary (headers: HeaderList): EffectiveVary {
  const names = new Set<string>()
  const text = headerOf(headers, 'vary') ?? ''
  if (text.length > MAX_VARY_LENGTH) return 'star'
  for (const member of text.split(',')) {
    const name = member.trim().toLowerCase()
    if (name === '') continue
    if (name === '*' || !TOKEN.test(name)) return 'star'
    names.add(name)
  }
  const allowedOrigin = headerOf(headers, 'access-control-allow-origin')
  if (allowedOrigin !== undefined && allowedOrigin.trim() !== '*') names.add('origin')
  return names.size > MAX_NAMES ? 'star' : { names: [...names].sort() }
}

/**
 * The part of a key that tells variants apart. Two requests have the same key exactly if each of the named fields is
 * absent in both, or has the same normalised value in both (RFC 9111 §4.1): lengths stand before the texts, so no value
 * can imitate the end of its neighbour.
 */
export function varyKey (names: readonly string[], headers: RequestHeaders): string {
  let key = ''
  for (const name of names) {
    const value = requestHeaderOf(headers, name)
    key += `${name.length}:${name}`
    if (value === undefined) {
      key += '-'
    } else {
      const normalised = normalise(name, value)
      key += `${normalised.length}:${normalised}`
    }
  }
  return key
}

function normalise (name: string, value: string): string {
  // Blanks in a quoted string mean something.
  if (value.includes('"')) return value
  const text = value.trim().split(',').map((member) => member.trim()).join(',')
  return name === 'accept-encoding' ? text.toLowerCase().split(',').sort().join(',') : name === 'accept-language' ? text.toLowerCase() : text
}
