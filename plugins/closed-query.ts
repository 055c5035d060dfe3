import type { FastifySchema } from 'fastify'
import { isPlain } from '../lib/plain-object.ts'

/** The names of the query parameters of a route whose schema allows no others, in order. */
export type ClosedQuery = readonly string[]

/**
 * The parameters that count in the key, if the route's schema closes the set (`additionalProperties: false`): Fastify
 * then removes or refuses all others, so they cannot change the response. Otherwise every byte of the query counts.
 */
export function closedQuery (schema: FastifySchema | undefined): ClosedQuery | undefined {
  const query = (schema?.querystring ?? (schema as { query?: unknown } | undefined)?.query) as { additionalProperties?: unknown, properties?: object, allOf?: unknown, anyOf?: unknown, oneOf?: unknown, patternProperties?: unknown } | undefined
  if (typeof query !== 'object' || query === null || query.additionalProperties !== false) return undefined
  if (query.patternProperties !== undefined || query.allOf !== undefined || query.anyOf !== undefined || query.oneOf !== undefined) return undefined
  return Object.keys(query.properties ?? {}).sort()
}

/**
 * A validated query with the parameters that count, sorted. Defaults are in it if the validator fills them in. Names and values are escaped, so none can pose as another.
 * @returns nothing where one has a value that text cannot show, such as a Set
 */
export function canonicalQuery (closed: ClosedQuery, query: Readonly<Record<string, unknown>>): string | undefined {
  let text = ''
  for (const name of closed) {
    const value = query[name]
    if (!isSpellable(value)) return undefined
    if (value !== undefined) text += (text === '' ? '?' : '&') + encodeURIComponent(name) + '=' + spelled(value)
  }
  return text
}

/** The query of a target as it was sent, in a spelling that no canonical one has. */
export function uncountedQuery (target: string): string {
  const at = target.indexOf('?')
  return at === -1 ? '' : target.slice(at).replaceAll(/[[\]@]/g, encodeURIComponent)
}

/** Whether the request carries parameters that do not count. */
export function hasOtherParameters (closed: ClosedQuery, query: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(query).some((name) => !closed.includes(name))
}

/** What names of parameters say who asks. */
const CREDENTIAL = /^(?:(?:access|auth|id|api|user|session|refresh|bearer|csrf)?[-_]?(?:token|key|secret)|jwt|auth|authorization|sig|signature|sid|session(?:[-_]?id)?|pass(?:word|wd)?|hmac|code)$/i

/**
 * Whether a target has a parameter that does not count and says who asks: a hook may have looked at it before it was removed,
 * and told the handler who that is.
 */
export function dropsCredential (closed: ClosedQuery, target: string): boolean {
  const query = target.indexOf('?')
  if (query === -1) return false
  for (const name of new URLSearchParams(target.slice(query + 1)).keys()) if (CREDENTIAL.test(name) && !closed.includes(name)) return true
  return false
}

const BROKEN = /\p{Surrogate}/u

/** Whether text can tell a value from all others. */
function isSpellable (value: unknown, within = false): boolean {
  if (Array.isArray(value)) return value.every((each) => isSpellable(each, within))
  if (typeof value === 'object' && value !== null) return isPlain(value) && Object.values(value).every((each) => isSpellable(each, true))
  return typeof value !== 'function' && typeof value !== 'symbol' && !(within && typeof value === 'bigint')
}

/** The brackets and the `@` stand for themselves only here: in a text they are escaped, so a text cannot pose as a list. */
function spelled (value: unknown): string {
  if (Array.isArray(value)) return '[' + value.map(spelled).join(',') + ']'
  if (typeof value === 'object') return '@' + encodeURIComponent(JSON.stringify(value))
  const text = String(value)
  // encodeURIComponent refuses broken surrogates; JSON escapes them.
  return BROKEN.test(text) ? '@' + encodeURIComponent(JSON.stringify(text)) : encodeURIComponent(text)
}
