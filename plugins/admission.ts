import type { FastifyRequest } from 'fastify'
import { errors, shown } from '../lib/errors.ts'
import { isCleanTarget, requestKey, validHost, type KeyDimension } from '../lib/keyspace/request-key.ts'
import { pathOf } from '../lib/keyspace/request-path.ts'
import { canonicalQuery } from './closed-query.ts'
import { cookieNames, cookieValue } from './request-cookies.ts'
import type { CacheRequest, RoutePolicy } from './route-options.ts'
import type { FastifyReply } from 'fastify'

/** Why a request passes the cache by. */
export type BypassReason = 'method' | 'unclean-target' | 'invalid-host' | 'request-body' | 'credentials' | 'no-partition'

export type Admission =
  | { readonly admitted: true, readonly key: string }
  | { readonly admitted: false, readonly reason: BypassReason }

const refusal = (reason: BypassReason): Admission => Object.freeze({ admitted: false, reason })
const METHOD = refusal('method')
const TARGET = refusal('unclean-target')
const HOST = refusal('invalid-host')
const BODY = refusal('request-body')
const CREDENTIALS = refusal('credentials')
const NO_PARTITION = refusal('no-partition')

/** Decides whether a request may be answered from the cache at all, and if so under which key. */
export function admit (request: FastifyRequest, reply: FastifyReply, policy: RoutePolicy, credentials: readonly string[]): Admission {
  const { method, headers } = request
  if (method !== 'GET' && method !== 'HEAD') return METHOD
  // A body could change the answer, and it is not in the key.
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')) return BODY
  if (!policy.public && policy.partition === undefined && carriesCredentials(request, policy, credentials)) return CREDENTIALS
  const target = request.raw.url ?? ''
  if (!isCleanTarget(target)) return TARGET
  const host = validHost(request.host)
  if (host === undefined) return HOST
  const partition = policy.partition?.(request as CacheRequest, reply)
  if (policy.partition !== undefined) {
    if (partition === undefined || partition === null || partition === '') return NO_PARTITION
    if (typeof partition !== 'string') throw new errors.FST_ERR_CACHE_OPTION('config.cache.partition', `a function that answered ${shown(partition)}`, 'a function that answers a string, or undefined for requests that are not to be cached')
  }
  const counted = policy.query === undefined ? target : pathOf(target) + canonicalQuery(policy.query, request.query as Record<string, unknown>)
  return { admitted: true, key: requestKey(request.protocol, host, counted, dimensions(request, policy, partition)) }
}

function carriesCredentials (request: FastifyRequest, policy: RoutePolicy, credentials: readonly string[]): boolean {
  const { headers } = request
  for (const name of credentials) {
    if (headers[name] === undefined) continue
    if (name !== 'cookie' || policy.cookies.length === 0) return true
    if (!cookieNames(headers.cookie).every((cookie) => policy.cookies.includes(cookie))) return true
  }
  return false
}

/** What is in the key beside scheme, host and target. */
export function dimensions ({ headers }: FastifyRequest, policy: RoutePolicy, partition: string | undefined): KeyDimension[] | undefined {
  if (policy.headers.length === 0 && policy.cookies.length === 0 && partition === undefined && policy.constraints === undefined) return undefined
  const found: KeyDimension[] = []
  for (const name of policy.headers) found.push([`header ${name}`, headers[name]?.toString()])
  for (const name of policy.cookies) found.push([`cookie ${name}`, cookieValue(headers.cookie, name)])
  if (partition !== undefined) found.push(['partition', partition])
  if (policy.constraints !== undefined) found.push(['constraints', policy.constraints])
  return found
}
