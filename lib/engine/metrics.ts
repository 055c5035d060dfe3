import { Registry, type Metric, type OpenMetricsContentType } from 'prom-client'
import { errors } from '../errors.ts'
import { EventTally } from './event-tally.ts'
import { METRIC_FAMILIES, type MetricFamily, type MetricSource, type Sample } from './metric-families.ts'
import type { EngineParts } from './parts.ts'

/** A registry of prom-client. */
export type MetricsRegistry = Registry | Registry<OpenMetricsContentType>

/** The names of all metrics; the README is checked against them. */
export const METRIC_NAMES: readonly string[] = METRIC_FAMILIES.map(({ name }) => name)

export interface MetricsOptions {
  /** What the label `cache` says. Caches of one name in one registry are counted together. */
  readonly cache: string
  /** @default a new one */
  readonly registry?: MetricsRegistry | undefined
}

/** The metrics of a cache, for as long as it lives. */
export interface CacheMetrics {
  readonly registry: MetricsRegistry
  /** Ends the counting, and takes the figures out of the registry. */
  close: () => void
}

/** What two values of one series come to. */
const TOGETHER: Readonly<Record<'sum' | 'min' | 'max', (a: number, b: number) => number>> = { sum: (a, b) => a + b, min: Math.min, max: Math.max }

/**
 * A metric as prom-client asks for it at a scrape. The classes of prom-client would look up each label set at each event;
 * here the figures lie ready in counters of our own, and become labelled samples only when they are asked for.
 */
class TalliedMetric {
  /** prom-client takes the `_total` off when it writes OpenMetrics. */
  name: string
  readonly help: string
  readonly type: MetricFamily['type']
  readonly aggregator: 'sum' | 'min' | 'max'
  readonly #samples: MetricFamily['samples']
  readonly #sources = new Map<MetricSource, string>()

  constructor ({ name, help, type, aggregator = 'sum', samples }: MetricFamily) {
    this.name = name
    this.help = help
    this.type = type
    this.aggregator = aggregator
    this.#samples = samples
  }

  add (source: MetricSource, cache: string): void {
    this.#sources.set(source, cache)
  }

  /** @returns whether nobody is left */
  remove (source: MetricSource): boolean {
    this.#sources.delete(source)
    return this.#sources.size === 0
  }

  get (): { name: string, help: string, type: MetricFamily['type'], aggregator: string, values: Sample[] } {
    const series = new Map<string, Sample>()
    for (const [source, cache] of this.#sources) {
      for (const sample of this.#samples(source)) {
        const labels = { cache, ...sample.labels }
        const name = JSON.stringify([sample.metricName, labels])
        const known = series.get(name)
        series.set(name, { ...sample, labels, value: known === undefined ? sample.value : TOGETHER[this.aggregator](known.value, sample.value) })
      }
    }
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values: [...series.values()] }
  }

  /** The counters are the cache's own; a registry that is reset does not make what happened unhappen. */
  reset (): void {}
}

/**
 * Counts what the cache says from now on, and shows it in a registry.
 * @throws FST_ERR_CACHE_OPTION when the registry has a metric of another's under one of these names
 */
export function createMetrics ({ events, store, log }: Pick<EngineParts, 'events' | 'store' | 'log'>, { cache, registry = new Registry() }: MetricsOptions): CacheMetrics {
  const tally = new EventTally()
  const source: MetricSource = {
    get tally () {
      events.settle()
      return tally
    },
    usage: () => store.usage(),
    log
  }
  const metrics = METRIC_FAMILIES.map((family) => [family.name, metricOf(registry, family)] as const)
  for (const [, metric] of metrics) metric.add(source, cache)
  const stop = tally.listen(events)
  return {
    registry,
    close () {
      stop()
      for (const [name, metric] of metrics) if (metric.remove(source) && heldBy(registry, name) === metric) registry.removeSingleMetric(name)
    }
  }
}

function metricOf (registry: MetricsRegistry, family: MetricFamily): TalliedMetric {
  const known = heldBy(registry, family.name)
  if (known instanceof TalliedMetric) return known
  if (known !== undefined) throw new errors.FST_ERR_CACHE_OPTION('registry', `one with a foreign metric ${family.name}`, 'one in which these names are free')
  const metric = new TalliedMetric(family)
  // All that a registry asks of a metric is name, type, get and reset; its type insists on the four classes.
  registry.registerMetric(metric as unknown as Metric)
  return metric
}

function heldBy (registry: MetricsRegistry, name: string): unknown {
  return registry.getSingleMetric(name)
}
