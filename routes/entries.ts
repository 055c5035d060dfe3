import type { FastifyInstance } from 'fastify'
import { entryPage } from '../lib/engine/entry-page.ts'
import { reportEntry } from '../lib/engine/entry-report.ts'
import { errors } from '../lib/errors.ts'
import { MAX_NAME_LENGTH, checkKey } from '../lib/keyspace/name.ts'
import { atClientsRisk, countIn, fieldsOf, textIn } from './bad-request.ts'
import { ENTRY_REPORT_SCHEMA, ENTRY_SCHEMA, PURGE_RESULT } from './entry-schema.ts'
import type { GuardedRouteOptions } from './invalidate.ts'
import { BAD_REQUEST, GUARD_RESPONSES, NOT_FOUND, routeShape } from './route-shape.ts'

const MAX_LIMIT = 1000
const MAX_CURSOR_LENGTH = 512

const query = {
  type: 'object',
  additionalProperties: false,
  properties: {
    pattern: { type: 'string', description: 'Only keys that match this glob.', default: '*' },
    limit: { type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: 100 },
    cursor: { type: 'string', description: 'What the page before said.' }
  }
}

const page = {
  description: 'A page of entries, in the order of the store. While there is a cursor there may be more, even after an empty page.',
  type: 'object',
  required: ['entries'],
  additionalProperties: false,
  properties: { entries: { type: 'array', items: ENTRY_SCHEMA }, cursor: { type: 'string' } }
}

const deleted = { ...PURGE_RESULT, required: ['reach', 'existed'], properties: { ...PURGE_RESULT.properties, existed: { type: 'boolean' } } }

/** `GET <prefix>/entries`, and `GET` and `DELETE` of one of them. Values are never shown. */
export function entryRoutes (app: FastifyInstance, { prefix, cache, guard }: GuardedRouteOptions): void {
  const { parts } = cache

  app.get(`${prefix}/entries`, routeShape('What is stored', { querystring: query, response: { 200: page, 400: BAD_REQUEST, ...GUARD_RESPONSES } }, guard), async (request) => {
    const fields = fieldsOf(request.query, 'query', Object.keys(query.properties))
    return await entryPage(parts, { pattern: textIn(fields, 'pattern', MAX_NAME_LENGTH), limit: countIn(fields, 'limit', MAX_LIMIT), cursor: textIn(fields, 'cursor', MAX_CURSOR_LENGTH) })
  })

  const describe = async (name: unknown): Promise<object> => await atClientsRisk(async () => {
    const key = checkKey(name)
    const report = await reportEntry(parts, key)
    if (report === undefined) throw new errors.FST_ERR_CACHE_NOT_STORED(key)
    return report
  })

  const remove = async (name: unknown): Promise<object> => await atClientsRisk(async () => {
    const key = checkKey(name)
    const held = await reportEntry(parts, key)
    // The variants of a URL have keys of their own; without their list nobody would find them to purge them later.
    const { reach } = await cache.invalidate({ keys: [key, ...held?.variants?.keys ?? []] })
    return { existed: held !== undefined, reach }
  })

  const params = { type: 'object', properties: { key: { type: 'string', minLength: 1, maxLength: MAX_NAME_LENGTH } } }
  const one = routeShape('One entry, and why it is fresh or stale', { params, response: { 200: ENTRY_REPORT_SCHEMA, 400: BAD_REQUEST, 404: NOT_FOUND, ...GUARD_RESPONSES } }, guard)
  const none = routeShape('Purge one entry', { params, response: { 200: deleted, 400: BAD_REQUEST, ...GUARD_RESPONSES } }, guard)
  app.get<{ Params: { key: string } }>(`${prefix}/entries/:key`, one, async (request) => await describe(request.params.key))
  app.delete<{ Params: { key: string } }>(`${prefix}/entries/:key`, none, async (request) => await remove(request.params.key))

  const hidden = { params, hide: true }
  // Routers refuse long parameters (`maxParamLength`, 100 by default), and the keys of responses are long.
  app.get<{ Params: { '*': string } }>(`${prefix}/entries/*`, { ...one, schema: hidden }, async (request) => await describe(request.params['*']))
  app.delete<{ Params: { '*': string } }>(`${prefix}/entries/*`, { ...none, schema: hidden }, async (request) => await remove(request.params['*']))
}
