import { isDeepStrictEqual } from 'node:util'
import type { Seconds } from '../clock.ts'
import { errors, shown } from '../errors.ts'
import { checkDataKey } from '../keyspace/name.ts'
import { Fill, type FillOptions, type FillVerdict } from './fill.ts'
import { checkHost, type CacheHost } from './host.ts'
import { checkSourceOptions, expiryMs, SourceSchedule, type StaticSource, type StaticSourceOptions } from './static-source.ts'
import { callListener } from '../listening.ts'

const DAY: Seconds = 86_400
/** How long the last good value of a source may stand in while the source fails. */
const KEPT: Seconds = 365 * DAY
const PREFIX = 'static:'
/** How often a source is read anew because a purge came while it was read. */
const MAX_READINGS = 3

/** Told of a value that differs from the one before. */
export type StaticDataListener<T = unknown> = (value: T, previous: T) => void

interface Named { readonly source: StaticSource, readonly options: StaticSourceOptions, readonly schedule: SourceSchedule }

const nothingAnswered = (): Error => new errors.FST_ERR_CACHE_VALUE('what the source answered', 'undefined')
const nameOf = (key: string): string => PREFIX + checkDataKey(key)

/**
 * Data that changes rarely: settings, categories, rates. Its keys are those of the cache with `static:` in front, so
 * that purges and dependencies apply to them as to all others.
 *
 * ```ts
 * const statics = new StaticDataCache(cache)
 * statics.addSource('categories', () => database.categories(), { refreshEvery: 600 })
 * const categories = await statics.getStaticData<Category[]>('categories')
 * ```
 */
export class StaticDataCache {
  readonly #host: CacheHost
  readonly #sources = new Map<string, Named>()
  readonly #listeners = new Map<string, Set<StaticDataListener>>()
  /** The last value seen under each key that somebody listens to. */
  readonly #seen = new Map<string, unknown>()

  /** @throws FST_ERR_CACHE_OPTION */
  constructor (manager: CacheHost) {
    this.#host = checkHost(manager)
  }

  /**
   * Stores a value. @param ttl seconds
   * @returns whether it was stored
   * @throws FST_ERR_CACHE_KEY, FST_ERR_CACHE_VALUE, FST_ERR_CACHE_OPTION
   */
  async cacheStaticData (key: string, data: unknown, ttl: Seconds = DAY): Promise<boolean> {
    await this.#lookBack(key)
    const stored = await this.#host.set(nameOf(key), data, { ttl })
    if (stored) this.#saw(key, this.#normal(data))
    return stored
  }

  /**
   * The value under a key. A source of this name is asked when there is none; a value past its time is served while the
   * source is asked again, and for as long as it fails, or answers `undefined`.
   * @throws what the source throws while there is no earlier value
   */
  async getStaticData<T = unknown> (key: string): Promise<T | undefined> {
    const named = this.#sources.get(key)
    const value = named === undefined
      ? await this.#host.get(nameOf(key))
      : await this.#host.getOrSet(nameOf(key), async () => await this.#ask(key, named.source), { ...this.#storeOptions(named.options), ttl: () => this.#ttlOf(named.options), jitter: 0 })
    if (value !== undefined) this.#saw(key, value)
    return value as T | undefined
  }

  /** Purges a value, and with it all that was built from it. @returns whether there was one */
  async invalidateStaticData (key: string): Promise<boolean> {
    await this.#lookBack(key)
    return await this.#host.delete(nameOf(key))
  }

  /**
   * Asks the source now. A new value is a change like `set`; the same value only lives longer. When the source fails, or
   * answers `undefined`, the last good value stays, and the failure is told as a `fault`.
   * @param dataSource @default the source of this name
   * @returns whether the source gave a value that is now stored
   * @throws FST_ERR_CACHE_OPTION when there is no source
   */
  async refreshStaticData (key: string, dataSource?: StaticSource): Promise<boolean> {
    const named = this.#sources.get(key)
    const source = dataSource ?? named?.source
    if (typeof source !== 'function') throw new errors.FST_ERR_CACHE_OPTION('dataSource', shown(dataSource), 'a function, or left out for a key that addSource() knows')
    try {
      return await this.#refresh(key, source, named?.options ?? {})
    } catch (error) {
      this.#host.parts.events.emit('fault', { where: `static data '${key}'`, error })
      return false
    }
  }

  /**
   * Names the source of a key. @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_OPTION_CONFLICT
   */
  addSource<T> (name: string, source: StaticSource<T>, options: StaticSourceOptions = {}): this {
    if (typeof source !== 'function') throw new errors.FST_ERR_CACHE_OPTION('source', shown(source), 'a function')
    if (this.#sources.has(name)) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(`addSource(${shown(name)})`, 'the source of that name', 'it was added before')
    checkDataKey(name)
    const { clock, random } = this.#host.parts
    const schedule = new SourceSchedule(clock, random, checkSourceOptions(options), async () => await this.refreshStaticData(name))
    this.#sources.set(name, { source, options, schedule })
    return this
  }

  /**
   * Calls the listener when the value of a key has become another one: at a refresh, or when it is next read after it
   * changed elsewhere. The first value is no change. @returns ends it
   */
  onChange<T = unknown> (key: string, listener: StaticDataListener<T>): () => void {
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners.add(listener as StaticDataListener))
    return () => { listeners.delete(listener as StaticDataListener) }
  }

  /** Ends all refreshing, when what runs has come to its end. The data stays in the cache. */
  async close (): Promise<void> {
    const schedules = [...this.#sources.values()].map(({ schedule }) => schedule)
    this.#sources.clear()
    this.#listeners.clear()
    await Promise.all(schedules.map(async (schedule) => { await schedule.stop() }))
  }

  async #refresh (key: string, source: StaticSource, options: StaticSourceOptions): Promise<boolean> {
    const { parts } = this.#host
    const name = nameOf(key)
    for (let reading = 1; ; reading++) {
      const fill = new Fill(parts)
      // What is held is looked at behind the ticket: a value that has come and gone since then is refused, not taken for the same.
      const held = await this.#lookBack(key)
      const value = await parts.dependencies.apart(() => fill.read(source))
      if (value === undefined) throw nothingAnswered()
      const normal = this.#normal(value)
      const ways: FillOptions<unknown> = { ...this.#storeOptions(options), ttl: this.#ttlOf(options) }
      const verdict: FillVerdict = held !== undefined && isDeepStrictEqual(held, normal)
        ? (await fill.store([[name, value]], ways))[0] as FillVerdict
        : await fill.replace(name, value, ways)
      if (verdict.stored) this.#saw(key, normal)
      if (verdict.stored || verdict.reason !== 'purged' || reading === MAX_READINGS) return verdict.stored
    }
  }

  /** To have nothing, after there has been something, is a failure of the source. */
  async #ask (key: string, source: StaticSource): Promise<unknown> {
    const value = await source()
    if (value === undefined && await this.#lookBack(key) !== undefined) throw nothingAnswered()
    return value
  }

  #storeOptions ({ tags = [] }: StaticSourceOptions): FillOptions<unknown> {
    return { tags, staleWhileRevalidate: KEPT, staleIfError: KEPT }
  }

  #ttlOf ({ ttl = DAY, expiresAt }: StaticSourceOptions): Seconds {
    const nowMs = this.#host.parts.clock.now()
    return expiresAt === undefined ? ttl : Math.min(ttl, (expiryMs(expiresAt, nowMs) - nowMs) / 1000)
  }

  #normal (value: unknown): unknown {
    return this.#host.parts.serializer.normalise(value).value
  }

  /** The value that the fleet holds now, stale or not, without counting as a lookup. */
  async #lookBack (key: string): Promise<unknown> {
    const held = await this.#host.parts.store.readShared(nameOf(key))
    if (held !== undefined) this.#saw(key, held.value)
    return held?.value
  }

  #saw (key: string, value: unknown): void {
    const listeners = this.#listeners.get(key)
    if (listeners === undefined) return
    const previous = this.#seen.get(key)
    this.#seen.set(key, value)
    if (previous === undefined || previous === value || isDeepStrictEqual(previous, value)) return
    const { events, serializer } = this.#host.parts
    for (const listener of listeners) {
      callListener(() => listener(serializer.view(value), serializer.view(previous)), (error) => { events.emit('fault', { where: `listener to static data '${key}'`, error }) })
    }
  }
}
