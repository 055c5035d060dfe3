import type { Milliseconds } from '../clock.ts'
import type { CacheEventName, CacheEvents, CacheListener } from '../events.ts'

/** As much of OpenTelemetry's `Tracer` as is used; `trace.getTracer('…')` of @opentelemetry/api is one. */
export interface SpanTracer {
  startSpan: (name: string, options: { startTime: number, attributes: Record<string, string> }) => {
    setStatus: (status: { code: number }) => unknown
    end: (endTime: number) => void
  }
}

/** A cache that tells what it does: every `CacheManager`. */
export interface TelltaleCache {
  on: <E extends CacheEventName>(name: E, listener: CacheListener<E>) => unknown
  off: <E extends CacheEventName>(name: E, listener: CacheListener<E>) => unknown
}

/** `SpanStatusCode.ERROR` of OpenTelemetry. */
const ERROR = 2

/**
 * Writes a span for each lookup (`cache.lookup`) and each load (`cache.load`) of a cache, under the span that is active
 * where it happened. Attributes: `http.route` for responses, `cache.namespace` for data in one, `cache.result`,
 * `cache.reason`. Keys are left out: they may tell of users. A span is written when its work is done, so that what a loader
 * does stands beside it, not below.
 *
 * ```ts
 * import { trace } from '@opentelemetry/api'
 * const stop = traceCache(app.cache, trace.getTracer('my-app'))
 * ```
 * @returns ends it
 */
export function traceCache (cache: TelltaleCache, tracer: SpanTracer): () => void {
  const write = (name: string, durationMs: Milliseconds, attributes: Record<string, string>, ok: boolean): void => {
    const endTime = performance.timeOrigin + performance.now()
    const span = tracer.startSpan(name, { startTime: endTime - durationMs, attributes })
    if (!ok) span.setStatus({ code: ERROR })
    span.end(endTime)
  }
  const lookup = ({ durationMs, result, reason, route, namespace }: CacheEvents['lookup']): void => {
    write('cache.lookup', durationMs, { 'cache.result': result, ...reason !== undefined && { 'cache.reason': reason }, ...ofRoute(route), ...namespace !== '' && { 'cache.namespace': namespace } }, true)
  }
  const load = ({ durationMs, ok, route }: CacheEvents['load']): void => { write('cache.load', durationMs, ofRoute(route), ok) }
  cache.on('lookup', lookup)
  cache.on('load', load)
  return () => {
    cache.off('lookup', lookup)
    cache.off('load', load)
  }
}

const ofRoute = (route: string | undefined): Record<string, string> => route === undefined ? {} : { 'http.route': route }
