import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import type { Clock, Timer } from '../lib/clock.ts'
import type { PerformanceReport } from '../lib/engine/monitor/report.ts'
import type { EventStream } from './event-stream.ts'
import { eventStreams, eventsSchema } from './event-streams.ts'
import { REPORT_SCHEMA } from './report-schema.ts'
import { GUARD_RESPONSES, routeShape } from './route-shape.ts'

export interface ReportRouteOptions {
  readonly prefix: string
  readonly guard: readonly onRequestHookHandler[]
  readonly clock: Clock
  readonly report: () => PerformanceReport
}

/** Pause between two reports of a stream. */
const PAUSE_MS = 2000

/** `GET <prefix>/report`, and the same as it changes. It names keys, so it is guarded. */
export function reportRoutes (app: FastifyInstance, { prefix, guard, clock, report }: ReportRouteOptions): void {
  app.get(`${prefix}/report`, routeShape('What the cache does, what is wrong with it, and what would make it better', { response: { 200: REPORT_SCHEMA, ...GUARD_RESPONSES } }, guard), async () => report())

  const send = eventStreams(app, clock)
  const follow = reportFeed(clock, report)
  app.get(`${prefix}/report/events`, {
    ...routeShape('Watch the report', eventsSchema('a `report` at once, and then every two seconds.'), guard),
    // The answer to a HEAD would be a stream that nobody reads.
    exposeHeadRoute: false
  }, async (_request, reply) => await send(reply, follow))
}

/** However many watch, a report is made once; while nobody does, none is made. */
function reportFeed (clock: Clock, report: () => PerformanceReport): (stream: EventStream) => () => void {
  const watching = new Set<EventStream>()
  let timer: Timer | undefined
  const tellLater = (): Timer => clock.after(PAUSE_MS, () => {
    timer = tellLater()
    const now = report()
    for (const stream of watching) stream.tell('report', now)
  })
  return (stream) => {
    watching.add(stream)
    stream.tell('report', report())
    timer ??= tellLater()
    return () => {
      watching.delete(stream)
      if (watching.size > 0) return
      timer?.cancel()
      timer = undefined
    }
  }
}
