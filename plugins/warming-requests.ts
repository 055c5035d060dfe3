import type { FastifyInstance } from 'fastify'
import { Ambient } from '../lib/ambient.ts'
import type { InjectRequest, WarmingRequest } from '../lib/engine/warming-routes.ts'

/** RFC 9110 §15.5.21: the request is understood, and there is nothing to be gained by it. */
const NOT_CACHED = 422

/**
 * Requests of the application to itself, which pass for TLS where they stand for such requests. They run the handlers of
 * cached routes only: a path from outside must not set off what a route without a cache does.
 * @param name of the route option that makes a route a cached one
 */
export function createWarmingRequests (app: FastifyInstance, name: string): InjectRequest {
  const requests = new Ambient<WarmingRequest>()
  app.addHook('onRequest', function cacheWarming (request, reply, next) {
    const warming = requests.current
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
  return async (warming) => await requests.during(warming, async () => await app.inject({ method: warming.method, url: warming.url, headers: { ...warming.headers }, signal: warming.signal }))
}
