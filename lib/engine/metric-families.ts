import type { TierUsage } from '../ports/base-cache.ts'
import type { InvalidationLog, LogState } from '../ports/invalidation-log.ts'
import type { DurationTally } from './duration-tally.ts'
import type { EventTally, RouteTally } from './event-tally.ts'

/** One line of an exposition. `metricName` where it differs from the family's: `_bucket`, `_sum`, `_count`. */
export interface Sample { readonly labels: Readonly<Record<string, string | number>>, readonly value: number, readonly metricName?: string }

/** Where the figures of one cache come from. */
export interface MetricSource { readonly tally: EventTally, readonly usage: () => readonly TierUsage[], readonly log: Pick<InvalidationLog, 'state' | 'queued'> }

/** A metric: its name, what it means, and how it is read. */
export interface MetricFamily {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** What becomes of it where several caches, or processes, are shown as one: one tier that is down is not made up for by another. @default 'sum' */
  readonly aggregator?: 'sum' | 'min' | 'max'
  readonly samples: (source: MetricSource) => Sample[]
}

const LOG_STATES: readonly LogState[] = ['current', 'behind', 'alone']

/** Every metric of this package. Units are seconds and bytes; every label has few values, none of which a client chooses. */
export const METRIC_FAMILIES: readonly MetricFamily[] = [
  {
    name: 'fastify_cache_lookups_total',
    type: 'counter',
    help: 'Lookups by route pattern ("-" for data) and result: hit, stale, miss or bypass.',
    samples: perRoute(({ lookups }) => lookups)
  },
  {
    name: 'fastify_cache_observed_lookups_total',
    type: 'counter',
    help: 'Lookups of routes that are only observed, by how they would have ended: hit, stale or miss.',
    samples: perRoute(({ observed }) => observed)
  },
  {
    name: 'fastify_cache_comparisons_total',
    type: 'counter',
    help: 'Stored responses that were compared with what their handler answers now, by what came of it.',
    samples: perRoute(({ comparisons }) => comparisons)
  },
  {
    name: 'fastify_cache_tier_lookups_total',
    type: 'counter',
    help: 'Lookups for which each tier was asked, and whether it had what was wanted.',
    samples: perTier(({ tier, hits, misses }) => counted('result', { hit: hits, miss: misses }, { tier }))
  },
  {
    name: 'fastify_cache_tier_up',
    type: 'gauge',
    help: 'Whether the tier is asked: 0 while it cannot be reached, or does not answer.',
    aggregator: 'min',
    samples: perTier(({ tier, state }) => [{ labels: { tier }, value: Number(state === 'up') }])
  },
  {
    name: 'fastify_cache_circuit_open',
    type: 'gauge',
    help: 'Whether nobody asks the tier because it did not answer: 1, until it does.',
    aggregator: 'max',
    samples: perTier(({ tier, state }) => tier === 'memory' ? [] : [{ labels: { tier }, value: Number(state === 'silent') }])
  },
  {
    name: 'fastify_cache_log_state',
    type: 'gauge',
    help: 'Whether the purges of other instances are known here: current, behind or alone; 1 for the one that holds.',
    samples: ({ log }) => LOG_STATES.map((state) => ({ labels: { state }, value: Number(log.state === state) }))
  },
  { name: 'fastify_cache_purges_queued', type: 'gauge', help: 'Names that were purged here, and that wait for the shared log. A tag counts twice, as a key may have its name.', samples: ({ log }) => [{ labels: {}, value: log.queued }] },
  {
    name: 'fastify_cache_lookup_duration_seconds',
    type: 'histogram',
    help: 'Time that lookups took, by result. For data that is missing, the load is part of it.',
    samples: ({ tally }) => Object.entries(tally.lookupTimes).flatMap(([result, times]) => buckets('fastify_cache_lookup_duration_seconds', times, { result }))
  },
  {
    name: 'fastify_cache_load_duration_seconds',
    type: 'histogram',
    help: 'Time that loaders and handlers took, by route pattern ("-" for data) and outcome: ok or error.',
    samples: ({ tally }) => [...tally.routes].flatMap(([route, { loaded, failed }]) => [
      ...buckets('fastify_cache_load_duration_seconds', loaded, { route, outcome: 'ok' }),
      ...buckets('fastify_cache_load_duration_seconds', failed, { route, outcome: 'error' })
    ])
  },
  { name: 'fastify_cache_entries', type: 'gauge', help: 'Entries stored.', samples: perCountedTier(({ tier, entries }) => [{ labels: { tier }, value: entries }]) },
  { name: 'fastify_cache_max_entries', type: 'gauge', help: 'Entries that fit.', samples: perCountedTier(({ tier, maxEntries }) => [{ labels: { tier }, value: maxEntries }]) },
  { name: 'fastify_cache_bytes', type: 'gauge', help: 'Bytes stored.', samples: perCountedTier(({ tier, bytes }) => [{ labels: { tier }, value: bytes }]) },
  { name: 'fastify_cache_max_bytes', type: 'gauge', help: 'Bytes that fit.', samples: perCountedTier(({ tier, maxBytes }) => [{ labels: { tier }, value: maxBytes }]) },
  {
    name: 'fastify_cache_evictions_total',
    type: 'counter',
    help: 'Entries that left without being asked to, by cause: entries or bytes (no room), expired, purged.',
    samples: perTier(({ tier, evictions }) => counted('cause', evictions, { tier }))
  },
  {
    name: 'fastify_cache_stores_total',
    type: 'counter',
    help: 'Values and responses stored, by kind.',
    samples: ({ tally }) => counted('kind', tally.stores, {})
  },
  {
    name: 'fastify_cache_refusals_total',
    type: 'counter',
    help: 'Values and responses that were not stored, by reason.',
    samples: ({ tally }) => [...tally.refusals].map(([reason, value]) => ({ labels: { reason }, value }))
  },
  {
    name: 'fastify_cache_invalidations_total',
    type: 'counter',
    help: 'Purges by what they named, and how far they got: everywhere (all processes that share the cache), or here for the time being.',
    samples: ({ tally }) => [...tally.invalidations].map(([name, value]) => {
      const [kind = '', reach = ''] = name.split(' ')
      return { labels: { kind, reach }, value }
    })
  },
  { name: 'fastify_cache_coalesced_total', type: 'counter', help: 'Requests and callers that waited for the load of another.', samples: ({ tally }) => [{ labels: {}, value: tally.coalesced }] },
  { name: 'fastify_cache_errors_total', type: 'counter', help: 'Faults that no caller saw: background refreshes that failed, listeners that threw.', samples: ({ tally }) => [{ labels: {}, value: tally.faults }] },
  { name: 'fastify_cache_tier_errors_total', type: 'counter', help: 'Operations on a tier that failed.', samples: perTier(({ tier, errors }) => [{ labels: { tier }, value: errors }]) }
]

/** Counts by route and result, those aside that never came. */
function perRoute (counts: (tally: RouteTally) => Readonly<Record<string, number>>): MetricFamily['samples'] {
  return ({ tally }) => [...tally.routes].flatMap(([route, ofRoute]) => counted('result', counts(ofRoute), { route }).filter(({ value }) => value > 0))
}

function perTier (samples: (usage: TierUsage) => Sample[]): MetricFamily['samples'] {
  return ({ usage }) => usage().flatMap(samples)
}

/** Tiers that know how much they hold: Redis is not asked, and a zero of it would be a lie. */
function perCountedTier (samples: (usage: TierUsage) => Sample[]): MetricFamily['samples'] {
  return ({ usage }) => usage().filter(({ maxEntries }) => maxEntries > 0).flatMap(samples)
}

function counted (label: string, counts: Readonly<Record<string, number>>, labels: Sample['labels']): Sample[] {
  return Object.entries(counts).map(([name, value]) => ({ labels: { ...labels, [label]: name }, value }))
}

/** Nothing for a duration that was never observed: a route without loads needs no sixteen lines of zeros. */
function buckets (name: string, times: DurationTally, labels: Sample['labels']): Sample[] {
  const { upTo, sum, count } = times.read()
  if (count === 0) return []
  return [
    ...upTo.map(([bound, value]) => ({ metricName: `${name}_bucket`, labels: { ...labels, le: bound === Infinity ? '+Inf' : bound }, value })),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count }
  ]
}
