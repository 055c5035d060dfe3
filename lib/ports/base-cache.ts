import { systemClock, toMs, type Clock, type Seconds } from '../clock.ts'
import { normaliseJson } from '../codec/json-value.ts'
import { softened, staleUntilMs, type Entry } from '../entry.ts'
import { errors, shown } from '../errors.ts'
import type { EvictionCause } from '../events.ts'
import { checkKey } from '../keyspace/name.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { StatsCounter, type CacheStats } from '../stats.ts'
import type { InvalidationLog, Ticket } from './invalidation-log.ts'
import { stillLog } from './still-log.ts'

/** What became of a write. A refusal is an answer with a reason, not an error. */
export type WriteVerdict =
  | { readonly stored: true }
  | { readonly stored: false, readonly reason: 'purged' | 'too-large' | 'expired' | 'unavailable' | 'closed' }

export const STORED: WriteVerdict = Object.freeze({ stored: true })
export const refused = (reason: Exclude<WriteVerdict, { stored: true }>['reason']): WriteVerdict => ({ stored: false, reason })

export type { EvictionCause }

/** Whether a tier is asked. `silent`: it did not answer, so the circuit is open; `away`: there is no connection to it. */
export type TierState = 'up' | 'silent' | 'away'

/** Figures of one tier. Counters only grow; `maxEntries` is 0 where nobody counts what is held, and Infinity where there is no bound. */
export interface TierUsage {
  /** A store of your own says `own`: the monitor then proposes no other size or eviction policy, which it could not take. */
  readonly tier: 'memory' | 'redis' | 'own'
  readonly state: TierState
  readonly entries: number
  readonly bytes: number
  readonly maxEntries: number
  readonly maxBytes: number
  /** Lookups for which it was asked, by whether it had what was wanted. */
  readonly hits: number
  readonly misses: number
  readonly errors: number
  readonly evictions: Readonly<Record<EvictionCause, number>>
}

/** One entry to be written, with the ticket of the load it comes from. */
export type Fill = readonly [key: string, entry: Entry, ticket: Ticket]

export interface ScanPage {
  readonly entries: ReadonlyArray<readonly [key: string, entry: Entry]>
  /** Hand it to the next call; `undefined` after the last page. */
  readonly cursor: string | undefined
}

export interface BaseCacheParts {
  /** Where purges come from. @default a log in which nobody purges */
  readonly log?: InvalidationLog
  /** @default the system's */
  readonly clock?: Clock
  /** Life of a value stored by `set` without a TTL of its own, in seconds. @default 300 */
  readonly ttl?: Seconds
}

/**
 * What a store promises the engine. Entries go in with the ticket of their load and come out only if the log finds
 * them valid: `read` never returns a purged entry (a softly purged one comes out `softened`), and `write` refuses what
 * a purge has overtaken. A store never throws for being unreachable: it answers as if it held nothing.
 * Freshness is not its business: it returns stale entries until `staleUntilMs`.
 *
 * On top of that every store is a small cache of values by itself: `get`, `set`, `delete`, `exists`, `clear`,
 * `getStats`. `CacheManager` has the same names with everything else around them.
 *
 * `fastify-response-cache/store-contract` is the suite that every implementation passes.
 */
export abstract class BaseCache {
  protected readonly log: InvalidationLog
  protected readonly clock: Clock
  readonly #ttl: Seconds
  readonly #stats = new StatsCounter()

  constructor ({ log = stillLog, clock = systemClock, ttl = 300 }: BaseCacheParts = {}) {
    this.log = log
    this.clock = clock
    this.#ttl = checkTtl(ttl)
  }

  /**
   * What the log finds valid and is good for anything; stale entries too. A list of variants is on the way to an answer, and
   * counts as none.
   * @param counted whether it counts in `usage()`: a lookup looks once, however often the cache looks again. @default true
   */
  abstract read (key: string, counted?: boolean): MaybePromise<Entry | undefined>
  /** The same in the order of the keys, with `undefined` for what is not there. */
  abstract readMany (keys: readonly string[], counted?: boolean): MaybePromise<Array<Entry | undefined>>
  abstract write (key: string, entry: Entry, ticket: Ticket): MaybePromise<WriteVerdict>
  /** One verdict a fill, in their order. A server gets them in that order, too. */
  abstract writeMany (fills: readonly Fill[]): MaybePromise<WriteVerdict[]>
  /** Frees the entries of these keys now; answers how many there were. The purge itself is the log's. */
  abstract remove (keys: readonly string[]): MaybePromise<number>
  /** Frees everything, in the background where that takes long. */
  abstract wipe (): MaybePromise<void>
  /** A page of what is stored, purged entries left out. The order is the store's own. @throws FST_ERR_CACHE_CURSOR */
  abstract scan (cursor: string | undefined, count: number): MaybePromise<ScanPage>
  abstract usage (): readonly TierUsage[]
  /** Frees everything held here and ends all timers. A second call does nothing. */
  abstract close (): MaybePromise<void>

  /**
   * The tier that answers without a promise. What it takes can be read from it as soon as `write` was called, however long
   * other tiers take.
   */
  get near (): BaseCache | undefined {
    return undefined
  }

  /** What the fleet has by now: `read` past a copy of this process that may be older. Not counted in `usage()`. */
  readShared (key: string): MaybePromise<Entry | undefined> {
    return this.read(key, false)
  }

  /** The same for many, in the order of the keys. */
  readManyShared (keys: readonly string[]): MaybePromise<Array<Entry | undefined>> {
    return this.readMany(keys, false)
  }

  /** The entry of a key while it is fresh. A copy of this process that has grown stale does not hide what the fleet has by now. */
  async readFresh (key: string, counted = true): Promise<Entry | undefined> {
    const found = await this.read(key, counted)
    if (this.#mayBeOlder(found)) return this.#whileFresh(await this.readShared(key))
    return this.#whileFresh(found)
  }

  /** The same for many, in the order of the keys. */
  async readManyFresh (keys: readonly string[], counted = true): Promise<Array<Entry | undefined>> {
    const found = await this.readMany(keys, counted)
    const older = keys.filter((_key, index) => this.#mayBeOlder(found[index]))
    if (older.length === 0) return found.map((entry) => this.#whileFresh(entry))
    const entries = await this.readManyShared(older)
    const shared = new Map(older.map((key, index) => [key, entries[index]]))
    return keys.map((key, index) => this.#whileFresh(shared.has(key) ? shared.get(key) : found[index]))
  }

  #mayBeOlder (found: Entry | undefined): boolean {
    return found !== undefined && this.near !== undefined && this.#whileFresh(found) === undefined
  }

  #whileFresh (entry: Entry | undefined): Entry | undefined {
    return entry !== undefined && this.clock.now() < entry.freshUntilMs ? entry : undefined
  }

  /**
   * What is left of an entry: itself, `softened` after a soft purge, or why it is good for nothing any more.
   * @param since the `at` of the ticket it was written with, or the `tip` of the log when it was last found valid
   */
  protected judge (key: string, entry: Entry, since: number): Entry | 'purged' | 'expired' {
    const validity = this.log.judge(key, entry.marks, since)
    if (validity === 'purged') return 'purged'
    const left = validity === 'soft' ? softened(entry, this.log.softPurgedAtMs(key, entry.marks, since) ?? this.clock.now()) : entry
    return staleUntilMs(left) > this.clock.now() ? left : 'expired'
  }

  /**
   * The value of a key; `undefined` when there is none. It is frozen.
   * @throws FST_ERR_CACHE_KEY
   */
  async get<T = unknown> (key: string): Promise<T | undefined> {
    const entry = await this.#readData(key, true)
    this.#stats.add(entry === undefined ? 'misses' : 'hits')
    return entry?.value as T | undefined
  }

  /**
   * Stores a copy of the value, as JSON knows it. `false` when it was not stored: because it is `undefined`, too large,
   * or a purge came in between.
   * @param ttl life in seconds
   * @throws FST_ERR_CACHE_KEY, FST_ERR_CACHE_VALUE, FST_ERR_CACHE_OPTION
   */
  async set (key: string, value: unknown, ttl: Seconds = this.#ttl): Promise<boolean> {
    const ticket = this.log.ticket()
    const normal = normaliseJson(value)
    const lifeMs = toMs(checkTtl(ttl))
    if (normal.value === undefined) return false
    const nowMs = this.clock.now()
    const untilMs = nowMs + lifeMs
    const verdict = await this.write(checkKey(key), {
      kind: 'data',
      value: normal.value,
      storedAtMs: nowMs,
      freshUntilMs: untilMs,
      staleWhileRevalidateUntilMs: untilMs,
      staleIfErrorUntilMs: untilMs,
      marks: [],
      asOf: ticket.asOf,
      bytes: normal.bytes,
      loadMs: 0
    }, ticket)
    this.#stats.add(verdict.stored ? 'sets' : 'refusals')
    return verdict.stored
  }

  /** Whether there is a value. It counts neither as a hit nor as a miss. */
  async exists (key: string): Promise<boolean> {
    return await this.#readData(key, false) !== undefined
  }

  /** Purges one key; answers whether there was a value. */
  async delete (key: string): Promise<boolean> {
    const existed = await this.exists(key)
    await this.log.append({ keys: [key] })
    await this.remove([key])
    if (existed) this.#stats.add('deletes')
    return existed
  }

  /** Purges everything. */
  async clear (): Promise<boolean> {
    await this.log.append({ everything: true })
    await this.wipe()
    return true
  }

  getStats (): CacheStats {
    const evictions: Record<EvictionCause, number> = { entries: 0, bytes: 0, expired: 0, purged: 0 }
    let entries = 0
    let bytes = 0
    for (const tier of this.usage()) {
      for (const cause of Object.keys(evictions) as EvictionCause[]) evictions[cause] += tier.evictions[cause]
      if (tier.tier === 'redis') continue
      entries += tier.entries
      bytes += tier.bytes
    }
    return this.#stats.snapshot({ evictions, entries, bytes })
  }

  async #readData (key: string, counted: boolean): Promise<Entry | undefined> {
    const entry = await this.readFresh(checkKey(key), counted)
    return entry?.kind === 'data' ? entry : undefined
  }
}

function checkTtl (ttl: Seconds): Seconds {
  if (!Number.isFinite(ttl) || ttl <= 0) throw new errors.FST_ERR_CACHE_OPTION('ttl', shown(ttl), 'a number of seconds above 0')
  return ttl
}
