import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EngineParts } from '../lib/engine/parts.ts'
import { headerListOf } from '../lib/http/headers.ts'
import { isError, isSafeMethod } from '../lib/http/method.ts'
import { invalidatedUris } from '../lib/http/unsafe.ts'
import { nameRecord } from '../lib/engine/purge-record.ts'
import { originMark, type Mark } from '../lib/keyspace/mark.ts'
import { checkTag } from '../lib/keyspace/name.ts'
import { normalisePath } from '../lib/keyspace/request-path.ts'
import { isCleanTarget, validHost } from '../lib/keyspace/request-key.ts'
import { resolveNames } from './capture.ts'
import type { ReplyHeaders } from './exchange.ts'
import type { NamesOf } from './route-options.ts'

/**
 * Makes invalid what a successful unsafe request has made untrue (RFC 9111 §4.4): the path of its target, those of its
 * Location and Content-Location on the same origin, and the tags that the route names. Every route takes part, cached or
 * not. The client gets its answer when the purge holds.
 */
export async function invalidateAfter (parts: EngineParts, request: FastifyRequest, reply: FastifyReply, invalidates: NamesOf | undefined): Promise<void> {
  if (isSafeMethod(request.method) || isError(reply.statusCode)) return
  const marks = new Set<Mark>()
  for (const uri of untrueUris(request, reply)) {
    const { protocol, host, pathname } = new URL(uri)
    marks.add(originMark(protocol.slice(0, -1), host, normalisePath(pathname)))
  }
  const names = nameRecord(resolveNames(invalidates, request, reply).map(checkTag))
  for (const mark of names.marks ?? []) marks.add(mark)
  if (marks.size === 0) return
  const reach = await parts.log.append({ keys: names.keys ?? [], marks: [...marks] })
  parts.stats.add('invalidations')
  if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { kinds: invalidates === undefined ? ['paths'] : ['paths', 'tags'], soft: false, reach })
}

function untrueUris (request: FastifyRequest, reply: FastifyReply): readonly string[] {
  const host = validHost(request.host)
  const target = request.raw.url ?? ''
  // Nothing is stored for what is not a clean target, so there is nothing to make invalid.
  if (host === undefined || !isCleanTarget(target)) return []
  return invalidatedUris({ method: request.method, status: reply.statusCode, url: `${request.protocol}://${host}${target}`, headers: headerListOf(reply.getHeaders() as ReplyHeaders) })
}
