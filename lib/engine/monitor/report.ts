import type { EpochMs, Seconds } from '../../clock.ts'
import type { TierUsage } from '../../ports/base-cache.ts'
import type { InvalidationLog, LogState } from '../../ports/invalidation-log.ts'
import type { CacheStats } from '../../stats.ts'
import type { EvictionPolicyName } from '../../eviction/create-bounded-map.ts'
import type { Alert } from './alerts.ts'
import type { Finding } from './findings.ts'
import type { GroupFigures } from './groups.ts'
import type { HotKey } from './hot-keys.ts'
import type { CurvePoint } from './miss-ratio-curve.ts'
import type { ObservedFigures } from './observations.ts'
import type { OperationFigures } from './operations.ts'
import type { Recommendation } from './recommendations.ts'
import type { PolicyFigures } from './shadow-policies.ts'
import type { HistoryPoint, WindowFigures } from './traffic.ts'

/** A tier, and how full it is. */
export interface TierFigures extends TierUsage {
  /** How full it is, from 0 to 1: by entries or by bytes, whichever is more. `null` where it has no bounds. */
  utilisation: number | null
}

/** The log of purges, as it is now. */
export interface LogFigures {
  /** `current`: the purges of other instances are known here; `behind`: some are being fetched; `alone`: the shared log cannot be reached. */
  state: LogState
  /** Names that were purged here, and that wait for the shared log. */
  queued: number
}

/** The hit rate that the memory would have with other sizes. */
export interface CurveFigures {
  /** The size that the memory has now, in entries, and the hit rate of an LRU memory of that size. */
  current: CurvePoint
  points: CurvePoint[]
  /** The memory that is with each policy; empty where it is too small to tell. */
  policies: PolicyFigures[]
  policy: EvictionPolicyName
  /** Lookups it rests on, older ones counting less. */
  lookups: number
}

/** The figures of the last hour. */
export interface PerformanceMetrics {
  lastMinute: WindowFigures
  lastFiveMinutes: WindowFigures
  lastHour: WindowFigures
  /** The last hour, minute by minute. */
  history: HistoryPoint[]
  tiers: TierFigures[]
  log: LogFigures
  /** By route and by namespace, the busiest first. */
  groups: GroupFigures[]
  /** Routes that are only observed, and what verifying has found. */
  observed: ObservedFigures[]
  /** What was given to `recordMetric`. */
  operations: OperationFigures[]
  /** Loads avoided since the start of the hour, times what each would have taken, summed over the groups. */
  timeSaved: Seconds
  /** The keys that are asked for most. Empty without the study, and while hardly anything was asked for. */
  hottest: HotKey[]
  /** `null` without the study, and where nothing is kept in memory. */
  curve: CurveFigures | null
}

export interface PerformanceReport {
  generatedAtMs: EpochMs
  cacheStats: CacheStats
  performanceMetrics: PerformanceMetrics
  alerts: Alert[]
  recommendations: Recommendation[]
  /** What is probably not meant so in the configuration of the routes. Empty outside of the plugin. */
  findings: Finding[]
}

export function logFigures ({ state, queued }: Pick<InvalidationLog, 'state' | 'queued'>): LogFigures {
  return { state, queued }
}

/** Instants of a report are epoch milliseconds, durations are seconds, rates lie between 0 and 1. */
export function tierFigures (usage: TierUsage): TierFigures {
  const { entries, bytes, maxEntries, maxBytes } = usage
  const share = (part: number, whole: number): number => whole > 0 && Number.isFinite(whole) ? part / whole : 0
  return { ...usage, utilisation: maxEntries > 0 ? Math.min(1, Math.max(share(entries, maxEntries), share(bytes, maxBytes))) : null }
}
