import type { FastifyInstance } from 'fastify'
import type { TierUsage } from '../lib/ports/base-cache.ts'
import type { InvalidationLog } from '../lib/ports/invalidation-log.ts'
import type { CacheStats } from '../lib/stats.ts'
import { routeShape } from './route-shape.ts'

export interface StatsRouteOptions {
  readonly prefix: string
  readonly stats: () => CacheStats
  readonly tiers: () => readonly TierUsage[]
  readonly log: Pick<InvalidationLog, 'state' | 'queued'>
}

const count = { type: 'integer', minimum: 0 }
/** JSON has no infinity: a tier without a bound says `null`. */
const bound = { type: ['integer', 'null'], minimum: 0 }
const evictions = {
  type: 'object',
  description: 'Entries that left without being asked to, by cause.',
  required: ['entries', 'bytes', 'expired', 'purged'],
  properties: { entries: count, bytes: count, expired: count, purged: count }
}

const COUNTS = ['hits', 'misses', 'sets', 'deletes', 'errors', 'totalRequests', 'staleHits', 'bypasses', 'loads', 'loadErrors', 'coalescedLoads', 'refusals', 'invalidations', 'entries', 'bytes'] as const satisfies ReadonlyArray<keyof CacheStats>

const response = {
  description: 'Figures since the start.',
  type: 'object',
  required: [...COUNTS, 'hitRate', 'evictions', 'tiers', 'log'],
  additionalProperties: false,
  properties: {
    ...Object.fromEntries(COUNTS.map((name) => [name, count])),
    hitRate: { type: 'number', minimum: 0, maximum: 1 },
    evictions,
    tiers: {
      type: 'array',
      items: {
        type: 'object',
        required: ['tier', 'state', 'entries', 'bytes', 'maxEntries', 'maxBytes', 'hits', 'misses', 'errors', 'evictions'],
        additionalProperties: false,
        properties: { tier: { enum: ['memory', 'redis', 'own'] }, state: { enum: ['up', 'silent', 'away'] }, entries: count, bytes: count, maxEntries: bound, maxBytes: bound, hits: count, misses: count, errors: count, evictions }
      }
    },
    log: {
      type: 'object',
      description: 'Whether the purges of other instances are known here, and how many names wait to be sent to them.',
      required: ['state', 'queued'],
      additionalProperties: false,
      properties: { state: { enum: ['current', 'behind', 'alone'] }, queued: count }
    }
  }
}

/** `GET <prefix>/stats`: sums over the whole cache; it names nothing that is stored. */
export function statsRoute (app: FastifyInstance, { prefix, stats, tiers, log }: StatsRouteOptions): void {
  app.get(`${prefix}/stats`, routeShape('Figures of the cache', { response: { 200: response } }), async () => ({ ...stats(), tiers: tiers(), log: { state: log.state, queued: log.queued } }))
}
