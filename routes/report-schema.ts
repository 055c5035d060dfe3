import { FINDING_KINDS } from '../lib/engine/monitor/findings.ts'

const number = { type: 'number' }
const count = { type: 'number', minimum: 0 }
const share = { type: 'number', minimum: 0, maximum: 1 }
const text = { type: 'string' }
const seconds = { type: ['number', 'null'], description: 'Seconds; null where nothing was observed.' }
const instant = { type: 'number', description: 'Milliseconds since the Unix epoch.' }

type Properties = Readonly<Record<string, object>>

const object = (properties: Properties, description?: string): object => ({ type: 'object', ...description !== undefined && { description }, required: Object.keys(properties), properties })
const listOf = (items: object, description?: string): object => ({ type: 'array', ...description !== undefined && { description }, items })
const all = (names: string, schema: object): Properties => Object.fromEntries(names.split(' ').map((name) => [name, schema]))

const quantiles = object(all('p50 p95 p99', seconds))

const window = object({
  ...all('span lookups hits staleHits misses bypasses loads loadErrors faults coalesced stores evictions evictionsPerSecond lookupsPerSecond timeSaved', count),
  ...all('hitRate missRate staleRate errorRate', share),
  responseTime: seconds,
  answers: quantiles,
  loadTimes: quantiles
})

const point = object({ entries: count, hitRate: share })
const policy = { enum: ['lru', 'lfu', 'fifo', 's3-fifo', 'w-tinylfu'] }

const curve = {
  ...object({
    current: point,
    points: listOf(point, 'The hit rate that the memory would have with other sizes.'),
    policies: listOf(object({ policy, hitRate: share }), 'The same memory with other policies.'),
    policy,
    lookups: count
  }),
  type: ['object', 'null']
}

const metrics = object({
  lastMinute: window,
  lastFiveMinutes: window,
  lastHour: window,
  history: listOf(object({ atMs: instant, lookups: count, hitRate: { type: ['number', 'null'] }, answerP95: seconds, loadP95: seconds, evictions: count }), 'The last hour, minute by minute.'),
  tiers: listOf(object({ tier: { enum: ['memory', 'redis', 'own'] }, state: { enum: ['up', 'silent', 'away'] }, ...all('entries bytes hits misses errors', count), ...all('maxEntries maxBytes utilisation', { type: ['number', 'null'] }), evictions: object(all('entries bytes expired purged', count)) })),
  log: object({ state: { enum: ['current', 'behind', 'alone'] }, queued: count }, 'The log of purges: whether those of other instances are known here, and how many names wait to be sent to them.'),
  groups: listOf(object({ kind: { enum: ['route', 'namespace'] }, name: text, ...all('lookups hits staleHits misses bypasses loads loadErrors timeSaved', count), hitRate: share, loadTime: seconds }), 'The last hour by route and by namespace.'),
  observed: listOf(object({ route: text, ...all('lookups hits staleHits misses timeSaved compared', count), hitRate: share, ...all('entries bytes', { type: ['number', 'null'], description: 'In the memory now; null where nothing is kept there.' }), results: object(all('same failed purged outdated wrong-key unrepeatable different', count)), unchangedFor: seconds, suggestedTtl: seconds }), 'Routes that are only observed, and what verifying has found, in the last hour.'),
  operations: listOf(object({ operation: text, count, errorRate: share, ...all('responseTime p50 p95 p99', seconds) })),
  timeSaved: count,
  hottest: listOf(object({ key: text, share })),
  curve
})

const alert = object({ name: { enum: ['hitRate', 'errorRate', 'responseTime'] }, subject: text, state: { enum: ['raised', 'cleared'] }, value: number, threshold: number, sample: count, message: text, atMs: instant })
const recommendation = object({ kind: { enum: ['memory-size', 'eviction-policy', 'ttl', 'no-reuse', 'serve', 'outdated', 'wrong-key', 'hot-key'] }, message: text, numbers: { type: 'object', additionalProperties: { type: ['number', 'string'] } } })

const finding = object({ kind: { enum: FINDING_KINDS }, routes: listOf(text), message: text, cure: text })

/** What `CacheMonitor` reports. */
export const REPORT_SCHEMA = object({
  generatedAtMs: instant,
  cacheStats: { type: 'object', description: 'Figures since the start.', additionalProperties: true },
  performanceMetrics: metrics,
  alerts: listOf(alert),
  recommendations: listOf(recommendation, 'Each a sentence, and its numbers as data.'),
  findings: listOf(finding, 'What is probably not meant so in the configuration of the routes.')
}, 'Durations are seconds, rates lie between 0 and 1.')
