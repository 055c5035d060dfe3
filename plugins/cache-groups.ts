import type { FastifyReply, FastifyRequest } from 'fastify'
import { cacheGroups, cacheGroupsField, invalidatedGroups } from '../lib/http/cache-groups.ts'
import { headerListOf } from '../lib/http/headers.ts'
import { keysOf, tagsOf, type Mark } from '../lib/keyspace/mark.ts'
import { isName } from '../lib/keyspace/name.ts'
import type { ReplyHeaders } from './exchange.ts'

/** The groups that a response says it belongs to (RFC 9875 §2), as far as they can be tags. */
export function groupsOfReply (reply: FastifyReply): readonly string[] {
  return cacheGroups(headerListOf(reply.getHeaders() as ReplyHeaders)).filter(isName)
}

/** The groups that a successful answer to an unsafe request calls back (§3), as far as they can be tags. */
export function groupsCalledBack ({ method }: FastifyRequest, reply: FastifyReply): readonly string[] {
  return invalidatedGroups({ method, status: reply.statusCode, headers: headerListOf(reply.getHeaders() as ReplyHeaders) }).filter(isName)
}

/** Tells caches behind us by what names a purge reaches the response. */
export function sendGroups (reply: FastifyReply, marks: readonly Mark[]): void {
  const field = cacheGroupsField([...new Set([...groupsOfReply(reply), ...tagsOf(marks), ...keysOf(marks)])])
  if (field !== undefined) reply.header('cache-groups', field)
}

/** Tells caches behind us what a successful unsafe request has made untrue. */
export function sendCallback (request: FastifyRequest, reply: FastifyReply, names: readonly string[]): void {
  const field = cacheGroupsField([...new Set([...groupsCalledBack(request, reply), ...names])])
  if (field !== undefined) reply.header('cache-group-invalidation', field)
}
