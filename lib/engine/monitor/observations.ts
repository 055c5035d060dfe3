import type { EpochMs, Seconds } from '../../clock.ts'
import type { CacheEvents, ComparisonResult } from '../../events.ts'
import { ChangeStudy } from './change-study.ts'
import { AFTER_LOOKUPS, LOOKUP_COLUMN, lookupCounts, type LookupCounts } from './lookup-counts.ts'
import { Ring } from './ring.ts'
import type { RouteMemory } from './route-memory.ts'

const RESULTS = ['same', 'failed', 'purged', 'outdated', 'wrong-key', 'unrepeatable', 'different'] as const satisfies readonly ComparisonResult[]
const LOAD = AFTER_LOOKUPS + RESULTS.length
const LOAD_MS = LOAD + 1
const COLUMNS = LOAD + 2

const ROW_MS = 300_000
const HOUR_MS = 3_600_000
/** More routes than this are not followed. */
const MAX_ROUTES = 100

/** The last hour of a route that is only observed, or whose hits are verified: how lookups would have ended that were only observed. */
export interface ObservedFigures extends Omit<LookupCounts, 'bypasses'> {
  /** The pattern of the route. */
  route: string
  /** What these hits would have saved, times the mean time of a load, in seconds. */
  timeSaved: Seconds
  /** Responses of the route in the memory now, and the bytes they take; `null` where nothing is kept in memory. */
  entries: number | null
  bytes: number | null
  /** Stored responses that could be compared with what their handler answers now: all but `purged` and `failed`. */
  compared: number
  /** How often each came of it; `ComparisonResult` says what they mean. */
  results: Record<ComparisonResult, number>
  /** Mean time for which a response was still what its handler answers, in seconds; `null` while no unpurged change was seen. */
  unchangedFor: Seconds | null
  /**
   * The longest ttl with which hardly any hit would have been outdated, in seconds; 0: there is none. `null` while there is
   * nothing to propose.
   */
  suggestedTtl: Seconds | null
}

interface Observed { readonly ring: Ring, readonly changes: ChangeStudy }

/** What observing and verifying have come to, by route, in bounded memory. */
export class Observations {
  readonly #routes = new Map<string, Observed>()

  lookup ({ atMs, route, observed }: CacheEvents['lookup']): void {
    if (observed !== undefined && route !== undefined) this.#of(route)?.ring.add(atMs, LOOKUP_COLUMN[observed])
  }

  load ({ ok, atMs, durationMs, route }: CacheEvents['load']): void {
    const ring = ok && route !== undefined ? this.#routes.get(route)?.ring : undefined
    ring?.add(atMs, LOAD)
    ring?.add(atMs, LOAD_MS, durationMs)
  }

  compared (nowMs: EpochMs, event: CacheEvents['compare']): void {
    const observed = this.#of(event.route)
    observed?.ring.add(nowMs, AFTER_LOOKUPS + RESULTS.indexOf(event.result))
    observed?.changes.compared(nowMs, event)
  }

  /** The busiest first. @param memoryOf what routes take in the memory, if there is one */
  figures (nowMs: EpochMs, memoryOf: (routes: Iterable<string>) => ReadonlyMap<string, RouteMemory> | undefined): ObservedFigures[] {
    const held = memoryOf(this.#routes.keys())
    return [...this.#routes]
      .map(([route, { ring, changes }]) => figuresOf(route, ring.sum(nowMs, HOUR_MS), { ...changes.figures(nowMs), ...held?.get(route) ?? { entries: null, bytes: null } }))
      .filter(({ lookups, results }) => lookups + Object.values(results).reduce((sum, count) => sum + count, 0) > 0)
      .sort((a, b) => b.lookups + b.compared - a.lookups - a.compared)
  }

  #of (route: string): Observed | undefined {
    const known = this.#routes.get(route)
    if (known !== undefined || this.#routes.size >= MAX_ROUTES) return known
    const observed: Observed = { ring: new Ring(COLUMNS, HOUR_MS / ROW_MS, ROW_MS), changes: new ChangeStudy() }
    this.#routes.set(route, observed)
    return observed
  }
}

function figuresOf (route: string, sums: Float64Array, others: Pick<ObservedFigures, 'unchangedFor' | 'suggestedTtl' | 'entries' | 'bytes'>): ObservedFigures {
  const at = (column: number): number => sums[column] ?? 0
  const results = Object.fromEntries(RESULTS.map((name, index) => [name, at(AFTER_LOOKUPS + index)])) as Record<ComparisonResult, number>
  const { bypasses, ...counts } = lookupCounts(sums)
  return {
    route,
    ...counts,
    timeSaved: at(LOAD) === 0 ? 0 : counts.hits * at(LOAD_MS) / at(LOAD) / 1000,
    compared: results.same + results.outdated + results['wrong-key'] + results.unrepeatable + results.different,
    results,
    ...others
  }
}
