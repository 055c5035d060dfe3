import type { FastifyReply, FastifyRequest } from 'fastify'
import { isSuccess } from '../lib/http/method.ts'
import { clientConditions } from '../lib/http/revalidation.ts'
import { admitTarget } from './admission.ts'
import type { Capture } from './capture.ts'
import type { Miss } from './exchange.ts'
import type { Lookup } from './lookup.ts'
import { beginMiss } from './miss.ts'
import type { RouteCache, RouteCacheParts } from './route-cache.ts'
import type { RoutePolicy } from './route-options.ts'

/**
 * Keeps answers to POST that say they are what a GET of the same URL would get (RFC 9110 §9.3.3). The POST itself always
 * reaches its handler, with the client's own conditions, and purges as every POST does.
 */
export class Posted {
  readonly #shared: RouteCacheParts
  readonly #cache: RouteCache
  readonly #capture: Capture

  constructor (shared: RouteCacheParts, cache: RouteCache, capture: Capture) {
    this.#shared = shared
    this.#cache = cache
    this.#capture = capture
  }

  /** The lookup of a route that keeps them; `others` sees to all other methods. */
  before (others: Lookup): Lookup {
    return { lookup: (policy, request, reply) => request.method === 'POST' ? this.#begin(policy, request, reply) : others.lookup(policy, request, reply) }
  }

  #begin (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): false {
    const { parts, settings } = this.#shared
    const admission = admitTarget(request, reply, policy, settings.credentials)
    const startedAt = parts.events.heard('lookup') ? performance.now() : 0
    if (!admission.admitted) return this.#cache.bypass(policy, request, reply, 'method', startedAt)
    const { key, credentialed } = admission
    const nowMs = parts.clock.now()
    const visit = { policy, request, reply, key, credentialed, startedAt, arrivedAtMs: nowMs, askedAtMs: nowMs, askedAt: parts.log.tip, job: undefined }
    beginMiss(this.#cache, parts, visit, { key, entry: undefined, varyMiss: false }, { forward: 'method', conditions: clientConditions(request.headers), alone: true })
    this.#cache.tell(request, 'bypass', 'method', policy, startedAt, nowMs, request.url)
    return false
  }

  /** Takes hold of the answer, once what the POST has made untrue is purged; answers the payload that goes on in its place. */
  async take (miss: Miss, request: FastifyRequest, reply: FastifyReply, payload: unknown, purge: () => Promise<void>): Promise<unknown> {
    if (isSuccess(reply.statusCode) && reply.getHeader('content-location') !== undefined) return await this.#capture.takePosted(miss, request, reply, payload, purge)
    await purge()
    return this.#capture.letPass(miss, reply, payload)
  }
}
