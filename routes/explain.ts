import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { EntryReport } from '../lib/engine/entry-report.ts'
import { errors, shown } from '../lib/errors.ts'
import { fieldsOf, textIn } from './bad-request.ts'
import { ENTRY_REPORT_SCHEMA } from './entry-schema.ts'
import { BAD_REQUEST, GUARD_RESPONSES, routeShape } from './route-shape.ts'

/** What the cache would do with a request, and why. */
export interface Explanation {
  readonly url: string
  readonly verdict: 'fresh' | 'stale' | 'miss' | 'bypass'
  /** One word; behind a `;` what it is about. */
  readonly reason: string
  /** The same in a sentence. */
  readonly why: string
  /** The pattern of the route, where one of a cached route was found. */
  readonly route?: string
  /** The route's settings, in words. */
  readonly policy?: string
  /** Under which key the response is, or would be. */
  readonly key?: string
  /** What of the request is in the key. `null`: the request does not have it. */
  readonly inputs?: Readonly<Record<string, string | null>>
  /** What is stored there. */
  readonly entry?: EntryReport
}

export interface ExplainRouteOptions {
  readonly prefix: string
  readonly guard: readonly onRequestHookHandler[]
  /** What would become of a GET of `url`, a path of this app, from the client that sends `asker`. Runs no handler. */
  readonly explain: (url: string, asker: FastifyRequest) => Promise<Explanation>
}

const MAX_URL_LENGTH = 8192

const query = {
  type: 'object',
  required: ['url'],
  additionalProperties: false,
  properties: { url: { type: 'string', description: 'Path and query of a page of this app, percent-encoded.', maxLength: MAX_URL_LENGTH } }
}

const text = { type: 'string' }

const response = {
  description: 'What the cache would do. The request is taken to carry the headers of this one, without its credentials.',
  type: 'object',
  required: ['url', 'verdict', 'reason', 'why'],
  additionalProperties: false,
  properties: {
    url: text,
    verdict: { enum: ['fresh', 'stale', 'miss', 'bypass'] },
    reason: text,
    why: text,
    route: text,
    policy: text,
    key: text,
    inputs: { type: 'object', additionalProperties: { type: ['string', 'null'] } },
    entry: ENTRY_REPORT_SCHEMA
  }
}

/** `GET <prefix>/explain?url=`. */
export function explainRoute (app: FastifyInstance, { prefix, guard, explain }: ExplainRouteOptions): void {
  app.get(`${prefix}/explain`, routeShape('Why an answer comes from the cache, or does not', { querystring: query, response: { 200: response, 400: BAD_REQUEST, ...GUARD_RESPONSES } }, guard), async (request) => {
    const url = textIn(fieldsOf(request.query, 'query', ['url']), 'url', MAX_URL_LENGTH)
    if (url === undefined || url[0] !== '/') throw new errors.FST_ERR_CACHE_REQUEST('url', shown(url), 'a path of this app that begins with /')
    return await explain(url, request)
  })
}
