import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { DependencyScope } from '../lib/engine/dependencies.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import { pathOf } from '../lib/keyspace/request-path.ts'
import { headersNow } from './added-headers.ts'
import { canonicalQuery, type ClosedQuery } from './closed-query.ts'
import { missOf, noteArrival, type Miss } from './exchange.ts'
import { readLogAside } from './log-reads.ts'
import { ID, ObservedRequest, readAside, type ObservedInput } from './observed-request.ts'
import { onReplyEnd } from './reply-end.ts'

/** What surrounds the making of a response: the scope that notes what is read through the cache, and the watch over its inputs. */
export class HandlerScope {
  readonly #owner: object
  readonly #parts: Pick<EngineParts, 'log' | 'dependencies'>

  /** @param owner whose misses these are, where several caches are registered */
  constructor (owner: object, parts: Pick<EngineParts, 'log' | 'dependencies'>) {
    this.#owner = owner
    this.#parts = parts
  }

  /** Notes the arrival of a request, and runs the hooks behind inside the scope of what the response will be built from. */
  arrive (request: FastifyRequest, reply: FastifyReply, next: () => void): void {
    const { log, dependencies } = this.#parts
    const scope = new DependencyScope()
    noteArrival(request, { ticket: log.ticket(), scope })
    const release = dependencies.hold(scope)
    if (release !== undefined) onReplyEnd(reply, release)
    dependencies.enter(scope, next)
  }

  /** What comes after a lookup that found nothing, in the scope of the response that will be built. */
  goOn (request: FastifyRequest, next: () => void): void {
    const miss = missOf(request)
    if (miss?.owner === this.#owner) this.#parts.dependencies.enter(miss.scope, next)
    else next()
  }

  /** Runs the handler; for a miss, inside the scope that notes what is read, and with the request under observation. */
  run (app: FastifyInstance, handler: RouteHandlerMethod, request: FastifyRequest, reply: FastifyReply): unknown {
    const miss = missOf(request)
    if (miss === null || miss.owner !== this.#owner) return handler.call(app, request, reply)
    const { policy } = miss
    // On a public route hooks have run since the lookup. What they add is theirs, and not the response's.
    if (policy.serveFrom === 'onRequest') miss.before = headersNow(reply)
    miss.observed = new ObservedRequest(request, policy.query !== undefined && !isSpelledAsKeyed(request, policy.query), idSourceOf(app, request), miss.conditions, policy.validated)
    // A route or a context may have serializers of its own.
    readLogAside(request.log)
    if (policy.ttlMs === 0) letPassOn(reply)
    const { dependencies } = this.#parts
    const result: unknown = dependencies.enter(miss.scope, () => asPromise(handler.call(app, request, reply)))
    if (!isThenable(result)) return result === undefined ? undefined : dependencies.enter(miss.scope, () => { reply.send(result) })
    // A client that leaves ends the reply, but not the handler. What is answered then, Fastify takes before the scope is released.
    const release = dependencies.hold(miss.scope)
    if (release !== undefined) queueMicrotask(() => { result.then(release, release) })
    return this.answerOf(request, result)
  }

  /** Hands a payload on to the hooks behind ours; while the handler of a stream goes on, in a scope of their own. */
  leave ({ behind }: Miss, next: (error: null, payload: unknown) => void, payload: unknown): void {
    if (behind === undefined) next(null, payload)
    else this.#parts.dependencies.inside(behind, () => { next(null, payload) })
  }

  /**
   * The promise of a handler, such that what Fastify does with the answer (serialisers, error handlers, the flow of a stream) runs
   * in the scope of the response that it is part of.
   */
  answerOf (request: FastifyRequest, promise: PromiseLike<unknown>): PromiseLike<unknown> {
    const inside = (next: Settled): Settled => (value) => {
      const miss = missOf(request)
      return miss?.owner === this.#owner ? this.#parts.dependencies.enter(miss.scope, () => next(value)) : next(value)
    }
    const then = (answered: Settled, failed: Settled): unknown => promise.then(inside(answered), inside(failed))
    return { then } as PromiseLike<unknown>
  }
}

/**
 * `reply.from` passes the request as a whole on to another HTTP server. Where the headers of the answer decide alone, its Vary
 * says what of the request it depends on, as everywhere in HTTP; what the handler reads by itself counts all the same.
 */
function letPassOn (reply: FastifyReply): void {
  const { from } = reply as { from?: unknown }
  if (typeof from !== 'function') return
  Object.defineProperty(reply, 'from', { configurable: true, value: (...args: unknown[]): unknown => readAside(() => from.apply(reply, args) as unknown) })
}

type Settled = (value: unknown) => unknown

/**
 * What a handler answers, as something that several may wait for: the query that a builder stands for is run by each `then`,
 * and reads in it.
 */
export const asPromise = (result: unknown): unknown => isThenable(result) && !(result instanceof Promise) ? Promise.resolve(result) : result

export const isThenable = (value: unknown): value is PromiseLike<unknown> => typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

/** Whether the target says just what the key says. If not, a response that shows it is not for everybody with that key. */
function isSpelledAsKeyed ({ raw, query }: FastifyRequest, closed: ClosedQuery): boolean {
  const target = raw.url ?? '/'
  return target === pathOf(target) + (canonicalQuery(closed, query as Record<string, unknown>) ?? '')
}

/** An id as Fastify counts them. */
const COUNTED = /^req-[0-9a-z]+$/

/** Where the id of the request comes from, if it says anything: the header that Fastify took it from, or a function of the app. */
function idSourceOf ({ initialConfig: { requestIdHeader } }: FastifyInstance, { id, raw }: FastifyRequest): ObservedInput | undefined {
  if (typeof requestIdHeader === 'string' && raw.headers[requestIdHeader] !== undefined) return requestIdHeader
  return COUNTED.test(id) ? undefined : ID
}
