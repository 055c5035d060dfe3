import type { FastifyInstance } from 'fastify'
import type { MetricsRegistry } from '../lib/engine/metrics.ts'
import { routeShape } from './route-shape.ts'

export interface MetricsRouteOptions {
  readonly path: string
  readonly registry: MetricsRegistry
}

/** `GET /metrics`: whatever the registry holds, for Prometheus. */
export function metricsRoute (app: FastifyInstance, { path, registry }: MetricsRouteOptions): void {
  const schema = { produces: ['text/plain'], response: { 200: { description: 'The text format of Prometheus.', type: 'string' } } }
  app.get(path, routeShape('Metrics of the cache for Prometheus', schema), async (_request, reply) => {
    return await reply.type(registry.contentType).send(await registry.metrics())
  })
}
