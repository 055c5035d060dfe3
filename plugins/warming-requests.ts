import type { FastifyInstance } from 'fastify'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { InjectRequest } from '../lib/engine/warming-routes.ts'

/** RFC 9110 §15.5.21: the request is understood, and there is nothing to be gained by it. */
const NOT_CACHED = 422

/**
 * Requests of the application to itself, which pass for TLS where they stand for such requests. They run the handlers of
 * cached routes only: a path from outside must not set off what a route without a cache does.
 * @param name of the route option that makes a route a cached one
 */
export function createWarmingRequests (app: FastifyInstance, { warming: steps }: EngineParts, name: string): InjectRequest {
  app.addHook('onRequest', function cacheWarming (request, reply, next) {
    const warming = steps.current?.request
    if (warming === undefined || warming.url !== request.originalUrl) {
      next()
      return
    }
    const configured = (request.routeOptions.config as unknown as Readonly<Record<string, unknown>>)[name] ?? false
    if (configured === false && !request.is404) {
      void reply.code(NOT_CACHED).send()
      return
    }
    if (warming.encrypted) Object.assign(request.raw.socket, { encrypted: true })
    next()
  })
  return async ({ method, url, headers, signal }) => await app.inject({ method, url, headers: { ...headers }, signal })
}
