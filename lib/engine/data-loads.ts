import type { Entry } from '../entry.ts'
import { errors, shown } from '../errors.ts'
import { tagMark, type Mark } from '../keyspace/mark.ts'
import { checkTag } from '../keyspace/name.ts'
import { chain, type MaybePromise } from '../maybe-promise.ts'
import type { WriteVerdict } from '../ports/base-cache.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { toMs, type EpochMs } from '../clock.ts'
import { within } from '../resilience/within.ts'
import { DependencyScope } from './dependencies.ts'
import { beginFleetLoad } from './fleet-load.ts'
import { durationMs, ttlMsOf, type LoadContext, type LoadDefaults, type LoadOptions, type StoreOptions } from './load-options.ts'
import type { EngineParts } from './parts.ts'

/** What a load came to. `value` is what callers get, whether it was stored or not. */
export interface Loaded { readonly value: unknown, readonly marks: readonly Mark[], readonly stale: boolean }

/** Why a key is loaded. */
export interface LoadCause {
  readonly ticket: Ticket
  /** When the caller first asked Redis for the value. */
  readonly askedAtMs: EpochMs
  /** What was found and would not do, or is renewed before its time. */
  readonly found: Entry | undefined
  readonly renews: boolean
  /** Told when another process is loading it. */
  readonly onBusy?: () => void
}

/**
 * Runs loaders and stores what they return, under the ticket that was taken before they began: a purge that lands in
 * between makes the store refuse the value, and the caller gets it all the same.
 */
export class DataLoads {
  readonly #parts: EngineParts
  readonly #running = new Set<AbortController>()
  readonly #storing = new Set<Promise<unknown>>()

  constructor (parts: EngineParts) {
    this.#parts = parts
  }

  /**
   * Loads and stores the value of a key, or waits for another process that is doing so. Who asked gets the value when it
   * is stored for all, or when their patience with Redis is used up: then the storing ends without them. What brings
   * nothing to keep takes away what was found: it must not stand in for what is gone.
   */
  async load<T> (key: string, tagName: (tag: string) => string, loader: (context: LoadContext) => T | Promise<T>, options: LoadOptions<T>, cause: LoadCause): Promise<Loaded> {
    const { found, renews, askedAtMs, onBusy } = cause
    if (this.#parts.leases?.available !== true) {
      const { loaded, stored } = await this.#loadHere(key, tagName, loader, options, cause)
      if (stored instanceof Promise) await stored
      return loaded
    }
    const start = await beginFleetLoad(this.#parts, key, { look: async () => ({ key, entry: await this.#parts.store.readShared(key) }), renewed: renews ? found : undefined, askedAtMs, onBusy })
    if (start.found !== undefined) return { value: start.found.value, marks: start.found.marks, stale: false }
    const load = this.#loadHere(key, tagName, loader, options, { found, ticket: start.ticket })
    const storing: Promise<unknown> = load.then(async ({ stored }) => { await stored }, () => {}).finally(() => {
      this.#storing.delete(storing)
      // Nobody has to wait until Redis has heard of it.
      void start.release()
    })
    this.#storing.add(storing)
    const { loaded } = await load
    await within(storing, this.#parts.clock.now() + start.patienceMs, this.#parts.clock, undefined)
    return loaded
  }

  async #loadHere<T> (key: string, tagName: (tag: string) => string, loader: (context: LoadContext) => T | Promise<T>, options: LoadOptions<T>, { found, ticket }: Pick<LoadCause, 'found' | 'ticket'>): Promise<{ readonly loaded: Loaded, readonly stored: MaybePromise<void> }> {
    const { stats, events, clock, dependencies, defaults, random } = this.#parts
    const scope = new DependencyScope()
    const startedAt = performance.now()
    stats.add('loads')
    let value: T
    try {
      value = await this.#withDeadline(key, options.timeout === undefined ? defaults.loadTimeoutMs : toMs(options.timeout),
        async (signal) => await dependencies.trackLoad(scope, key, () => loader({ key, signal })))
    } catch (error) {
      stats.add('loadErrors')
      if (events.heard('load')) events.emit('load', { key, ok: false, atMs: clock.now(), durationMs: performance.now() - startedAt })
      throw error
    }
    const loadMs = performance.now() - startedAt
    if (events.heard('load')) events.emit('load', { key, ok: true, atMs: clock.now(), durationMs: loadMs })
    const takeAway = ({ marks }: Loaded): MaybePromise<void> => found === undefined || scope.stale ? undefined : this.#takeAway(key, { ...found, marks }, ticket)
    if (value === undefined) {
      const loaded: Loaded = { value, marks: [...scope.marks], stale: scope.stale }
      return { loaded, stored: takeAway(loaded) }
    }
    const jitter = 1 - (options.jitter ?? defaults.jitter) * random()
    const entry = this.entryOf(value, options, tagName, ticket, { loadMs, jitter, marks: scope.marks })
    const loaded: Loaded = { value: entry.value, marks: entry.marks, stale: scope.stale }
    if (scope.stale) this.#refuse(key, 'built-from-stale')
    else if (scope.tooMany) this.#refuse(key, 'too-many-marks')
    else if (entry.freshUntilMs > entry.storedAtMs) return { loaded, stored: chain(this.#parts.store.write(key, entry, ticket), (verdict) => { this.account(key, entry, verdict) }) }
    return { loaded, stored: takeAway(loaded) }
  }

  /**
   * A store that refuses what is over forgets the older copy. What others have stored since then is newer than the load, and
   * stays: by its purge, of which this process has to hear first.
   */
  #takeAway (key: string, found: Entry, ticket: Ticket): MaybePromise<void> {
    const { log, store } = this.#parts
    const { storedAtMs } = found
    const over: Entry = { ...found, freshUntilMs: storedAtMs, staleWhileRevalidateUntilMs: storedAtMs, staleIfErrorUntilMs: storedAtMs }
    return chain(log.sync(), () => log.judge(key, found.marks, ticket.at) === 'valid' ? chain(store.write(key, over, ticket), () => {}) : undefined)
  }

  /** The entry for a value, its options resolved. */
  entryOf<T> (value: T, options: StoreOptions<T>, tagName: (tag: string) => string, ticket: Ticket, load: { loadMs: number, jitter: number, marks: Iterable<Mark> }): Entry {
    const { defaults, clock, serializer } = this.#parts
    const ttlMs = Math.round(ttlMsOf(options, value, defaults.ttlMs) * load.jitter)
    const tags = typeof options.tags === 'function' ? listOfTags(options.tags(value)) : options.tags ?? []
    const normal = serializer.normalise(value)
    const nowMs = clock.now()
    const freshUntilMs = nowMs + ttlMs
    const windowMs = (name: 'staleWhileRevalidate' | 'staleIfError', fallbackMs: number): number => options[name] === undefined ? fallbackMs : durationMs(name, options[name])
    return {
      kind: 'data',
      value: normal.value,
      storedAtMs: nowMs,
      freshUntilMs,
      staleWhileRevalidateUntilMs: freshUntilMs + windowMs('staleWhileRevalidate', defaults.staleWhileRevalidateMs),
      staleIfErrorUntilMs: freshUntilMs + windowMs('staleIfError', defaults.staleIfErrorMs),
      marks: [...new Set([...tags.map((tag) => tagMark(tagName(checkTag(tag)))), ...load.marks])],
      asOf: ticket.asOf,
      bytes: normal.bytes,
      loadMs: load.loadMs
    }
  }

  /** Tells statistics and listeners what became of a write. */
  account (key: string, entry: Entry, verdict: WriteVerdict): void {
    const { stats, events, clock } = this.#parts
    if (verdict.stored) {
      stats.add('sets')
      if (events.heard('store')) events.emit('store', { key, bytes: entry.bytes, kind: entry.kind, atMs: clock.now(), freshForMs: entry.freshUntilMs - entry.storedAtMs, value: entry.value })
    } else {
      this.#refuse(key, verdict.reason)
    }
  }

  /** Tells every loader still running that nobody waits for it any more, and waits for what is being stored. */
  async close (): Promise<void> {
    for (const controller of this.#running) controller.abort(new errors.FST_ERR_CACHE_CLOSED('loading'))
    await Promise.allSettled(this.#storing)
  }

  #refuse (key: string, reason: string): void {
    this.#parts.stats.add('refusals')
    if (this.#parts.events.heard('refuse')) this.#parts.events.emit('refuse', { key, reason })
  }

  async #withDeadline<T> (key: string, timeoutMs: LoadDefaults['loadTimeoutMs'], run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    this.#running.add(controller)
    const aborted = new Promise<never>((_resolve, reject) => {
      controller.signal.addEventListener('abort', () => {
        const reason: Error = controller.signal.reason
        reject(reason)
      }, { once: true })
    })
    const timer = this.#parts.clock.after(timeoutMs, () => { controller.abort(new errors.FST_ERR_CACHE_LOAD_TIMEOUT(key, timeoutMs)) }, { keepAlive: true })
    try {
      return await Promise.race([run(controller.signal), aborted])
    } finally {
      timer.cancel()
      this.#running.delete(controller)
    }
  }
}

/** @throws FST_ERR_CACHE_OPTION */
export function listOfTags (answer: unknown): readonly string[] {
  if (!Array.isArray(answer)) throw new errors.FST_ERR_CACHE_OPTION('tags', `a function that answered ${shown(answer)}`, 'a function that answers an array of strings')
  return answer as readonly string[]
}
