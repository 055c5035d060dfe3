import { parse } from 'node:querystring'
import type { FastifyRequest } from 'fastify'
import { sentHeader } from '../lib/http/headers.ts'
import { isCleanTarget, requestKey, validHost, type KeyDimension } from '../lib/keyspace/request-key.ts'
import { pathOf } from '../lib/keyspace/request-path.ts'
import { canonicalQuery, dropsCredential, hasOtherParameters, uncountedQuery } from './closed-query.ts'
import { foreseenQuery } from './foreseen-query.ts'
import type { KnownKeys } from './known-keys.ts'
import { cookieNames, cookieValue } from './request-cookies.ts'
import type { CacheRequest, RoutePolicy } from './route-options.ts'
import { isUnmade } from './unmade-names.ts'
import { wrongAnswer } from './wrong-answer.ts'
import type { FastifyReply } from 'fastify'

/** Why a request passes the cache by. */
export type BypassReason = 'method' | 'upgrade' | 'unclean-target' | 'invalid-host' | 'request-body' | 'credentials' | 'no-partition' | 'moved'

class Admitted {
  readonly admitted = true
  readonly key: string
  /** It carries credentials, and may only get what says that it is for everybody. */
  readonly credentialed: boolean
  /** Where the key may be remembered, if that is of use. */
  readonly unknownTo: KnownKeys | undefined

  constructor (key: string, credentialed: boolean, unknownTo: KnownKeys | undefined) {
    this.key = key
    this.credentialed = credentialed
    this.unknownTo = unknownTo
  }
}

export type Admission = Admitted | { readonly admitted: false, readonly reason: BypassReason }

const refusal = (reason: BypassReason): Admission => Object.freeze({ admitted: false, reason })
const METHOD = refusal('method')
const TARGET = refusal('unclean-target')
const HOST = refusal('invalid-host')
const BODY = refusal('request-body')
const UPGRADE = refusal('upgrade')
const CREDENTIALS = refusal('credentials')
const NO_PARTITION = refusal('no-partition')

/** Decides whether a request may be answered from the cache at all, and if so under which key. */
export function admit (request: FastifyRequest, reply: FastifyReply, policy: RoutePolicy, credentials: readonly string[]): Admission {
  const { method, headers } = request
  if (method !== 'GET' && method !== 'HEAD') return METHOD
  if (headers.upgrade?.toLowerCase() === 'websocket') return UPGRADE
  // A body could change the answer, and it is not in the key.
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0') || hasHttp2Body(request)) return BODY
  return admitTarget(request, reply, policy, credentials)
}

/** The same, whatever the method and the body: under which key the response to a GET of this target would be. */
export function admitTarget (request: FastifyRequest, reply: FastifyReply, policy: RoutePolicy, credentials: readonly string[]): Admission {
  const credentialed = !policy.public && policy.partition === undefined && carriesCredentials(request, policy, credentials)
  if (credentialed && !policy.http.shareByDirective) return CREDENTIALS
  const target = request.raw.url ?? ''
  const { protocol, host } = request
  if (isAmbiguous(request)) return HOST
  const knownKeys = request.originalUrl === target ? policy.knownKeys : undefined
  const known = knownKeys?.of(protocol, host, target)
  if (known !== undefined) return new Admitted(known, credentialed, undefined)
  if (!isCleanTarget(target)) return TARGET
  // The handler sees the host as it was written, so one that is written otherwise is another; and a proxy's word for the
  // scheme is only a word.
  if (validHost(host) !== host || (protocol !== 'http' && protocol !== 'https')) return HOST
  const partition = partitionOf(request, reply, policy)
  if (policy.partition !== undefined && partition === undefined) return NO_PARTITION
  if (policy.query !== undefined && partition === undefined && !policy.public && dropsCredential(policy.query, target)) return CREDENTIALS
  const key = requestKey(protocol, host, countedTarget(request, policy), dimensions(request, policy, partition))
  return new Admitted(key, credentialed, knownKeys)
}

/** What counts of the target: all of it, unless the query has been validated, or will be, to hold only what the schema names. */
export function countedTarget (request: FastifyRequest, policy: RoutePolicy): string {
  const target = request.raw.url ?? ''
  if (policy.query === undefined) return target
  const sent = policy.serveFrom === 'handler' ? parse(target.slice(pathOf(target).length + 1)) : request.query as Record<string, unknown>
  const query = foreseenQuery(request, sent)
  const canonical = query === undefined || hasOtherParameters(policy.query, query) ? undefined : canonicalQuery(policy.query, query)
  // What hooks have made of the query since it was validated, only they know.
  const isAsValidated = canonical !== undefined && (policy.serveFrom !== 'handler' || canonicalQuery(policy.query, request.query as Record<string, unknown>) === canonical)
  return pathOf(target) + (isAsValidated ? canonical : uncountedQuery(target))
}

/** Whom the response is for, if the route tells it apart. The number of a user is as good as its text. */
export function partitionOf (request: FastifyRequest, reply: FastifyReply, { partition, route }: RoutePolicy): string | undefined {
  let answer: unknown
  try {
    answer = partition?.(request as CacheRequest, reply)
  } catch (error) {
    request.log.error({ err: error, route }, `config.cache.partition of ${route} has failed`)
    throw error
  }
  if (answer === undefined || answer === null || answer === '') return undefined
  if (typeof answer === 'string') return isUnmade(request, 'partition', answer, 'such requests pass the cache by') ? undefined : answer
  if (Number.isFinite(answer)) return String(answer as number)
  throw wrongAnswer('partition', request, answer, 'a string or a number, or undefined for requests that are not to be cached')
}

/** HTTP/2 names host and scheme twice; a handler that looks at the other one would see what is not in the key. */
function isAmbiguous ({ raw, host, protocol }: FastifyRequest): boolean {
  if (raw.httpVersionMajor !== 2) return false
  const { ':authority': authority, ':scheme': scheme } = raw.headers as Record<string, unknown>
  return (authority !== undefined && authority !== host) || (scheme !== undefined && scheme !== protocol)
}

/** In HTTP/2 a body needs no header to announce it. */
function hasHttp2Body ({ raw }: FastifyRequest): boolean {
  return raw.httpVersionMajor === 2 && (raw as unknown as { stream?: { endAfterHeaders?: boolean } }).stream?.endAfterHeaders === false
}

/** Also those that a hook has taken off the request or out of a cookie, once it had made something of them, such as the user whose token it is. */
function carriesCredentials ({ headers, raw }: FastifyRequest, policy: RoutePolicy, credentials: readonly string[]): boolean {
  for (const name of credentials) {
    if (name !== 'cookie' || policy.cookies.length === 0) {
      if ((headers[name] ?? sentHeader(raw.rawHeaders, name)) !== undefined) return true
    } else if (![headers.cookie, sentHeader(raw.rawHeaders, name)].flatMap(cookieNames).every((cookie) => policy.cookies.includes(cookie))) return true
  }
  return false
}

/** What is in the key beside scheme, host and target. */
export function dimensions ({ headers, originalUrl, raw }: FastifyRequest, policy: RoutePolicy, partition: string | undefined): KeyDimension[] | undefined {
  const rewritten = originalUrl !== raw.url
  if (policy.headers.length === 0 && policy.cookies.length === 0 && partition === undefined && policy.constraints === undefined && !rewritten) return undefined
  const found: KeyDimension[] = []
  for (const name of policy.headers) found.push([`header ${name}`, (headers[name] ?? sentHeader(raw.rawHeaders, name))?.toString()])
  for (const name of policy.cookies) found.push([`cookie ${name}`, cookieValue(headers.cookie, name) ?? cookieValue(sentHeader(raw.rawHeaders, 'cookie'), name)])
  if (partition !== undefined) found.push(['partition', partition])
  if (policy.constraints !== undefined) found.push(['constraints', policy.constraints])
  // Behind `rewriteUrl` the handler can still see what the client asked for.
  if (rewritten) found.push(['original-url', originalUrl])
  return found
}
