import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { InjectRequest, WarmingRequest } from '../lib/engine/warming-routes.ts'
import type { ForwardReason } from '../lib/http/cache-status.ts'
import { outcomeOf } from './exchange.ts'

/** RFC 9110 §15.5.21: the request is understood, and there is nothing to be gained by it. */
const NOT_CACHED = 422

/** Why a handler ran for a response that is stored; any other word about a miss is why it is not. */
const FORWARDED: ReadonlySet<string> = new Set<ForwardReason | 'revalidated'>(['uri-miss', 'vary-miss', 'stale', 'request', 'partial', 'revalidated'])

function refusalOf (request: FastifyRequest): string | undefined {
  const { status, reason } = outcomeOf(request)
  return status === 'bypass' || (status === 'miss' && !FORWARDED.has(reason)) ? reason : undefined
}

/**
 * Requests of the application to itself, which pass for TLS where they stand for such requests. They run the handlers of
 * cached routes only: a path from outside must not set off what a route without a cache does.
 * @param name of the route option that makes a route a cached one
 */
export function createWarmingRequests (app: FastifyInstance, { warming: steps }: EngineParts, name: string): InjectRequest {
  const made = new WeakMap<WarmingRequest, FastifyRequest>()
  app.addHook('onRequest', function cacheWarming (request, reply, next) {
    const warming = steps.current?.request
    if (warming === undefined || warming.url !== request.originalUrl) {
      next()
      return
    }
    made.set(warming, request)
    const configured = (request.routeOptions.config as unknown as Readonly<Record<string, unknown>>)[name] ?? false
    if (configured === false && !request.is404) {
      void reply.code(NOT_CACHED).send()
      return
    }
    if (warming.encrypted) Object.assign(request.raw.socket, { encrypted: true })
    next()
  })
  return async (warming) => {
    const { method, url, headers, signal } = warming
    const { statusCode } = await app.inject({ method, url, headers: { ...headers }, signal })
    const request = made.get(warming)
    return { statusCode, refused: request === undefined ? undefined : refusalOf(request) }
  }
}
