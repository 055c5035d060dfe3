import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import type { PerformanceReport } from '../lib/engine/monitor/report.ts'
import { REPORT_SCHEMA } from './report-schema.ts'
import { GUARD_RESPONSES, routeShape } from './route-shape.ts'

export interface ReportRouteOptions {
  readonly prefix: string
  readonly guard: readonly onRequestHookHandler[]
  readonly report: () => PerformanceReport
}

/** `GET <prefix>/report`. It names keys, so it is guarded. */
export function reportRoute (app: FastifyInstance, { prefix, guard, report }: ReportRouteOptions): void {
  app.get(`${prefix}/report`, routeShape('What the cache does, what is wrong with it, and what would make it better', { response: { 200: REPORT_SCHEMA, ...GUARD_RESPONSES } }, guard), async () => report())
}
