import type { FastifyRequest } from 'fastify'
import { hasDimension } from '../lib/keyspace/request-key.ts'
import { hasOtherParameters } from './closed-query.ts'
import { ALL_HEADERS, ID, IP, TARGET, type ObservedInput } from './observed-request.ts'
import { cookieNames } from './request-cookies.ts'
import type { Miss } from './exchange.ts'

/** What depends on the message's framing and on the connection, not on what is asked for. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'range'])

/**
 * What the handler read that two requests with the same key may differ in; `undefined` when there is nothing.
 *
 * Harmless are the host (it is in the key), what the key or Vary names, what the route declares harmless, a credential
 * that was looked for and not there (a request that has it passes the cache by), and what a trusted proxy says, or does
 * not say, when that is just what the key contains.
 */
export function unkeyedInput (inputs: ReadonlySet<ObservedInput>, request: FastifyRequest, { policy, key, asked: headers }: Pick<Miss, 'policy' | 'key' | 'asked'>, vary: readonly string[], credentials: readonly string[]): ObservedInput | undefined {
  if (policy.harmlessHeaders.has(ALL_HEADERS)) return undefined
  // A validator that lets other parameters pass shows them to the handler in `request.query`.
  if (policy.query !== undefined && hasOtherParameters(policy.query, request.query as Record<string, unknown>)) return TARGET
  const behindProxy = request.ips !== undefined
  // Before what serialisers look for in any object, headers too: `then`, `toJSON`.
  if (inputs.has(ALL_HEADERS)) return ALL_HEADERS
  for (const input of inputs) {
    if (FRAMING.has(input) || vary.includes(input) || policy.headers.includes(input) || policy.harmlessHeaders.has(input)) continue
    if (input === IP && hasDimension(key, ['partition', request.ip])) continue
    // A partition that is the credential itself.
    if (policy.partition !== undefined && credentials.includes(input) && hasDimension(key, ['partition', headers[input]?.toString()])) continue
    // The host that the key contains; a proxy, or the two ways of HTTP/2 to say it, may have named another.
    if ((input === 'host' || input === ':authority') && (headers[input] ?? request.host) === request.host) continue
    if (headers[input] === undefined && credentials.includes(input) && !policy.public) continue
    if (input === 'cookie' && policy.cookies.length > 0 && cookieNames(headers.cookie).every((name) => policy.cookies.includes(name))) continue
    if (behindProxy && input === 'x-forwarded-host' && (headers[input] ?? request.host) === request.host) continue
    if (behindProxy && input === 'x-forwarded-proto' && (headers[input] ?? request.protocol) === request.protocol) continue
    return input
  }
  return undefined
}

/** What the handler has read, and what makes its responses fit for the cache all the same. */
export function howToKey (input: ObservedInput): string {
  switch (input) {
    case ALL_HEADERS: return 'all request headers, by listing or copying them. Read those that matter by their names, or, if none changes the response, set config.cache.harmlessHeaders: [\'*\']'
    case IP: return 'the address of the client, which is not in the key. Put it there by config.cache.partition: ({ ip }) => ip, or, if it is only logged, name "@ip" in config.cache.harmlessHeaders'
    case ID: return `the id of the request, which no other has. If it is only logged, name "${ID}" in config.cache.harmlessHeaders`
    case TARGET: return 'the path or query as it was sent, of which the key knows less. Read request.params and request.query, and let the schema close the query (additionalProperties: false) with a validator that removes the rest'
    case 'cookie': return '"cookie", which is not in the key. Name the cookies that change the response in config.cache.cookies, or, if none does, "cookie" in config.cache.harmlessHeaders'
    default: return `"${input}", which is neither in the key nor in Vary. Name it in config.cache.headers or in a Vary header, or, if it does not change the response, in config.cache.harmlessHeaders`
  }
}
