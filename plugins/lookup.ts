import type { FastifyReply, FastifyRequest } from 'fastify'
import type { MaybePromise } from '../lib/maybe-promise.ts'
import type { RoutePolicy } from './route-options.ts'

/** What happens to a request of a cached route before its handler. Which one, is decided when the route is made. */
export interface Lookup {
  /** Answers the request if it can; otherwise notes on it what the handler's response will need. @returns whether it was answered */
  lookup: (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply) => MaybePromise<boolean>
}
