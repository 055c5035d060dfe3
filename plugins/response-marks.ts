import type { FastifyReply, FastifyRequest } from 'fastify'
import { findWritten } from '../lib/http/entity-path.ts'
import { originMark, pathMark, routeMark, tagMark, type Mark } from '../lib/keyspace/mark.ts'
import { checkTag } from '../lib/keyspace/name.ts'
import { normalisePath, pathOf } from '../lib/keyspace/request-path.ts'
import { groupsOfReply } from './cache-groups.ts'
import { tagsOfReply, type Miss } from './exchange.ts'
import type { CacheRequest, NamesOf } from './route-options.ts'
import { schemeOf } from './scheme.ts'
import { isUnmade } from './unmade-names.ts'
import { wrongAnswer } from './wrong-answer.ts'

/**
 * By what names a purge reaches a response: its path, the tags that the route, the reply and the payload name, and
 * whatever was read through the cache while it was built. `undefined` when the route's own functions fail to tell.
 * @param earlier those of the stored response that it is, where the handler has only confirmed it
 */
export function responseMarks (miss: Miss, request: FastifyRequest, reply: FastifyReply, body: Buffer | undefined, earlier: readonly Mark[] = []): readonly Mark[] | undefined {
  const { policy } = miss
  const path = normalisePath(pathOf(request.raw.url ?? '/'))
  const marks = new Set<Mark>([...earlier, pathMark(path), originMark(schemeOf(request, reply), request.host.toLowerCase(), path), markOfRoute(request, reply, policy.route)])
  try {
    // Handlers that serialise by themselves send text. Throws for what is no JSON.
    if (policy.entities !== undefined && !miss.entities.certain && body !== undefined && body.length > 0) miss.entities = findWritten(policy.entities, miss.entities, body.toString())
    for (const tag of [...resolveNames('tags', policy.tags, request, reply), ...tagsOfReply(reply), ...miss.entities.tags]) {
      marks.add(tagMark(checkTag(tag)))
      isUnmade(request, 'tags', tag, 'no change will reach the response by it')
    }
  } catch (error) {
    request.log.error({ err: error, route: policy.route }, `the response of ${policy.route} is not cached: its tags could not be made`)
    return undefined
  }
  if (policy.http.groups.in) for (const group of groupsOfReply(reply)) marks.add(tagMark(group))
  for (const mark of miss.scope.marks) marks.add(mark)
  return [...marks]
}

/**
 * The route that answers a request, and what it takes from the path. A router takes many spellings for the same (case,
 * slashes, escapes, an absolute form), and a change made by one of them must reach what was stored under another.
 */
export function markOfRoute (request: FastifyRequest, reply: FastifyReply, route: string): Mark {
  const parameters = route.includes(':') || route.includes('*') ? JSON.stringify(request.params) : '{}'
  return routeMark(schemeOf(request, reply), request.host.toLowerCase(), route, parameters)
}

export function resolveNames (option: 'tags' | 'invalidates', names: NamesOf | undefined, request: FastifyRequest, reply: FastifyReply): readonly string[] {
  const resolved: unknown = typeof names === 'function' ? names(request as CacheRequest, reply) : names ?? []
  if (!Array.isArray(resolved)) throw wrongAnswer(option, request, resolved, 'an array of strings')
  return resolved as readonly string[]
}
