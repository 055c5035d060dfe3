import type { EntryCodec, Moment } from '../codec/entry-codec.ts'
import { MAX_LIFE_MS } from '../codec/entry-header.ts'
import { softened, staleUntilMs } from '../entry.ts'
import type { RedisKeys } from '../keyspace/redis-key.ts'
import { refused, STORED, type Fill, type WriteVerdict } from '../ports/base-cache.ts'
import type { InvalidationLog } from '../ports/invalidation-log.ts'
import { LOST_LEASE } from '../ports/leases.ts'
import type { RedisCommand } from '../ports/redis-client.ts'

/** What is to be sent for a fill, if anything, and what the answer is when that succeeds. */
export interface FillPlan { readonly command: RedisCommand | undefined, readonly verdict: WriteVerdict }

export interface FillRules {
  readonly log: InvalidationLog
  readonly codec: EntryCodec
  readonly keys: RedisKeys
  /** Of the entry itself. */
  readonly maxEntryBytes: number
  /** Of what is stored of it. */
  readonly maxStoredBytes: number
}

/**
 * Stores an entry only while the lease on loading it is still the caller's, and gives the lease back with it.
 * KEYS: the entry, the lease (one slot). ARGV: token, entry, life in milliseconds. Answers 1, or 0 when the lease is gone.
 */
const STORE_IF_LEASED = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2])
return 1
`

/** The same for an entry that is not stored: the older one goes. KEYS, ARGV and the answer as above. */
const FREE_IF_LEASED = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2])
return 1
`

/** Decides what becomes of a fill before Redis is asked. */
export class FillPlanner {
  readonly #rules: FillRules

  constructor (rules: FillRules) {
    this.#rules = rules
  }

  /** @param possible whether Redis would take anything now */
  async plan ([key, given, ticket]: Fill, at: Moment, possible: boolean): Promise<FillPlan> {
    const { log, codec, keys, maxEntryBytes, maxStoredBytes } = this.#rules
    const validity = ticket.at === log.tip ? 'valid' : log.judge(key, given.marks, ticket.at)
    if (validity === 'purged' || ticket.lease === LOST_LEASE) return { command: undefined, verdict: refused('purged') }
    const entry = validity === 'soft' ? softened(given, log.softPurgedAtMs(key, given.marks, ticket.at) ?? at.localMs) : given
    const name = keys.entry(key)
    const { lease, leasedKey = key } = ticket
    const held = leasedKey === key ? lease : undefined
    // The older copy goes as well: it is not what was written last.
    const refuse = (reason: 'expired' | 'too-large'): FillPlan => ({ command: held === undefined ? ['UNLINK', name] : ['EVAL', FREE_IF_LEASED, 2, name, keys.lease(key), held], verdict: refused(reason) })
    const lifeMs = Math.min(Math.ceil(staleUntilMs(entry) - at.localMs), MAX_LIFE_MS)
    if (!(lifeMs > 0)) return refuse('expired')
    if (entry.bytes > maxEntryBytes) return refuse('too-large')
    if (!possible) return { command: undefined, verdict: refused('unavailable') }
    const bytes = await codec.encode(key, entry, at)
    if (bytes.length > maxStoredBytes) return refuse('too-large')
    return {
      verdict: STORED,
      command: held === undefined
        ? ['SET', name, bytes, 'PX', lifeMs]
        : ['EVAL', STORE_IF_LEASED, 2, name, keys.lease(key), held, bytes, lifeMs]
    }
  }
}
