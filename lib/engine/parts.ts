import type { Ambient } from '../ambient.ts'
import type { Clock, Milliseconds } from '../clock.ts'
import type { ValueSerializer } from '../codec/serializer.ts'
import type { CacheEventHub } from '../events.ts'
import type { BaseCache } from '../ports/base-cache.ts'
import type { InvalidationLog } from '../ports/invalidation-log.ts'
import type { Leases } from '../ports/leases.ts'
import type { AnyRedis } from '../redis/source.ts'
import type { StatsCounter } from '../stats.ts'
import type { DependencyTracker } from './dependencies.ts'
import type { LoadDefaults } from './load-options.ts'
import type { WarmingStep } from './warming-routes.ts'

/** What the engine works with; built in `compose.ts`, in one place. */
export interface EngineParts {
  readonly store: BaseCache
  readonly log: InvalidationLog
  readonly serializer: ValueSerializer
  readonly events: CacheEventHub
  readonly stats: StatsCounter
  readonly dependencies: DependencyTracker
  /** What a warming does now. What is looked up for it counts as no lookup: nobody has asked. */
  readonly warming: Ambient<WarmingStep>
  /** The right to load a key for the whole fleet; none where there is but one process. */
  readonly leases: Leases | undefined
  /** How long one caller waits for Redis in all, however many questions there are, before it goes on without it. */
  readonly patienceMs: Milliseconds
  /** Whether nothing is used of which it is not known that no other process has purged it. */
  readonly strict: boolean
  readonly clock: Clock
  /** A number from 0 up to 1, for jitter. */
  readonly random: () => number
  readonly defaults: LoadDefaults
  /** A log of its own, to try a purge on. */
  readonly scratchLog: () => InvalidationLog
  /** Whether there is anywhere to store right now. */
  readonly canStore: () => boolean
  /** The connection to Redis, where there is one. */
  readonly connection: { readonly ready: boolean, readonly where: string, readonly trouble: string, readonly raw: AnyRedis } | undefined
  /** Gets the connections ready that the parts need; bounded, and not in the way of working without them. */
  readonly open: () => Promise<void>
  /** Closes the connections, after everything that uses them. */
  readonly close: () => Promise<void>
}
