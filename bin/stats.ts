import { show, type Call, type End } from './command.ts'
import { bytes, count, percent } from './figures.ts'
import { pairs, table } from './table.ts'

interface Stats extends Readonly<Record<'hits' | 'misses' | 'hitRate' | 'staleHits' | 'bypasses' | 'loads' | 'loadErrors' | 'coalescedLoads' | 'invalidations' | 'refusals' | 'errors' | 'entries' | 'bytes', number>> {
  readonly tiers: readonly Tier[]
  readonly log: { readonly state: string, readonly queued: number }
}

interface Tier {
  readonly tier: string
  readonly state: string
  readonly entries: number
  readonly maxEntries: number | null
  readonly bytes: number
  readonly maxBytes: number | null
  readonly hits: number
  readonly misses: number
  readonly errors: number
  readonly evictions: Readonly<Record<string, number>>
}

/** `stats`: figures since the start. */
export async function stats (call: Call): Promise<End> {
  return show(call, await call.client.ask<Stats>('GET', '/stats'), (body) => [
    ...pairs([
      ['hit rate', `${percent(body.hitRate)} (${count(body.hits)} hits, ${count(body.staleHits)} of them stale; ${count(body.misses)} misses)`],
      ['passed by', count(body.bypasses)],
      ['loads', `${count(body.loads)}, ${count(body.loadErrors)} failed, ${count(body.coalescedLoads)} shared`],
      ['purges', `${count(body.invalidations)}; the log is ${body.log.state}, ${count(body.log.queued)} names wait for it`],
      ['not stored', count(body.refusals)],
      ['errors', count(body.errors)]
    ]),
    '',
    ...table(['tier', 'state', 'entries', 'of', 'size', 'of', 'hits', 'misses', 'evicted', 'errors'], body.tiers.map((tier) => [
      // Redis does not count for us.
      tier.tier, tier.state, ...tier.tier === 'redis' ? ['–', '–', '–', '–'] : [count(tier.entries), tier.maxEntries === null ? '–' : count(tier.maxEntries), bytes(tier.bytes), bytes(tier.maxBytes)],
      count(tier.hits), count(tier.misses), count((tier.evictions['entries'] ?? 0) + (tier.evictions['bytes'] ?? 0)), count(tier.errors)
    ]))
  ])
}
