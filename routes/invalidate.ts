import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import { atClientsRisk, fieldsOf, flagIn } from './bad-request.ts'
import { PURGE_RESULT } from './entry-schema.ts'
import { BODY_LIMIT, requireJson } from './json-only.ts'
import { BAD_REQUEST, GUARD_RESPONSES, routeShape } from './route-shape.ts'

export interface GuardedRouteOptions {
  readonly prefix: string
  readonly cache: CacheManager
  readonly guard: readonly onRequestHookHandler[]
}

const names = (description: string): object => ({ description, type: 'array', items: { type: 'string' } })

const body = {
  type: 'object',
  additionalProperties: false,
  properties: {
    keys: names('Exact keys, and what was built from them.'),
    tags: names('Entries that carry one of these tags.'),
    patterns: names('Globs over keys: *, ?, [a-z].'),
    paths: names('Request paths, whatever the host and the query; a trailing * takes all below.'),
    everything: { type: 'boolean' },
    soft: { type: 'boolean', description: 'Make stale instead of gone.', default: false },
    dryRun: { type: 'boolean', description: 'Tell what the purge would touch, and touch nothing.', default: false }
  }
}

const purged = { ...PURGE_RESULT, required: [], properties: { ...PURGE_RESULT.properties, touched: { type: 'integer', description: 'Dry run: how many entries.' }, keys: names('Dry run: the first hundred of their keys.') } }

/** `POST <prefix>/invalidate` and `POST <prefix>/flush`. */
export function invalidateRoutes (app: FastifyInstance, { prefix, cache, guard }: GuardedRouteOptions): void {
  const accept = [...guard, requireJson]

  app.post(`${prefix}/invalidate`, {
    ...routeShape('Purge by key, tag, pattern or path', { body, response: { 200: purged, 400: BAD_REQUEST, ...GUARD_RESPONSES } }, accept),
    bodyLimit: BODY_LIMIT
  }, async (request) => {
    const { dryRun, ...purge } = fieldsOf(request.body, 'body', Object.keys(body.properties))
    flagIn(purge, 'everything')
    flagIn(purge, 'soft')
    const only = flagIn({ dryRun }, 'dryRun')
    return await atClientsRisk(async () => only ? await cache.previewInvalidation(purge) : await cache.invalidate(purge))
  })

  app.post(`${prefix}/flush`, {
    ...routeShape('Purge everything', { body: { type: 'object', additionalProperties: false }, response: { 200: PURGE_RESULT, 400: BAD_REQUEST, ...GUARD_RESPONSES } }, accept),
    bodyLimit: BODY_LIMIT
  }, async (request) => {
    fieldsOf(request.body, 'body', [])
    const result = await cache.invalidate({ everything: true })
    await cache.parts.store.wipe()
    return result
  })
}
