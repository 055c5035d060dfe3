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

/** A request on its way through the lookup. */
export interface Visit {
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
}
