import { systemClock, toMs, type Clock } from './clock.ts'
import { jsonSerializer, type ValueSerializer } from './codec/serializer.ts'
import { verbatimSerializer } from './codec/verbatim.ts'
import type { CacheConfig } from './config.ts'
import { DependencyTracker } from './engine/dependencies.ts'
import type { EngineParts } from './engine/parts.ts'
import { CacheEventHub } from './events.ts'
import { createLocalLog } from './invalidation/local-log.ts'
import type { InvalidationLog } from './ports/invalidation-log.ts'
import { StatsCounter } from './stats.ts'
import { MemoryCache } from './stores/memory.ts'

/** What a program may bring along instead of what the configuration would make. */
export interface CacheDeps {
  /** @default the system's */
  clock?: Clock
  /** A number from 0 up to 1. @default Math.random */
  random?: () => number
  /** How data values are kept. @default JSON */
  serializer?: ValueSerializer
}

/** Builds what `config` describes. The only place where the parts meet. */
export function compose (config: Readonly<CacheConfig>, deps: CacheDeps = {}): EngineParts {
  const clock = deps.clock ?? systemClock
  const events = new CacheEventHub()
  const log = createLocalLog({ clock, maxRecords: config.maxInvalidations })
  const store = new MemoryCache({
    log,
    clock,
    maxEntries: config.memoryMaxSize,
    maxBytes: config.memoryMaxBytes,
    maxEntryBytes: config.memoryMaxEntryBytes,
    evictionPolicy: config.evictionPolicy,
    onEvict: (key, entry, cause) => { if (events.heard('evict')) events.emit('evict', { key, cause, bytes: entry.bytes }) }
  })
  return {
    store,
    log,
    events,
    clock,
    serializer: deps.serializer ?? (config.enableSerialization ? jsonSerializer : verbatimSerializer),
    stats: new StatsCounter(config.enableStats),
    dependencies: new DependencyTracker(config.trackDependencies),
    random: deps.random ?? Math.random,
    scratchLog: (): InvalidationLog => createLocalLog({ clock }),
    defaults: {
      ttlMs: toMs(config.strategy === 'memory' ? config.memoryTtl : config.redisTtl),
      staleWhileRevalidateMs: toMs(config.staleWhileRevalidate),
      staleIfErrorMs: toMs(config.staleIfError),
      jitter: config.ttlJitter,
      loadTimeoutMs: toMs(config.loadTimeout)
    }
  }
}
