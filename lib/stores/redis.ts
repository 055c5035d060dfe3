import type { EpochMs, Milliseconds, Timer } from '../clock.ts'
import { createCompression } from '../codec/compression.ts'
import { createEntryCodec, type Decoded, type DecodeFault, type EntryCodec, type Moment } from '../codec/entry-codec.ts'
import { MAX_HEADER_BYTES } from '../codec/envelope.ts'
import { softened, staleUntilMs, type Entry } from '../entry.ts'
import { createRedisKeys, type RedisKeys } from '../keyspace/redis-key.ts'
import { isPromise, type MaybePromise } from '../maybe-promise.ts'
import { BaseCache, refused, type Fill, type ScanPage, type TierUsage, type WriteVerdict } from '../ports/base-cache.ts'
import { checkCursor } from '../ports/cursor.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { CANNOT_WORK, isReply, type RedisCommand, type RedisOutcome } from '../ports/redis-client.ts'
import { inTurns } from '../resilience/in-turns.ts'
import { retry } from '../resilience/retry.ts'
import { FillPlanner, type FillPlan } from './redis-fill.ts'
import { resolveRedisOptions, type RedisCacheOptions, type ResolvedRedisOptions } from './redis-options.ts'

/** Why a read that could have hit did not. `reply`: Redis answered with an error; `unavailable`: not at all. */
export type RedisFault = DecodeFault | 'reply' | 'unavailable'

/** Longer pipelines would keep Redis from serving others for too long. */
const BATCH = 500
/** Values come in smaller portions than keys: a page of large ones must not fill the memory. */
const VALUES_PER_BATCH = 100
/** So many are sent together: a thousand values take one round trip, and none waits so long behind the others that it seems late. */
const BATCHES_UNDER_WAY = 10
/** How many values come with one round trip. */
export const VALUES_PER_ROUND_TRIP = VALUES_PER_BATCH * BATCHES_UNDER_WAY
/** A server that has no room left is not asked again at once. */
const PAUSE_WHEN_FULL_MS = 1000
/** A walk that Redis was away for is taken again after so long, from the start: to a server that comes back cursors mean nothing. */
const WIPE_AGAIN_MS: Milliseconds = 5000

const NODE_CURSOR = /^[^/]*\/\d{1,20}$/
const EMPTY_PAGE: ScanPage = Object.freeze({ entries: [], cursor: undefined })

/**
 * Entries in Redis, shared by all processes, each one a single key that expires by itself. Nothing that stands there is
 * believed: a value of another type, another release or another origin is a miss, and so is a valid one that the log
 * knows to be purged. While Redis is away every read misses at once.
 */
export class RedisCache extends BaseCache {
  readonly #options: ResolvedRedisOptions
  readonly #codec: EntryCodec
  readonly #keys: RedisKeys
  readonly #planner: FillPlanner
  readonly #lastByte: number
  readonly #faults: Record<RedisFault, number> = { foreign: 0, version: 0, header: 0, body: 0, 'other-key': 0, serializer: 0, 'too-large': 0, reply: 0, unavailable: 0 }
  #hits = 0
  #misses = 0
  #fullUntilMs: EpochMs = 0
  #wiping: Promise<void> | undefined
  #wipeLater: Timer | undefined
  #closed = false

  /** @throws FST_ERR_CACHE_OPTION */
  constructor (options: RedisCacheOptions) {
    super(options)
    this.#options = resolveRedisOptions(options)
    const { serializer, maxEntryBytes, compression, prefix } = this.#options
    this.#codec = createEntryCodec({ serializer, compression: createCompression(compression), maxBytes: maxEntryBytes })
    this.#keys = createRedisKeys(prefix)
    this.#lastByte = maxEntryBytes + MAX_HEADER_BYTES
    this.#planner = new FillPlanner({ log: this.log, codec: this.#codec, keys: this.#keys, maxEntryBytes, maxStoredBytes: this.#lastByte })
  }

  /** Whether asking has a chance: otherwise everything misses, and nothing is stored. */
  get available (): boolean {
    return !this.#closed && this.#options.client.ready
  }

  /** How often each fault was met; counters only grow. */
  get faults (): Readonly<Record<RedisFault, number>> {
    return { ...this.#faults }
  }

  read (key: string, counted = true): MaybePromise<Entry | undefined> {
    return this.#worthAsking() ? this.#readOne(key, counted) : undefined
  }

  readMany (keys: readonly string[], counted = true): MaybePromise<Array<Entry | undefined>> {
    return keys.length > 0 && this.#worthAsking() ? this.#readAll(keys, counted) : keys.map(() => undefined)
  }

  async write (key: string, entry: Entry, ticket: Ticket): Promise<WriteVerdict> {
    const [verdict] = await this.writeMany([[key, entry, ticket]])
    return verdict ?? refused('unavailable')
  }

  async writeMany (fills: readonly Fill[]): Promise<WriteVerdict[]> {
    if (this.#closed) return fills.map(() => refused('closed'))
    const fillable = this.available && this.clock.now() >= this.#fullUntilMs
    const plan = async (fill: Fill): Promise<FillPlan> => await this.#planner.plan(fill, this.#moment(), fillable)
    const plans = await inTurns(fills, VALUES_PER_BATCH, 1, async (portion) => await Promise.all(portion.map(plan)))
    const outcomes = await this.#send(plans.map(({ command }) => command))
    return plans.map(({ verdict }, index) => this.#verdictOf(verdict, outcomes[index]))
  }

  async remove (keys: readonly string[]): Promise<number> {
    return (await this.removeEach(keys)).filter(Boolean).length
  }

  /** Frees the entries of these keys, and kills the leases on loading them; tells for each key whether it was there. */
  async removeEach (keys: readonly string[]): Promise<boolean[]> {
    if (!this.available) return keys.map(() => false)
    const outcomes = await this.#batch(keys.flatMap((key): RedisCommand[] => [['UNLINK', this.#keys.entry(key)], ['UNLINK', this.#keys.lease(key)]]), BATCH)
    return keys.map((_key, index) => {
      const outcome = outcomes[2 * index]
      return outcome?.ok === true && Number(outcome.reply) > 0
    })
  }

  /**
   * Walks through every master. The entries are unreachable before, by the purge; this gives the memory back. When Redis
   * does not answer, or not now, the walk is taken again by itself, and nobody waits for it.
   */
  async wipe (): Promise<void> {
    this.#wipeLater?.cancel()
    this.#wiping ??= this.#wipe().finally(() => { this.#wiping = undefined })
    await this.#wiping
  }

  /** Redis promises each key that stays at least once, so one may come twice while its tables grow. */
  async scan (cursor: string | undefined, count: number): Promise<ScanPage> {
    checkCursor(cursor, NODE_CURSOR)
    if (!this.#worthAsking()) return EMPTY_PAGE
    try {
      const page = await this.#options.client.scan(cursor, this.#keys.entries, Math.min(count, 1000))
      const keys = [...new Set(page.keys)].map((name) => this.#keys.keyOf(name)).filter((key) => key !== undefined)
      const found = await this.#fetch(keys)
      return { entries: keys.flatMap((key, index) => { const entry = found[index]; return entry === undefined ? [] : [[key, entry] as const] }), cursor: page.cursor }
    } catch {
      this.#faults.unavailable++
      return EMPTY_PAGE
    }
  }

  /** Redis is not asked how much it holds: `entries` and `bytes` are 0. */
  usage (): readonly [TierUsage] {
    const errors = Object.values(this.#faults).reduce((sum, count) => sum + count, 0)
    return [{ tier: 'redis', state: this.#closed ? 'away' : this.#options.client.state, entries: 0, bytes: 0, maxEntries: 0, maxBytes: 0, hits: this.#hits, misses: this.#misses, errors, evictions: { entries: 0, bytes: 0, expired: 0, purged: 0 } }]
  }

  close (): void {
    this.#closed = true
    this.#wipeLater?.cancel()
  }

  /** Alone, without the log, nobody knows what of it was purged. */
  #worthAsking (): boolean {
    return this.available && (this.#options.strict || this.log.state !== 'alone')
  }

  /** Brings the log up to date where that is needed. It travels together with the read, so it costs no time of its own. */
  #caughtUp (): MaybePromise<boolean> {
    return this.#options.strict || this.log.state !== 'current' ? this.log.sync() : true
  }

  async #readOne (key: string, counted: boolean): Promise<Entry | undefined> {
    const caughtUp = this.#caughtUp()
    let entry: Entry | undefined
    try {
      const reply = await this.#options.client.callBuffer(this.#readCommand(key))
      const opened = caughtUp === true || await caughtUp ? this.#open(key, { ok: true, reply }) : undefined
      entry = opened instanceof Promise ? await opened : opened
    } catch (error) {
      this.#failed(error)
    }
    if (counted) this.#count(entry)
    return entry
  }

  async #readAll (keys: readonly string[], counted: boolean): Promise<Array<Entry | undefined>> {
    const found = await this.#fetch(keys)
    if (counted) for (const entry of found) this.#count(entry)
    return found
  }

  async #fetch (keys: readonly string[]): Promise<Array<Entry | undefined>> {
    const caughtUp = this.#caughtUp()
    const outcomes = await this.#batch(keys.map((key) => this.#readCommand(key)), VALUES_PER_BATCH)
    if (caughtUp !== true && !await caughtUp) return keys.map(() => undefined)
    return await inTurns(outcomes, VALUES_PER_BATCH, 1, (portion, from) => {
      const opened = portion.map((outcome, index) => this.#open(keys[from + index] ?? '', outcome))
      return opened.some(isPromise) ? Promise.all(opened) : opened as Array<Entry | undefined>
    })
  }

  /** GETRANGE is a GET that cannot bring more than we are willing to take. */
  #readCommand (key: string): RedisCommand {
    return ['GETRANGE', this.#keys.entry(key), 0, this.#lastByte]
  }

  #open (key: string, outcome: RedisOutcome): MaybePromise<Entry | undefined> {
    if (!outcome.ok) {
      this.#failed(outcome.error)
      return undefined
    }
    if (!Buffer.isBuffer(outcome.reply) || outcome.reply.length === 0) return undefined
    const decoded = this.#codec.decode(key, outcome.reply, this.#moment())
    return decoded instanceof Promise ? decoded.then((done) => this.#valid(key, done)) : this.#valid(key, decoded)
  }

  #valid (key: string, decoded: Decoded): Entry | undefined {
    if (!decoded.ok) {
      this.#faults[decoded.reason]++
      return undefined
    }
    const { entry } = decoded
    const validity = this.log.judgeShared(key, entry.marks, entry.asOf)
    if (validity === 'purged') return undefined
    // A soft purge from before this process began is known to have been, but not when; the entry then counts as stale from the start.
    const accepted = validity === 'soft' ? softened(entry, this.log.softPurgedAtMs(key, entry.marks, 0) ?? entry.storedAtMs) : entry
    return staleUntilMs(accepted) > this.clock.now() ? accepted : undefined
  }

  #verdictOf (verdict: WriteVerdict, outcome: RedisOutcome | undefined): WriteVerdict {
    if (outcome === undefined) return verdict
    if (!outcome.ok) {
      this.#failed(outcome.error)
      if (outcome.error.message.startsWith('OOM')) this.#fullUntilMs = this.clock.now() + PAUSE_WHEN_FULL_MS
      return verdict.stored ? refused('unavailable') : verdict
    }
    // The script answers 0 when the lease is gone: a purge took it, or it ran out and another process loads.
    return verdict.stored && Number(outcome.reply) === 0 ? refused('purged') : verdict
  }

  /** Outcomes in the places of their commands; none where there was nothing to do, or nobody to do it. */
  async #send (commands: ReadonlyArray<RedisCommand | undefined>): Promise<Array<RedisOutcome | undefined>> {
    const real = commands.filter((command) => command !== undefined)
    const outcomes = real.length > 0 && this.available ? await this.#batch(real, BATCH) : []
    let next = 0
    return commands.map((command) => command === undefined ? undefined : outcomes[next++])
  }

  async #batch (commands: readonly RedisCommand[], size: number): Promise<RedisOutcome[]> {
    return await inTurns(commands, size, BATCHES_UNDER_WAY, async (portion) => await this.#options.client.batch(portion))
  }

  async #wipe (): Promise<void> {
    const { client, retryAttempts: attempts, retryDelayMs: baseMs } = this.#options
    const step = async (from: string | undefined): Promise<string | undefined> => {
      const page = await client.scan(from, this.#keys.entries, 1000)
      const freed = await this.#batch(page.keys.map((name): RedisCommand => ['UNLINK', name]), BATCH)
      for (const outcome of freed) if (!outcome.ok) throw outcome.error
      return page.cursor
    }
    let cursor: string | undefined
    do {
      if (!this.available) {
        this.#wipeAgain()
        return
      }
      try {
        cursor = await retry(async () => await step(cursor), { clock: this.clock, attempts, baseMs, random: Math.random, transient: () => !this.#closed })
      } catch (error) {
        this.#failed(error)
        // A replica that somebody still takes for the master is one for a moment.
        if (!isReply(error) || CANNOT_WORK.test(error.message) || error.message.startsWith('READONLY')) this.#wipeAgain()
        return
      }
    } while (cursor !== undefined)
  }

  #wipeAgain (): void {
    if (!this.#closed) this.#wipeLater = this.clock.after(WIPE_AGAIN_MS, () => { void this.wipe() })
  }

  #moment (): Moment {
    return { localMs: this.clock.now(), sharedMs: this.#options.sharedNow() }
  }

  #count (entry: Entry | undefined): void {
    if (entry === undefined) this.#misses++
    else if (entry.kind !== 'variants') this.#hits++
  }

  #failed (error: unknown): void {
    this.#faults[isReply(error) ? 'reply' : 'unavailable']++
  }
}
