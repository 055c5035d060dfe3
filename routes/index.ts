import type { FastifyInstance } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import type { MetricsRegistry } from '../lib/engine/metrics.ts'
import { dashboardRoute } from './dashboard.ts'
import { entryRoutes } from './entries.ts'
import { explainRoute, type ExplainRouteOptions } from './explain.ts'
import { guardHooks, type AdminOptions } from './guard.ts'
import { invalidateRoutes } from './invalidate.ts'
import { metricsRoute } from './metrics.ts'
import { addAt } from './places.ts'
import { reportRoutes, type ReportRouteOptions } from './report.ts'
import { statsRoute } from './stats.ts'
import { warmRoutes } from './warm.ts'
import type { Warming } from './warm-request.ts'

export interface CacheRoutesOptions {
  readonly prefix: string
  readonly cache: CacheManager
  /** Whether the figures are shown to everybody. */
  readonly exposeStats: boolean
  /** Where the metrics are shown, and whose they are. */
  readonly metrics: { readonly path: string, readonly registry: MetricsRegistry } | undefined
  /** Without it the routes that name or change what is stored do not exist. */
  readonly admin: AdminOptions | undefined
  readonly explain: ExplainRouteOptions['explain']
  /** What starts and knows warmings; there wherever the guarded routes are. */
  readonly warming: Warming | undefined
  /** What the monitor has to say. */
  readonly report: ReportRouteOptions['report'] | undefined
}

/**
 * The routes of the cache. They stand on the app itself, not in a context of their own: a guard that the app hooks in
 * later is in front of them like in front of all others.
 */
export function addCacheRoutes (app: FastifyInstance, options: CacheRoutesOptions): void {
  addAt(app, { prefix: options.prefix, metricsPath: options.metrics?.path }, () => { addAll(app, options) })
}

function addAll (app: FastifyInstance, { prefix, cache, exposeStats, metrics, admin, explain, warming, report }: CacheRoutesOptions): void {
  if (exposeStats) statsRoute(app, { prefix, stats: () => cache.getStats(), tiers: () => cache.parts.store.usage(), log: cache.parts.log })
  if (metrics !== undefined) metricsRoute(app, metrics)
  if (admin === undefined) return
  const guard = guardHooks(admin)
  invalidateRoutes(app, { prefix, cache, guard })
  entryRoutes(app, { prefix, cache, guard })
  explainRoute(app, { prefix, guard, explain })
  if (report !== undefined) {
    reportRoutes(app, { prefix, guard, clock: cache.parts.clock, report })
    dashboardRoute(app, { prefix, guard: admin.onRequest === undefined ? [] : [admin.onRequest] })
  }
  if (warming !== undefined) warmRoutes(app, { prefix, cache, guard, warming })
}
