import type { EvictionPolicyName } from '../../eviction/create-bounded-map.ts'
import type { TierUsage } from '../../ports/base-cache.ts'
import type { HotKey } from './hot-keys.ts'
import { MAX_OUTDATED_SHARE, MIN_COMPARED } from './change-study.ts'
import type { ObservedFigures } from './observations.ts'
import { MIN_SHADOW_ENTRIES } from './shadow-policies.ts'
import type { Findings, MemoryFindings, RouteReuse } from './traffic-study.ts'
import type { TtlFigures } from './ttl-study.ts'

/** What to change, and what it would bring, as measured. */
export type Recommendation =
  | { kind: 'memory-size', message: string, numbers: { setting: 'memoryMaxSize' | 'memoryMaxBytes', current: number, proposed: number, hitRate: number, expectedHitRate: number, lookups: number } }
  | { kind: 'eviction-policy', message: string, numbers: { current: EvictionPolicyName, proposed: EvictionPolicyName, hitRate: number, expectedHitRate: number, lookups: number } }
  | { kind: 'ttl', message: string, numbers: { group: string, current: number, proposed: number, unchangedShare: number, reloads: number, loadsSavedPerHour: number, outdatedShare: number } }
  | { kind: 'no-reuse', message: string, numbers: { route: string, lookups: number, repeatedShare: number } }
  | { kind: 'serve', message: string, numbers: { route: string, lookups: number, hitRate: number, timeSaved: number } }
  | { kind: 'outdated', message: string, numbers: { route: string, compared: number, outdatedShare: number, unchangedFor: number, proposed: number } }
  | { kind: 'wrong-key', message: string, numbers: { route: string, compared: number, wrongKey: number } }
  | { kind: 'hot-key', message: string, numbers: { key: string, share: number } }

/** What the judges of the memory go by. */
export interface MemoryEvidence extends MemoryFindings {
  readonly usage: TierUsage
  readonly policy: EvictionPolicyName
  /** Sampled entries that a full memory comes to. */
  readonly sampledEntries: number
}

/** Less than this many lookups of sampled keys prove nothing. */
const MIN_SAMPLED = 500
/** Two points: what the curve may be wrong by. */
const MIN_GAIN = 0.02
/** A smaller memory that loses less than this is proposed. */
const MAX_LOSS = 0.002
/** A memory that answers less than this has other troubles than its size. */
const MIN_HIT_RATE = 0.05
const FULL = 0.9
const LARGER = [1.5, 2, 3, 4, 6, 8] as const
/** The smallest memory that brings this share of what the largest would. */
const ENOUGH = 0.8
const MIN_RELOADS = 30
const MIN_UNCHANGED_SHARE = 0.2
const MIN_OBSERVED = 100
const MIN_LOADS_SAVED_PER_HOUR = 10
const MIN_ROUTE_LOOKUPS = 200
const MAX_REPEATED_SHARE = 0.01
const HOT_SHARE = 0.05
const STANDARD_ERRORS = 3
const MAX_HOT_KEYS = 5

/** All that can be proved, in the order of what it is about. */
export function recommendationsOf ({ sampled, hottest, ttls, routes }: Findings, memory: MemoryEvidence | undefined): Recommendation[] {
  const general = sampled < MIN_SAMPLED ? [] : [...memory === undefined ? [] : [judgeMemorySize(memory), judgePolicy(memory)], ...hottest.keys.slice(0, MAX_HOT_KEYS).map((hot) => judgeHotKey(hot, hottest.sample))]
  return [...general, ...ttls.map(judgeTtl), ...routes.map(judgeReuse)].filter((found) => found !== undefined)
}

/** What observing or verifying a route has shown. */
export function adviceOn (figures: ObservedFigures): Recommendation[] {
  return [judgeServing(figures), judgeKey(figures), judgeChange(figures)].filter((found) => found !== undefined)
}

function judgeServing ({ route, lookups, hitRate, timeSaved }: ObservedFigures): Recommendation | undefined {
  if (lookups < MIN_OBSERVED || hitRate < MIN_HIT_RATE) return undefined
  return { kind: 'serve', message: `${route} is only observed: serving it would have answered ${percent(hitRate)} of ${grouped(lookups)} requests from the cache, and saved ${timeSaved.toFixed(1)} s of its handler`, numbers: { route, lookups, hitRate, timeSaved } }
}

/** One case proves it. */
function judgeKey ({ route, compared, results: { 'wrong-key': wrongKey } }: ObservedFigures): Recommendation | undefined {
  if (wrongKey === 0) return undefined
  return { kind: 'wrong-key', message: `${route}: ${grouped(wrongKey)} of ${grouped(compared)} compared responses depend on a request header that is not in the key: name it in headers or in Vary, or give a partition`, numbers: { route, compared, wrongKey } }
}

function judgeChange ({ route, compared, results: { outdated, different }, unchangedFor, suggestedTtl }: ObservedFigures): Recommendation | undefined {
  const outdatedShare = (outdated + different) / compared
  if (compared < MIN_COMPARED || suggestedTtl === null || unchangedFor === null) return undefined
  const cure = suggestedTtl === 0 ? 'No ttl is short enough' : `With a ttl of ${suggestedTtl} s no more than ${percent(MAX_OUTDATED_SHARE)} would have been`
  return {
    kind: 'outdated',
    message: `${route}: ${percent(outdatedShare)} of ${grouped(compared)} compared responses were not what the handler answers by then, and no purge told; they stay the same for ${Number(unchangedFor.toPrecision(2))} s on average. ${cure}; a purge of what the page is made of needs no ttl`,
    numbers: { route, compared, outdatedShare, unchangedFor, proposed: suggestedTtl }
  }
}

/** The size of memory that counts: where bytes are the bound, what they have room for. */
export function entriesThatFit (memory: TierUsage): number {
  return boundByBytes(memory) ? memory.entries : memory.maxEntries
}

const boundByBytes = ({ bytes, maxBytes, entries, maxEntries }: TierUsage): boolean => bytes >= FULL * maxBytes && entries < FULL * maxEntries

function judgeMemorySize ({ curve, usage: memory }: MemoryEvidence): Recommendation | undefined {
  const byBytes = boundByBytes(memory)
  if (!byBytes && memory.entries < FULL * memory.maxEntries) return undefined
  const entries = entriesThatFit(memory)
  const hitRate = curve.hitRate(entries)
  const gains = LARGER.map((factor) => ({ factor, gain: curve.hitRate(entries * factor) - hitRate }))
  const most = Math.max(...gains.map(({ gain }) => gain))
  const factor = most >= MIN_GAIN
    ? gains.find(({ gain }) => gain >= Math.max(MIN_GAIN, most * ENOUGH))?.factor
    : hitRate >= MIN_HIT_RATE && curve.hitRate(entries / 2) >= hitRate - MAX_LOSS ? 0.5 : undefined
  if (factor === undefined) return undefined
  const setting = byBytes ? 'memoryMaxBytes' : 'memoryMaxSize'
  const current = byBytes ? memory.maxBytes : memory.maxEntries
  const proposed = Math.round(current * factor)
  const expectedHitRate = curve.hitRate(entries * factor)
  const what = byBytes ? 'bytes' : 'entries'
  const message = factor > 1
    ? `${grouped(proposed)} ${what} (${setting}) instead of ${grouped(current)} would lift the hit rate of the memory from ${percent(hitRate)} to ${percent(expectedHitRate)}`
    : `${grouped(proposed)} ${what} (${setting}) instead of ${grouped(current)} would do: the hit rate of the memory would be ${percent(expectedHitRate)} instead of ${percent(hitRate)}`
  return { kind: 'memory-size', message, numbers: { setting, current, proposed, hitRate, expectedHitRate, lookups: curve.lookups } }
}

function judgePolicy ({ policies, curve, policy, usage: memory, sampledEntries }: MemoryEvidence): Recommendation | undefined {
  const current = policies.find((figures) => figures.policy === policy)
  if (current === undefined || sampledEntries < MIN_SHADOW_ENTRIES || boundByBytes(memory)) return undefined
  const best = policies.reduce((a, b) => b.hitRate > a.hitRate ? b : a)
  const gain = best.hitRate - current.hitRate
  if (gain < MIN_GAIN) return undefined
  return {
    kind: 'eviction-policy',
    message: `evictionPolicy '${best.policy}' instead of '${policy}' would give +${(gain * 100).toFixed(1)} points: ${percent(best.hitRate)} instead of ${percent(current.hitRate)}`,
    numbers: { current: policy, proposed: best.policy, hitRate: current.hitRate, expectedHitRate: best.hitRate, lookups: curve.lookups }
  }
}

function judgeTtl ({ group, ttl, reloads, unchanged, trials }: TtlFigures): Recommendation | undefined {
  const unchangedShare = unchanged / reloads
  if (reloads < MIN_RELOADS || unchangedShare < MIN_UNCHANGED_SHARE) return undefined
  const safe = trials.filter(({ saved, outdated, loadsSavedPerHour }) => saved > 0 && outdated <= saved * MAX_OUTDATED_SHARE && loadsSavedPerHour >= MIN_LOADS_SAVED_PER_HOUR)
  const most = Math.max(...safe.map(({ loadsSavedPerHour }) => loadsSavedPerHour))
  const best = safe.find(({ loadsSavedPerHour }) => loadsSavedPerHour >= most * ENOUGH)
  if (best === undefined) return undefined
  return {
    kind: 'ttl',
    message: `${group}, ttl ${ttl} s: ${percent(unchangedShare)} of the expired entries were reloaded unchanged; ${best.ttl} s would save ${grouped(Math.round(best.loadsSavedPerHour))} loads an hour`,
    numbers: { group, current: ttl, proposed: best.ttl, unchangedShare, reloads, loadsSavedPerHour: best.loadsSavedPerHour, outdatedShare: best.outdated / best.saved }
  }
}

function judgeReuse ({ route, lookups, repeated }: RouteReuse): Recommendation | undefined {
  const repeatedShare = repeated / lookups
  if (lookups < MIN_ROUTE_LOOKUPS || repeatedShare > MAX_REPEATED_SHARE) return undefined
  return { kind: 'no-reuse', message: `${route} is hardly ever asked for the same twice (${percent(repeatedShare)} of the requests): do not cache it`, numbers: { route, lookups, repeatedShare } }
}

/** Of many keys some look hotter than they are: it takes a share that chance does not explain. */
function judgeHotKey ({ key, share }: HotKey, sample: number): Recommendation | undefined {
  if (share - STANDARD_ERRORS * Math.sqrt(share * (1 - share) / sample) < HOT_SHARE) return undefined
  return { kind: 'hot-key', message: `${key} is ${percent(share)} of all lookups: give it refreshAhead, so that its end is never felt`, numbers: { key, share } }
}

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`
const grouped = (count: number): string => String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ' ')
