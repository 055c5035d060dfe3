import type { Seconds } from '../clock.ts'
import type { CacheEventHub, CacheEvents, CacheListener, ComparisonResult, EventGatherer, LookupResult, WouldBe } from '../events.ts'
import type { StoreRefusal } from '../http/storable.ts'
import type { WriteVerdict } from '../ports/base-cache.ts'
import { DurationTally } from './duration-tally.ts'

/** What data lookups, which have no route, are counted under. */
export const NO_ROUTE = '-'
/** What everything beyond a closed set is counted under. */
export const OTHER = 'other'
/** More routes than this share one count: routes made in a loop must not become time series without end. */
export const MAX_ROUTES = 200

/** From a hit in memory to a lookup that waited for somebody else's load. */
const LOOKUP_BOUNDS: readonly Seconds[] = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5]
const LOAD_BOUNDS: readonly Seconds[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

type RefusalReason = StoreRefusal | Extract<WriteVerdict, { stored: false }>['reason'] |
  'built-from-stale' | 'too-many-marks' | 'too-many-tags' | 'tags-failed' | 'opaque-body' | 'answered-before' | 'broken-body' | 'csp-nonce' | 'event-stream' | 'unkeyed-input'

const reasons: Readonly<Record<RefusalReason, true>> = {
  purged: true,
  'too-large': true,
  expired: true,
  unavailable: true,
  closed: true,
  'built-from-stale': true,
  'too-many-marks': true,
  'too-many-tags': true,
  'tags-failed': true,
  'opaque-body': true,
  'answered-before': true,
  'broken-body': true,
  'csp-nonce': true,
  'event-stream': true,
  'unkeyed-input': true,
  method: true,
  status: true,
  partial: true,
  'content-range': true,
  'malformed-header': true,
  'no-store': true,
  private: true,
  'no-cache': true,
  'set-cookie': true,
  'vary-star': true,
  'vary-credentials': true,
  authorization: true,
  'length-mismatch': true,
  'no-freshness': true
}

/** The words before the `;` of the reasons for which something is not stored. */
export const REFUSAL_REASONS: ReadonlySet<string> = new Set(Object.keys(reasons))

/** Evictions are not among them: the stores count those themselves. */
type CountedAtOnce = 'compare' | 'coalesced' | 'refuse' | 'invalidate' | 'fault'

/** What is counted for one route. */
export interface RouteTally {
  readonly lookups: Record<LookupResult, number>
  /** How those lookups would have ended that were only observed. */
  readonly observed: Record<WouldBe, number>
  readonly comparisons: Record<ComparisonResult, number>
  readonly loaded: DurationTally
  readonly failed: DurationTally
}

const newRoute = (): RouteTally => ({ lookups: { hit: 0, stale: 0, miss: 0, bypass: 0 }, observed: { hit: 0, stale: 0, miss: 0 }, comparisons: { same: 0, failed: 0, purged: 0, outdated: 0, 'wrong-key': 0, unrepeatable: 0, different: 0 }, loaded: new DurationTally(LOAD_BOUNDS), failed: new DurationTally(LOAD_BOUNDS) })

/**
 * Counts what a cache says about itself. Counting is a Map lookup and a few additions; nobody turns that into text before
 * somebody asks. Whatever comes from outside (keys, tags, hosts) is not looked at, so it cannot make the counts grow.
 */
export class EventTally {
  readonly routes = new Map<string, RouteTally>()
  readonly lookupTimes: Readonly<Record<LookupResult, DurationTally>> = { hit: new DurationTally(LOOKUP_BOUNDS), stale: new DurationTally(LOOKUP_BOUNDS), miss: new DurationTally(LOOKUP_BOUNDS), bypass: new DurationTally(LOOKUP_BOUNDS) }
  readonly refusals = new Map<string, number>()
  readonly stores: Record<CacheEvents['store']['kind'], number> = { data: 0, response: 0, variants: 0 }
  /** By kind and reach, with a space between them. */
  readonly invalidations = new Map<string, number>()
  coalesced = 0
  faults = 0
  readonly #gatherer: EventGatherer = {
    lookup: ({ result, durationMs, route, observed }) => {
      const tally = this.#routeOf(route)
      tally.lookups[result]++
      if (observed !== undefined) tally.observed[observed]++
      this.lookupTimes[result].add(durationMs)
    },
    load: ({ ok, durationMs, route }) => {
      const tally = this.#routeOf(route)
      if (ok) tally.loaded.add(durationMs)
      else tally.failed.add(durationMs)
    },
    store: ({ kind }) => { this.stores[kind]++ }
  }

  readonly #listeners: { readonly [E in CountedAtOnce]: CacheListener<E> } = {
    compare: ({ route, result }) => { this.#routeOf(route).comparisons[result]++ },
    coalesced: () => { this.coalesced++ },
    refuse: ({ reason }) => {
      const end = reason.indexOf(';')
      const word = end === -1 ? reason : reason.slice(0, end)
      addOne(this.refusals, REFUSAL_REASONS.has(word) ? word : OTHER)
    },
    invalidate: ({ kinds, reach }) => { for (const kind of kinds) addOne(this.invalidations, `${kind} ${reach}`) },
    fault: () => { this.faults++ }
  }

  /** @returns what ends the counting */
  listen (events: CacheEventHub): () => void {
    const { compare, coalesced, refuse, invalidate, fault } = this.#listeners
    const leave = events.gather(this.#gatherer)
    events.on('compare', compare).on('coalesced', coalesced).on('refuse', refuse).on('invalidate', invalidate).on('fault', fault)
    return () => {
      leave()
      events.off('compare', compare).off('coalesced', coalesced).off('refuse', refuse).off('invalidate', invalidate).off('fault', fault)
    }
  }

  #routeOf (route: string = NO_ROUTE): RouteTally {
    return this.routes.get(route) ?? this.#newRoute(route)
  }

  #newRoute (route: string): RouteTally {
    const name = this.routes.size < MAX_ROUTES ? route : OTHER
    const known = this.routes.get(name)
    if (known !== undefined) return known
    const tally = newRoute()
    this.routes.set(name, tally)
    return tally
  }
}

function addOne (counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
