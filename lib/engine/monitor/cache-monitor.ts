import type { Milliseconds, Timer } from '../../clock.ts'
import { errors, shown } from '../../errors.ts'
import type { CacheEvents, CacheListener, EventGatherer } from '../../events.ts'
import type { EvictionPolicyName } from '../../eviction/create-bounded-map.ts'
import type { CacheEngine } from '../cache-engine.ts'
import { checkHost } from '../host.ts'
import type { EngineParts } from '../parts.ts'
import { Alerts, type Alert, type Measurement } from './alerts.ts'
import type { Finding } from './findings.ts'
import { Groups } from './groups.ts'
import { Observations } from './observations.ts'
import { Operations, type RecordedMetric } from './operations.ts'
import { resolveMonitorOptions, type MonitorOptions, type MonitorSettings } from './options.ts'
import { adviceOn, entriesThatFit, recommendationsOf, type MemoryEvidence } from './recommendations.ts'
import { logFigures, tierFigures, type CurveFigures, type PerformanceReport } from './report.ts'
import { memoryByRoute } from './route-memory.ts'
import { MIN_SHADOW_ENTRIES } from './shadow-policies.ts'
import { TrafficStudy, type Findings } from './traffic-study.ts'
import { Traffic, type WindowFigures } from './traffic.ts'
import { AlertPost } from './webhook.ts'
import { callListener } from '../../listening.ts'

/** What the monitor needs of a cache: every `CacheManager` is one. */
export interface MonitoredCache extends CacheEngine {
  readonly parts: EngineParts
  readonly config: { readonly evictionPolicy: EvictionPolicyName }
}

type HeardAtOnce = 'compare' | 'coalesced' | 'fault'

const MINUTE_MS = 60_000
const CURVE_POINTS = 40
const WEBHOOK = 'webhook of the monitor'
const ON_ALERT = 'onAlert of the monitor'
/** Where faults come from that are those of whoever is to be told, and not of the cache. */
export const TOLD_IN_VAIN: ReadonlySet<string> = new Set([WEBHOOK, ON_ALERT])

/**
 * Watches a cache: what it did in the last minute, five minutes and hour, what is wrong with it, and what would make it
 * better. It only listens, in bounded memory, from the moment it is made; `startMonitoring` adds the alerts.
 *
 * ```ts
 * const monitor = new CacheMonitor(cache, { alertThresholds: { hitRate: 0.6 } }).startMonitoring()
 * monitor.recordMetric({ operation: 'product_lookup', duration: 0.05, success: true })
 * const { alerts, recommendations } = monitor.getPerformanceReport()
 * ```
 */
export class CacheMonitor {
  readonly #cache: MonitoredCache
  readonly #settings: MonitorSettings
  readonly #traffic = new Traffic()
  readonly #groups = new Groups()
  readonly #observations = new Observations()
  readonly #operations = new Operations()
  readonly #alerts: Alerts
  readonly #post: AlertPost | undefined
  readonly #study: TrafficStudy | undefined
  readonly #gatherer: EventGatherer
  readonly #listeners: { readonly [E in HeardAtOnce]: CacheListener<E> }
  #timer: Timer | undefined
  #leave: (() => void) | undefined
  #tierErrors: number
  #findings: readonly Finding[] = []

  /** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
  constructor (manager: MonitoredCache, options?: MonitorOptions) {
    this.#cache = checkHost(manager)
    this.#settings = resolveMonitorOptions(options)
    const { clock, serializer, events, random } = manager.parts
    this.#alerts = new Alerts(this.#settings.thresholds, this.#settings.minimumSample)
    this.#post = this.#settings.webhook === undefined ? undefined : new AlertPost(this.#settings.webhook, clock, (error) => { events.emit('fault', { where: WEBHOOK, error }) })
    const entries = this.#memory()?.maxEntries
    this.#study = this.#settings.study ? new TrafficStudy({ clock, serializer, random, memory: entries === undefined ? undefined : { entries, policy: manager.config.evictionPolicy } }) : undefined
    this.#tierErrors = this.#countTierErrors()
    this.#gatherer = this.#makeGatherer()
    this.#listeners = this.#makeListeners()
    this.#listen()
  }

  /** Looks at the figures at intervals from now on, and says what is wrong: by callback, `alert` event and webhook. */
  startMonitoring (): this {
    this.#listen()
    this.#timer ??= this.#lookLater()
    return this
  }

  /** Listens no more, and gives up posts that wait for an answer. What was counted can still be asked for. */
  async stop (): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#leave?.()
    this.#leave = undefined
    await this.#post?.close()
  }

  /**
   * Adds a measurement of the application's own; it has its part in the alerts, under its own name.
   * @throws FST_ERR_CACHE_OPTION
   */
  recordMetric (metric: RecordedMetric): void {
    const { operation, duration } = metric
    if (typeof operation !== 'string' || operation === '' || operation.length > 100) throw new errors.FST_ERR_CACHE_OPTION('operation', shown(operation), 'a text of 1 to 100 characters')
    if (!(typeof duration === 'number' && duration >= 0 && Number.isFinite(duration))) throw new errors.FST_ERR_CACHE_OPTION('duration', shown(duration), 'a number of seconds, 0 or more')
    this.#operations.record(this.#now(), metric)
  }

  /** Takes what was found in the configuration into the report, in place of what was found before. */
  noteFindings (findings: readonly Finding[]): void {
    this.#findings = findings
  }

  /** What there is to know: durations in seconds, rates from 0 to 1. It names keys. */
  getPerformanceReport (): PerformanceReport {
    this.#cache.parts.events.settle()
    const nowMs = this.#now()
    this.#countFaults()
    const groups = this.#groups.figures(nowMs)
    const { store, random } = this.#cache.parts
    const observed = this.#observations.figures(nowMs, (routes) => memoryByRoute(store, routes, random))
    const studied = this.#study?.findings()
    const memory = this.#memoryEvidence(studied)
    return {
      generatedAtMs: nowMs,
      cacheStats: this.#cache.getStats(),
      performanceMetrics: {
        lastMinute: this.#window(MINUTE_MS),
        lastFiveMinutes: this.#window(5 * MINUTE_MS),
        lastHour: this.#window(60 * MINUTE_MS),
        history: this.#traffic.history(nowMs),
        tiers: store.usage().map(tierFigures),
        log: logFigures(this.#cache.parts.log),
        groups,
        observed,
        operations: this.#operations.figures(nowMs),
        timeSaved: groups.reduce((sum, { timeSaved }) => sum + timeSaved, 0),
        hottest: [...studied?.hottest.keys ?? []],
        curve: memory === undefined ? null : curveOf(memory)
      },
      alerts: this.#alerts.standing(),
      recommendations: [...observed.flatMap(adviceOn), ...studied === undefined ? [] : recommendationsOf(studied, memory)],
      findings: [...this.#findings]
    }
  }

  #makeGatherer (): EventGatherer {
    const traffic = this.#traffic
    const groups = this.#groups
    const observations = this.#observations
    const study = this.#study
    return {
      lookup (event) {
        traffic.lookup(event)
        groups.lookup(event)
        observations.lookup(event)
        study?.lookup(event)
      },
      load (event) {
        traffic.load(event)
        groups.load(event)
        observations.load(event)
      },
      store (event) {
        traffic.stored(event)
        study?.stored(event)
      },
      evict (event) {
        traffic.evicted(event)
        study?.evicted(event)
      }
    }
  }

  #makeListeners (): { readonly [E in HeardAtOnce]: CacheListener<E> } {
    const traffic = this.#traffic
    const observations = this.#observations
    const { clock } = this.#cache.parts
    return {
      compare (event) { observations.compared(clock.now(), event) },
      coalesced () { traffic.coalesced(clock.now()) },
      fault ({ where }: CacheEvents['fault']) { if (!TOLD_IN_VAIN.has(where)) traffic.faults(clock.now(), 1) }
    }
  }

  #listen (): void {
    if (this.#leave !== undefined) return
    const { events } = this.#cache.parts
    const { compare, coalesced, fault } = this.#listeners
    const leave = events.gather(this.#gatherer)
    events.on('compare', compare).on('coalesced', coalesced).on('fault', fault)
    this.#leave = () => {
      leave()
      events.off('compare', compare).off('coalesced', coalesced).off('fault', fault)
    }
  }

  #lookLater (): Timer {
    return this.#cache.parts.clock.after(this.#settings.intervalMs, () => {
      this.#timer = this.#lookLater()
      this.#look()
    })
  }

  #look (): void {
    this.#cache.parts.events.settle()
    this.#countFaults()
    this.#study?.age()
    const nowMs = this.#now()
    for (const alert of this.#alerts.look(nowMs, this.#measurements())) this.#tell(alert)
  }

  #measurements (): Measurement[] {
    const window = this.#window(5 * MINUTE_MS)
    const tried = Math.max(window.lookups, window.loads)
    return [
      { name: 'hitRate', subject: 'cache', value: window.hitRate, sample: window.lookups },
      { name: 'errorRate', subject: 'cache', value: window.errorRate, sample: tried },
      { name: 'responseTime', subject: 'cache', value: window.responseTime ?? 0, sample: window.hits },
      ...this.#operations.figures(this.#now(), 5 * MINUTE_MS).flatMap(({ operation, count, errorRate, responseTime }): Measurement[] => [
        { name: 'errorRate', subject: operation, value: errorRate, sample: count },
        { name: 'responseTime', subject: operation, value: responseTime, sample: count }
      ])
    ]
  }

  #tell (alert: Alert): void {
    const { events } = this.#cache.parts
    if (events.heard('alert')) events.emit('alert', alert)
    this.#post?.send(alert)
    callListener(() => this.#settings.onAlert?.({ ...alert }), (error) => { events.emit('fault', { where: ON_ALERT, error }) })
  }

  /** Tiers count their failures themselves. */
  #countFaults (): void {
    const errorsNow = this.#countTierErrors()
    this.#traffic.faults(this.#now(), errorsNow - this.#tierErrors)
    this.#tierErrors = errorsNow
  }

  #countTierErrors (): number {
    return this.#cache.parts.store.usage().reduce((sum, { errors }) => sum + errors, 0)
  }

  #memory (): ReturnType<EngineParts['store']['usage']>[number] | undefined {
    return this.#cache.parts.store.usage().find(({ tier, maxEntries }) => tier === 'memory' && maxEntries > 0)
  }

  #memoryEvidence (studied: Findings | undefined): MemoryEvidence | undefined {
    const usage = this.#memory()
    if (this.#study === undefined || studied?.memory === undefined || usage === undefined) return undefined
    return { ...studied.memory, usage, policy: this.#cache.config.evictionPolicy, sampledEntries: Math.round(usage.maxEntries * this.#study.shadowRate) }
  }

  #window (spanMs: Milliseconds): WindowFigures {
    return this.#traffic.window(this.#now(), spanMs)
  }

  #now (): number {
    return this.#cache.parts.clock.now()
  }
}

function curveOf ({ curve, policies, usage, policy, sampledEntries }: MemoryEvidence): CurveFigures {
  const entries = entriesThatFit(usage)
  return { current: { entries, hitRate: curve.hitRate(entries) }, points: curve.points(CURVE_POINTS), policies: sampledEntries < MIN_SHADOW_ENTRIES ? [] : [...policies], policy, lookups: curve.lookups }
}
