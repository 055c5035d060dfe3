import { isDue, type Entry } from '../entry.ts'
import { errors, shown } from '../errors.ts'
import type { LookupResult } from '../events.ts'
import { checkDataKey, checkKey, checkNamespace } from '../keyspace/name.ts'
import { escapeGlob } from '../keyspace/pattern.ts'
import type { Purge, PurgeResult } from '../purge.ts'
import type { CacheStats, StatsCounter } from '../stats.ts'
import { DataLoads, type LoadCause, type Loaded } from './data-loads.ts'
import { writeValues } from './data-writes.ts'
import { Flights } from './flights.ts'
import { tipOnceHeard } from './heard.ts'
import { describeEntries, previewPurge, type EntriesOptions, type EntryInfo, type PurgePreview } from './listing.ts'
import { checkLoader, checkLoadOptions, storeOptionsOf, type Loader, type LoadOptions, type StoreOptions } from './load-options.ts'
import { loadMany, pairsOf, type ManyLoader } from './many.ts'
import type { EngineParts } from './parts.ts'
import { nameRecord, purgeKinds, toPurgeRecord, type Naming } from './purge-record.ts'

/** What namespaces of one cache have in common. */
export interface Shared { readonly parts: EngineParts, readonly loads: DataLoads, readonly flights: Flights<Loaded>, readonly background: Set<Promise<unknown>>, closed: boolean }

const nobody = (): void => {}

/**
 * Data lookups, loads and purges over one store and one invalidation log. It keeps a promise that stores alone cannot:
 * no call returns a value older than the last purge that was complete when the call was made.
 */
export class CacheEngine {
  readonly #shared: Shared
  readonly #stats: StatsCounter
  readonly #naming: Naming
  /** The name of this namespace; empty for the whole cache. */
  readonly namespaceName: string

  constructor (parts: EngineParts, parent?: { shared: Shared, name: string }) {
    this.#shared = parent?.shared ?? { parts, loads: new DataLoads(parts), flights: new Flights(), background: new Set(), closed: false }
    this.namespaceName = parent?.name ?? ''
    this.#stats = parent === undefined ? parts.stats : parts.stats.part()
    const prefix = parent === undefined ? '' : parent.name + ':'
    this.#naming = { namespace: this.namespaceName, key: (key) => prefix + key, tag: (tag) => prefix + tag, pattern: (pattern) => prefix === '' ? pattern : escapeGlob(prefix) + pattern }
  }

  /** The fresh value under `key`; `undefined` when there is none. @throws FST_ERR_CACHE_KEY */
  async get<T = unknown> (key: string): Promise<T | undefined> {
    const { parts } = this.#shared
    const name = this.#asked(key)
    const startedAt = performance.now()
    const found = await parts.store.readFresh(name, parts.warming.current === undefined)
    this.#told(name, found === undefined ? 'miss' : 'hit', startedAt)
    return this.#handOutFresh(name, found)
  }

  /**
   * Stores a value. Whoever is loading this key right now cannot overwrite it with what they read before.
   * @param ttlOrOptions seconds, or options. @default the strategy's ttl
   * @returns whether it was stored; `undefined` values, and a ttl of 0, are not
   * @throws FST_ERR_CACHE_KEY, FST_ERR_CACHE_TAG, FST_ERR_CACHE_VALUE, FST_ERR_CACHE_OPTION
   */
  async set<T> (key: string, value: T, ttlOrOptions?: number | StoreOptions<T>): Promise<boolean> {
    const [stored] = await this.setMany([[key, value]], ttlOrOptions)
    return stored === true
  }

  /** `set` for many at once, in one round trip. Answers in the order of the items. @throws as `set` does */
  async setMany<T> (items: Iterable<readonly [key: string, value: T]>, ttlOrOptions?: number | StoreOptions<T>): Promise<boolean[]> {
    const { parts, loads } = this.#shared
    this.#open('set')
    const options = storeOptionsOf(ttlOrOptions)
    checkLoadOptions(options)
    const list = pairsOf(items).map(([key, value]) => [this.#key(key), value] as const)
    return list.length === 0 ? [] : await writeValues(parts, loads, list, options, this.#naming.tag)
  }

  /** Takes the key out, and with it everything that was built from it. @returns whether it was stored */
  async delete (key: string): Promise<boolean> {
    return await this.deleteMany([key]) > 0
  }

  /** @returns how many of the keys were stored */
  async deleteMany (keys: readonly string[]): Promise<number> {
    const { parts } = this.#shared
    this.#open('delete')
    const names = this.#keys(keys)
    if (names.length === 0) return 0
    // Both at once: whoever waits, waits for the slower of the two. The purge holds here before anything is freed.
    const [, removed] = await Promise.all([parts.log.append(nameRecord(names)), parts.store.remove(names)])
    this.#stats.add('deletes', removed)
    return removed
  }

  /** Whether a fresh value is stored under `key`. */
  async exists (key: string): Promise<boolean> {
    return await this.#shared.parts.store.readFresh(this.#asked(key), false) !== undefined
  }

  /** Empties the cache, or this namespace of it. */
  async clear (): Promise<boolean> {
    await this.invalidate({ everything: true })
    if (this.namespaceName === '') await this.#shared.parts.store.wipe()
    return true
  }

  /** The fresh values of many keys, in one round trip; `undefined` where there is none. */
  async getMany<T = unknown> (keys: readonly string[]): Promise<Array<T | undefined>> {
    const { parts } = this.#shared
    const names = this.#keys(keys)
    const startedAt = performance.now()
    const found = await parts.store.readManyFresh(names, parts.warming.current === undefined)
    return names.map((name, index) => {
      this.#told(name, found[index] === undefined ? 'miss' : 'hit', startedAt)
      return this.#handOutFresh(name, found[index])
    })
  }

  /**
   * The value under `key`, loaded and stored when there is none. Callers that ask while a load runs share it, unless a
   * purge came in between. What it answers is frozen, and has the same types on a miss and on a hit.
   * @throws what the loader throws when nothing stale may stand in, FST_ERR_CACHE_LOAD_TIMEOUT,
   *   FST_ERR_CACHE_LOAD_CYCLE, FST_ERR_CACHE_KEY, FST_ERR_CACHE_VALUE, FST_ERR_CACHE_OPTION
   */
  async getOrSet<T> (key: string, loader: Loader<T>, options: LoadOptions<T> = {}): Promise<T> {
    checkLoader(loader)
    checkLoadOptions(options)
    return await this.#getOrSet(key, loader, options, nobody)
  }

  /** @param decided told as soon as it is known whether this call loads, waits for another's load, or needs none */
  async #getOrSet<T> (key: string, loader: Loader<T>, options: LoadOptions<T>, decided: () => void): Promise<T> {
    const { parts, flights: { begun } } = this.#shared
    const name = this.#asked(key)
    const startedAt = performance.now()
    const askedAt = parts.log.tip
    const askedAtMs = parts.clock.now()
    const read = parts.store.read(name, parts.warming.current === undefined)
    const found = read instanceof Promise ? await read : read
    const nowMs = read instanceof Promise ? parts.clock.now() : askedAtMs
    if (found !== undefined && nowMs < found.staleWhileRevalidateUntilMs) decided()
    if (found !== undefined && nowMs < found.freshUntilMs) {
      this.#told(name, 'hit', startedAt, nowMs)
      if (isDue(found, options.refreshAhead ?? 0, nowMs)) this.#refresh(name, loader, options, found)
      return this.#handOut(name, found)
    }
    if (found !== undefined && nowMs < found.staleWhileRevalidateUntilMs) {
      this.#told(name, 'stale', startedAt, nowMs)
      this.#refresh(name, loader, options, found)
      return this.#handOut(name, found, true)
    }
    this.#open('loading')
    try {
      const loaded = await this.#load(name, loader, options, begun, { askedAtMs, found }, decided)
      this.#told(name, 'miss', startedAt)
      parts.dependencies.note(name, loaded.marks, loaded.stale)
      return parts.serializer.view(loaded.value) as T
    } catch (error) {
      // A purge that came during the load has taken the stale copy as well.
      if (found === undefined || nowMs >= found.staleIfErrorUntilMs || parts.log.judge(name, found.marks, askedAt) === 'purged') {
        this.#told(name, 'miss', startedAt)
        // What is built without the value depends on it too.
        parts.dependencies.note(name)
        throw error
      }
      this.#told(name, 'stale', startedAt)
      return this.#handOut(name, found, true)
    }
  }

  /**
   * `getOrSet` for many keys: one call of `loader` for all that are missing. The loader answers a Map or an object by
   * key, or an array in the order of the keys it was given; a key that it leaves out is `undefined`.
   */
  async getOrSetMany<T> (keys: readonly string[], loader: ManyLoader<T>, options: LoadOptions<T> = {}): Promise<Array<T | undefined>> {
    checkLoader(loader)
    checkLoadOptions(options)
    this.#keys(keys)
    return await loadMany(async (key, load, decided) => await this.#getOrSet(key, load, options as LoadOptions<T | undefined>, decided), keys, loader, this.#shared.parts.dependencies, this.#naming.key)
  }

  /**
   * Makes invalid, in this process before the call returns and everywhere before its promise resolves, whatever the
   * purge names. Costs the same whether it touches one entry or a million.
   * @throws FST_ERR_CACHE_PURGE_EMPTY, FST_ERR_CACHE_PATTERN, FST_ERR_CACHE_KEY, FST_ERR_CACHE_TAG
   */
  async invalidate (purge: Purge): Promise<PurgeResult> {
    const { parts } = this.#shared
    this.#open('invalidate')
    const record = toPurgeRecord(purge, this.#naming)
    const freed = record.soft === true ? [] : purge.keys ?? []
    const [reach] = await Promise.all([parts.log.append(record), freed.length > 0 && parts.store.remove(freed.map(this.#naming.key))])
    this.#stats.add('invalidations')
    if (parts.events.heard('invalidate')) parts.events.emit('invalidate', { kinds: purgeKinds(purge), soft: record.soft === true, reach })
    return { reach }
  }

  /** What a purge would touch, without doing it. Walks the whole store. */
  async previewInvalidation (purge: Purge): Promise<PurgePreview> {
    return await previewPurge(this.#shared.parts, toPurgeRecord(purge, this.#naming))
  }

  /** What is stored, page by page as the iteration goes on; purged entries are left out. @throws FST_ERR_CACHE_PATTERN, FST_ERR_CACHE_OPTION_UNKNOWN */
  entries (options: EntriesOptions = {}): AsyncGenerator<EntryInfo, void, undefined> {
    return describeEntries(this.#shared.parts, options, this.#naming.pattern)
  }

  /** A view in which every key and tag begins with `name:`. It has its own statistics, which count in the whole too. */
  namespace (name: string): CacheEngine {
    return new CacheEngine(this.#shared.parts, { shared: this.#shared, name: checkNamespace(name, this.#naming.key) })
  }

  getStats (): CacheStats {
    const tiers = this.#shared.parts.store.usage()
    const memory = tiers.find(({ tier }) => tier === 'memory') ?? tiers[0]
    return this.#stats.snapshot({ evictions: { entries: 0, bytes: 0, expired: 0, purged: 0, ...memory?.evictions }, entries: memory?.entries ?? 0, bytes: memory?.bytes ?? 0 })
  }

  /**
   * Gives up the loads that still run, finishes what is being written and closes the store. Closing twice is closing once.
   * From then on the cache is empty: whoever only reads finds nothing, so that requests under way can end; what would
   * store, load or purge fails with FST_ERR_CACHE_CLOSED.
   */
  async close (): Promise<void> {
    const { parts, loads, background } = this.#shared
    if (this.#shared.closed) return
    this.#shared.closed = true
    await Promise.allSettled([loads.close(), ...background])
    await parts.leases?.close()
    await parts.store.close()
    await parts.log.close()
    await parts.close()
    parts.events.close()
  }

  #key (key: string): string {
    return checkDataKey(this.#naming.key(checkKey(key)))
  }

  #asked (key: string): string {
    return this.#shared.parts.dependencies.asked(this.#key(key))
  }

  #keys (keys: readonly string[]): string[] {
    if (!Array.isArray(keys)) throw new errors.FST_ERR_CACHE_OPTION('keys', shown(keys), 'an array of keys')
    return keys.map((key: string) => this.#key(key))
  }

  #open (operation: string): void {
    if (this.#shared.closed) throw new errors.FST_ERR_CACHE_CLOSED(operation)
  }

  #handOutFresh<T> (name: string, entry: Entry | undefined): T | undefined {
    this.#shared.parts.dependencies.note(name, entry?.marks)
    return entry && this.#shared.parts.serializer.view(entry.value) as T
  }

  #handOut<T> (name: string, entry: Entry, stale = false): T {
    this.#shared.parts.dependencies.note(name, entry.marks, stale)
    return this.#shared.parts.serializer.view(entry.value) as T
  }

  #told (key: string, result: LookupResult, startedAt: number, atMs = this.#shared.parts.clock.now()): void {
    const { events, warming } = this.#shared.parts
    if (warming.current !== undefined) return
    this.#stats.add(result === 'miss' ? 'misses' : 'hits')
    if (result === 'stale') this.#stats.add('staleHits')
    if (events.heard('lookup')) events.emit('lookup', { key, result, atMs, durationMs: performance.now() - startedAt, namespace: this.namespaceName })
  }

  #begin<T> (name: string, loader: Loader<T>, options: LoadOptions<T>, cause: Omit<LoadCause, 'ticket'>): { at: number, result: Promise<Loaded> } {
    const ticket = this.#shared.parts.log.ticket()
    return { at: ticket.at, result: this.#shared.loads.load(name, this.#naming.tag, loader, options, { ...cause, ticket }) }
  }

  async #load<T> (name: string, loader: Loader<T>, options: LoadOptions<T>, since: number, { askedAtMs, found }: Omit<LoadCause, 'ticket' | 'renews'>, decided: () => void): Promise<Loaded> {
    const { parts, flights } = this.#shared
    if (parts.dependencies.isLoading(name)) throw new errors.FST_ERR_CACHE_LOAD_CYCLE(name)
    return await flights.join(name, () => this.#begin(name, loader, options, { askedAtMs, found, renews: false, onBusy: decided }), {
      since,
      heard: () => tipOnceHeard(parts, askedAtMs),
      overtaken: (loaded, at) => parts.log.judge(name, loaded.marks, at) !== 'valid',
      onWait: () => {
        decided()
        this.#stats.add('coalescedLoads')
        if (parts.events.heard('coalesced')) parts.events.emit('coalesced', { key: name })
      }
    })
  }

  /** One load in the background, of which the caller learns nothing. */
  #refresh<T> (name: string, loader: Loader<T>, options: LoadOptions<T>, found: Entry): void {
    const { parts, flights, background } = this.#shared
    if (this.#shared.closed || flights.has(name)) return
    const job: Promise<unknown> = parts.dependencies.apart(() => flights.lead(name, () => this.#begin(name, loader, options, { askedAtMs: parts.clock.now(), found, renews: true })))
      .catch((error: unknown) => { parts.events.emit('fault', { where: 'background refresh', error }) })
      .finally(() => { background.delete(job) })
    background.add(job)
  }
}
