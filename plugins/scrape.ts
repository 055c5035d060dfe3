import type { FastifyInstance } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import { createMetrics, type CacheMetrics, type MetricsRegistry } from '../lib/engine/metrics.ts'
import type { PluginSettings } from './options.ts'

/** The scrape routes of each server, and the registries behind them. */
const scrapes = new WeakMap<object, Map<string, MetricsRegistry>>()

export interface Scrape {
  readonly metrics: CacheMetrics
  /** The route to make; `undefined` where another cache of this server has made it, or none is wanted. */
  readonly route: { readonly path: string, readonly registry: MetricsRegistry } | undefined
}

/**
 * Begins to count for a cache. Several caches of one server share a scrape, told apart by the label `cache`; `undefined`
 * where nobody would ever see the figures.
 */
export function beginScrape (app: FastifyInstance, manager: CacheManager, { name, metricsPath, registry: given }: PluginSettings): Scrape | undefined {
  if (metricsPath === false) return given === undefined ? undefined : { metrics: createMetrics(manager.parts, { cache: name, registry: given }), route: undefined }
  const held = scrapes.get(app.server) ?? new Map<string, MetricsRegistry>()
  scrapes.set(app.server, held)
  const path = app.prefix + metricsPath
  const known = held.get(path)
  const metrics = createMetrics(manager.parts, { cache: name, registry: given ?? known })
  if (known === metrics.registry) return { metrics, route: undefined }
  // Another registry at a path that is taken is refused when the route is added.
  held.set(path, metrics.registry)
  return { metrics, route: { path: metricsPath, registry: metrics.registry } }
}
