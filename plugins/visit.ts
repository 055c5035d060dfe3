import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EpochMs } from '../lib/clock.ts'
import type { DependencyScope } from '../lib/engine/dependencies.ts'
import type { Ticket } from '../lib/ports/invalidation-log.ts'
import type { KnownKeys } from './known-keys.ts'
import type { RefreshJob } from './refresh.ts'
import type { RoutePolicy } from './route-options.ts'

/**
 * What is noted when a request of a cached route arrives, before the hooks of the route have run: what they load becomes
 * part of the response as well.
 */
export interface Arrival {
  readonly ticket: Ticket
  readonly scope: DependencyScope
}

/**
 * A request on its way through the lookup. A class, and what else a hit makes is of classes too: a literal of which the engine
 * has once seen many survive, such as those that wait for slow handlers, goes straight into its old generation ever after, and
 * there it holds what it names until that is collected as a whole.
 */
export class Visit {
  readonly policy: RoutePolicy
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly key: string
  /** It carries credentials, and may only get what says that it is for everybody. */
  readonly credentialed: boolean
  /** Where its key is worth to be remembered once it is a hit. */
  readonly unknownTo?: KnownKeys | undefined
  /** For measuring; 0 when nobody listens. */
  readonly startedAt: number
  /** When the request came: its patience with other requests has been running since, however many it waits for. */
  readonly arrivedAtMs: EpochMs
  /** When the store was asked; a caller's patience with Redis has been running since. */
  readonly askedAtMs: EpochMs
  /** Where the log stood then: what was found is not older than that. */
  readonly askedAt: number
  readonly job: RefreshJob | undefined

  constructor (begun: Visit) {
    this.policy = begun.policy
    this.request = begun.request
    this.reply = begun.reply
    this.key = begun.key
    this.credentialed = begun.credentialed
    this.unknownTo = begun.unknownTo
    this.startedAt = begun.startedAt
    this.arrivedAtMs = begun.arrivedAtMs
    this.askedAtMs = begun.askedAtMs
    this.askedAt = begun.askedAt
    this.job = begun.job
  }
}
