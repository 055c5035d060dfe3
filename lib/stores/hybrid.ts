import type { EpochMs } from '../clock.ts'
import type { Entry } from '../entry.ts'
import { chain, type MaybePromise } from '../maybe-promise.ts'
import { BaseCache, STORED, type Fill, type ScanPage, type TierUsage, type WriteVerdict } from '../ports/base-cache.ts'
import { checkCursor } from '../ports/cursor.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { catchUpWith, mayLag } from '../ports/purge-knowledge.ts'
import { within } from '../resilience/within.ts'
import { resolveHybridOptions, type HybridCacheOptions, type ResolvedHybridOptions } from './hybrid-options.ts'
import type { MemoryCache } from './memory.ts'
import { VALUES_PER_ROUND_TRIP, type RedisCache } from './redis.ts'
import { WriteBackQueue } from './write-back-queue.ts'

/** The tier, and its own cursor. */
const TIER_CURSOR = /^[mr]./

/** An entry in memory, with the instant from which on Redis is asked again. The entry itself lives on as long as everywhere. */
interface Copy extends Entry { readonly memoryUntilMs?: EpochMs }

/**
 * Memory in front of Redis. What memory holds is answered at once, without a promise; what it lacks is fetched from
 * Redis and kept for `memoryTtl`. Both listen to one log, so a purge on any instance reaches the copies of all. While
 * Redis is away memory goes on alone.
 */
export class HybridCache extends BaseCache {
  readonly #memory: MemoryCache
  readonly #redis: RedisCache
  readonly #options: ResolvedHybridOptions
  readonly #queue: WriteBackQueue
  #closed = false

  /** @throws FST_ERR_CACHE_OPTION */
  constructor (options: HybridCacheOptions) {
    super(options)
    this.#options = resolveHybridOptions(options)
    this.#memory = options.memory
    this.#redis = options.redis
    this.#queue = new WriteBackQueue({
      clock: this.clock,
      store: async (fills) => await this.#redis.writeMany(fills),
      available: () => this.#redis.available,
      ...(options.writeBackMaxEntries === undefined ? {} : { maxEntries: options.writeBackMaxEntries }),
      ...(options.writeBackMaxBytes === undefined ? {} : { maxBytes: options.writeBackMaxBytes })
    })
  }

  /** What waits to be written back, and what had to make room there. */
  get writeBack (): { readonly entries: number, readonly bytes: number, readonly dropped: number } {
    return { entries: this.#queue.size, bytes: this.#queue.bytes, dropped: this.#queue.dropped }
  }

  override get near (): MemoryCache {
    return this.#memory
  }

  read (key: string, counted = true): MaybePromise<Entry | undefined> {
    if (this.#mayLag()) return this.#readCaughtUp(key, counted)
    return this.#readHere(key, counted) ?? this.#far(key, counted)
  }

  readMany (keys: readonly string[], counted = true): MaybePromise<Array<Entry | undefined>> {
    if (this.#mayLag()) return this.#readManyCaughtUp(keys, counted)
    return this.#complete(keys, keys.map((key) => this.#readHere(key, counted)), counted)
  }

  override readShared (key: string): MaybePromise<Entry | undefined> {
    const { tip } = this.log
    return chain(this.#redis.read(key, false), (far) => this.#newer(key, far, tip))
  }

  override readManyShared (keys: readonly string[]): MaybePromise<Array<Entry | undefined>> {
    const { tip } = this.log
    return chain(this.#redis.readMany(keys, false), (far) => keys.map((key, index) => this.#newer(key, far[index], tip)))
  }

  #newer (key: string, far: Entry | undefined, tip: number): Entry | undefined {
    const near = this.#near(key)
    // An answer from Redis has brought the log up to date.
    if (far === undefined) return this.#mayLag() ? undefined : near
    // What Redis could not be given is newer than what it has.
    return near !== undefined && near.storedAtMs >= far.storedAtMs ? near : this.#promoted(key, far, tip)
  }

  write (key: string, entry: Entry, ticket: Ticket): MaybePromise<WriteVerdict> {
    // Without a Redis this is memory, and costs what memory costs.
    if (!this.#redis.available && !this.#options.writeBack) return this.#memory.write(key, this.#copyOf(entry), ticket)
    return this.#writeBoth([key, entry, ticket])
  }

  async #writeBoth (fill: Fill): Promise<WriteVerdict> {
    const [verdict] = await this.writeMany([fill])
    return verdict ?? STORED
  }

  async writeMany (fills: readonly Fill[]): Promise<WriteVerdict[]> {
    const near = fills.map(([key, entry, ticket]) => this.#memory.write(key, this.#copyOf(entry), ticket))
    // What is purged or over is so everywhere; Redis is asked to forget an expired copy all the same.
    const far = fills.flatMap((fill, index): Array<readonly [number, Fill]> => {
      const [key, , ticket] = fill
      const verdict = near[index]
      if (verdict?.stored === false && (verdict.reason === 'purged' || verdict.reason === 'closed')) return []
      this.#queue.cancel(key)
      // A lease is given back as the entry is stored, and others wait for that.
      if (!this.#options.writeBack || verdict?.stored === false || ticket.lease !== undefined) return [[index, fill]]
      this.#queue.push(fill)
      return []
    })
    if (far.length === 0 || this.#closed) return near
    const stored = await this.#redis.writeMany(far.map(([, fill]) => fill))
    const verdicts: WriteVerdict[] = [...near]
    for (const [nth, [index]] of far.entries()) {
      const verdict = stored[nth]
      // Memory refuses for being too small where Redis may have room, and the other way round.
      if (near[index]?.stored === false && verdict?.stored === true) verdicts[index] = verdict
    }
    return verdicts
  }

  async remove (keys: readonly string[]): Promise<number> {
    const near = keys.map((key) => {
      this.#queue.cancel(key)
      return this.#memory.remove([key]) > 0
    })
    const far = await this.#redis.removeEach(keys)
    return keys.filter((_key, index) => near[index] === true || far[index] === true).length
  }

  async wipe (): Promise<void> {
    this.#queue.clear()
    this.#memory.wipe()
    await this.#redis.wipe()
  }

  /** Pages of the tier that holds everything: Redis, or memory while Redis is away. A listing stays with the tier it began with. */
  async scan (cursor: string | undefined, count: number): Promise<ScanPage> {
    checkCursor(cursor, TIER_CURSOR)
    const tier = cursor?.[0] ?? (this.#redis.available ? 'r' : 'm')
    if (cursor === undefined && tier === 'r') await this.#queue.drain(this.#options.drainMs)
    const page = await (tier === 'r' ? this.#redis : this.#memory).scan(cursor?.slice(1), count)
    return { entries: page.entries, cursor: page.cursor === undefined ? undefined : tier + page.cursor }
  }

  usage (): readonly TierUsage[] {
    return [...this.#memory.usage(), ...this.#redis.usage()]
  }

  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#queue.close(this.#options.drainMs)
    this.#memory.close()
    this.#redis.close()
  }

  #mayLag (): boolean {
    return mayLag(this.log, this.#options.strict)
  }

  #near (key: string): Entry | undefined {
    const copy: Copy | undefined = this.#memory.read(key, false)
    return copy?.memoryUntilMs !== undefined && copy.memoryUntilMs <= this.clock.now() ? undefined : copy
  }

  /** What memory has; a miss is counted when it is known what was missed. */
  #readHere (key: string, counted: boolean): Entry | undefined {
    const found = this.#near(key)
    if (counted && found !== undefined) this.#memory.count(true, found)
    return found
  }

  #far (key: string, counted: boolean): MaybePromise<Entry | undefined> {
    const { tip } = this.log
    const take = (entry: Entry | undefined): Entry | undefined => {
      if (counted) this.#memory.count(false, entry)
      return this.#promoted(key, entry, tip)
    }
    const found = this.#redis.read(key, counted)
    return found instanceof Promise ? found.then(take) : take(found)
  }

  /** Keeps what Redis had. Judged once more by whatever was purged since the question was asked. */
  #promoted (key: string, entry: Entry | undefined, tip: number): Entry | undefined {
    if (entry === undefined) return undefined
    const verdict = this.#memory.write(key, this.#copyOf(entry), { at: tip, asOf: entry.asOf })
    return !verdict.stored && verdict.reason === 'purged' ? undefined : entry
  }

  #copyOf (entry: Entry): Copy {
    return { ...entry, memoryUntilMs: this.clock.now() + this.#options.memoryTtlMs }
  }

  #complete (keys: readonly string[], found: Array<Entry | undefined>, counted: boolean): MaybePromise<Array<Entry | undefined>> {
    if (counted) for (const entry of found) if (entry === undefined) this.#memory.count(false, undefined)
    return found.includes(undefined) && this.#redis.available ? this.#fetch(keys, found, counted) : found
  }

  async #fetch (keys: readonly string[], found: Array<Entry | undefined>, counted: boolean): Promise<Array<Entry | undefined>> {
    const { tip } = this.log
    const missing = [...new Set(keys.filter((_key, index) => found[index] === undefined))]
    const fetched = await this.#redis.readMany(missing, counted)
    const byKey = new Map(missing.map((key, index) => [key, this.#promoted(key, fetched[index], tip)]))
    return keys.map((key, index) => found[index] ?? byKey.get(key))
  }

  async #readCaughtUp (key: string, counted: boolean): Promise<Entry | undefined> {
    const near = this.#near(key)
    // Redis is asked together with the log; only a copy in memory has to wait for the log alone.
    if (near === undefined) return await this.#far(key, counted)
    const untilMs = this.clock.now() + this.#options.patienceMs
    if (await this.#trusted()) return this.#readHere(key, counted) ?? await within(Promise.resolve(this.#far(key, counted)), untilMs, this.clock, undefined)
    if (counted) this.#memory.count(false, near)
    return undefined
  }

  async #readManyCaughtUp (keys: readonly string[], counted: boolean): Promise<Array<Entry | undefined>> {
    const untilMs = this.clock.now() + this.#options.patienceMs * Math.ceil(keys.length / VALUES_PER_ROUND_TRIP)
    const trusted = await this.#trusted()
    const found = keys.map((key) => trusted ? this.#readHere(key, counted) : undefined)
    return trusted ? await within(Promise.resolve(this.#complete(keys, found, counted)), untilMs, this.clock, found) : found
  }

  /** Whether memory may be served. */
  async #trusted (): Promise<boolean> {
    return await catchUpWith(this.log, this.#options.strict)
  }
}
