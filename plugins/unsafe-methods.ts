import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EngineParts } from '../lib/engine/parts.ts'
import { headerListOf } from '../lib/http/headers.ts'
import { isError, isSafeMethod } from '../lib/http/method.ts'
import { invalidatedUris } from '../lib/http/unsafe.ts'
import { nameRecord } from '../lib/engine/purge-record.ts'
import type { CacheEvents } from '../lib/events.ts'
import { originMark, type Mark } from '../lib/keyspace/mark.ts'
import { checkTag } from '../lib/keyspace/name.ts'
import { normalisePath, pathOf } from '../lib/keyspace/request-path.ts'
import type { PurgeRecord } from '../lib/ports/invalidation-log.ts'
import { isCleanTarget, validHost } from '../lib/keyspace/request-key.ts'
import { markOfRoute, resolveNames } from './response-marks.ts'
import { isUnmade } from './unmade-names.ts'
import { groupsCalledBack, sendCallback } from './cache-groups.ts'
import type { ReplyHeaders } from './exchange.ts'
import type { GroupPolicy } from './http-options.ts'
import type { NamesOf } from './route-options.ts'
import { schemeOf } from './scheme.ts'

/**
 * Makes invalid what a successful unsafe request has made untrue (RFC 9111 §4.4): the path of its target, those of its
 * Location and Content-Location on the same origin, the tags that the route names, and the groups that the answer calls
 * back (RFC 9875 §3). Every route takes part, cached or
 * not. The client gets its answer when the purge holds.
 * @param unknown whether nobody can tell if it was successful: then it may have been
 */
export async function invalidateAfter (parts: EngineParts, request: FastifyRequest, reply: FastifyReply, invalidates: NamesOf | undefined, groups: GroupPolicy, unknown = false): Promise<void> {
  const status = unknown ? 200 : reply.statusCode
  if (isSafeMethod(request.method) || isError(status)) return
  const paths = untruePaths(request, reply, status)
  let names: readonly string[]
  try {
    names = resolveNames('invalidates', invalidates, request, reply).map(checkTag)
  } catch (error) {
    // The change has been made, and nobody can tell to what: everything goes, whatever becomes of the answer.
    request.log.error({ err: error, route: request.routeOptions.url }, `config.cache.invalidates of ${request.routeOptions.url ?? request.url} has failed after the change: everything is purged`)
    await purge(parts, { everything: true }, ['everything'])
    throw error
  }
  for (const name of names) isUnmade(request, 'invalidates', name, 'a change may not reach what shows it')
  if (groups.out) sendCallback(request, reply, names)
  if (groups.in) names = [...names, ...groupsCalledBack(request, reply)]
  const { keys = [], marks = [] } = nameRecord(names)
  await purge(parts, { keys, marks: [...paths, ...marks] }, names.length === 0 ? ['paths'] : ['paths', 'tags'])
}

async function purge (parts: EngineParts, record: PurgeRecord, kinds: CacheEvents['invalidate']['kinds']): Promise<void> {
  const reach = await parts.log.append(record)
  parts.stats.add('invalidations')
  if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { kinds, soft: false, reach })
}

function untruePaths (request: FastifyRequest, reply: FastifyReply, status: number): readonly Mark[] {
  const host = validHost(request.host)
  const target = request.raw.url ?? ''
  const route = markOfRoute(request, reply, request.routeOptions.url ?? '')
  if (host === undefined || !isCleanTarget(target)) return [route]
  const scheme = schemeOf(request, reply)
  const url = `${scheme}://${host}${target}`
  const named = invalidatedUris({ method: request.method, status, url, headers: headerListOf(reply.getHeaders() as ReplyHeaders) })
  // What was requested is known by the path as sent, not as a parser of URLs would spell it.
  const paths = [pathOf(target), ...named.filter((uri) => uri !== url).map((uri) => new URL(uri).pathname)]
  return [route, ...[...new Set(paths)].map((path) => originMark(scheme, host, normalisePath(path)))]
}
