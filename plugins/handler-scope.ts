import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { DependencyScope } from '../lib/engine/dependencies.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import { pathOf } from '../lib/keyspace/request-path.ts'
import { headersNow } from './added-headers.ts'
import { canonicalQuery, type ClosedQuery } from './closed-query.ts'
import { missOf, noteArrival, noteThrown } from './exchange.ts'
import { ObservedRequest } from './observed-request.ts'
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
    miss.observed = new ObservedRequest(request, policy.query !== undefined && !isSpelledAsKeyed(request, policy.query), idHeaderOf(app, request), miss.conditions)
    const { dependencies } = this.#parts
    const call = (): unknown => handler.call(app, request, reply)
    const result: unknown = dependencies.enter(miss.scope, policy.statuses === 'any' ? () => noteThrown(miss, call) : call)
    if (!isThenable(result)) return result === undefined ? undefined : dependencies.enter(miss.scope, () => { reply.send(result) })
    // A client that leaves ends the reply, but not the handler. What is answered then, Fastify takes before the scope is released.
    const release = dependencies.hold(miss.scope)
    if (release !== undefined) queueMicrotask(() => { result.then(release, release) })
    return this.answerOf(request, result)
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

type Settled = (value: unknown) => unknown

const isThenable = (value: unknown): value is PromiseLike<unknown> => typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

/** Whether the target says just what the key says. If not, a response that shows it is not for everybody with that key. */
function isSpelledAsKeyed ({ raw, query }: FastifyRequest, closed: ClosedQuery): boolean {
  const target = raw.url ?? '/'
  return target === pathOf(target) + canonicalQuery(closed, query as Record<string, unknown>)
}

/** The header from which Fastify has taken the id of the request, where it was told to. */
function idHeaderOf ({ initialConfig: { requestIdHeader } }: FastifyInstance, { raw }: FastifyRequest): string | undefined {
  return typeof requestIdHeader === 'string' && raw.headers[requestIdHeader] !== undefined ? requestIdHeader : undefined
}
