import { channel, type Channel } from 'node:diagnostics_channel'
import type { EpochMs, Milliseconds } from './clock.ts'
import { errors, shown } from './errors.ts'
import { callListener } from './listening.ts'

/** Why an entry left a store without anybody asking. */
export type EvictionCause = 'entries' | 'bytes' | 'expired' | 'purged'

/**
 * How far a purge got when its promise resolved. `everywhere`: every process that shares the cache will
 * honour it, for the shared log has it, or there is no other (strategy `memory`); `here`: it holds in this process, and is queued
 * until the shared log can be reached.
 */
export type PurgeReach = 'everywhere' | 'here'

/** How a lookup ended. */
export type LookupResult = 'hit' | 'stale' | 'miss' | 'bypass'

/** How the lookup of a route that is only observed would have ended. */
export type WouldBe = Exclude<LookupResult, 'bypass'>

/**
 * What became of comparing a stored response, within its ttl and touched by no purge, with what its handler answers now.
 * `same`. `failed`: the handler did. `purged`: they differ, and a purge came meanwhile, as it should. `outdated`: what it is
 * made of has changed, and no purge told. `wrong-key`: it depends on something of the request that is not in the key.
 * `unrepeatable`: the handler never answers the same twice. `different`: they differ, and which of these it is cannot be told.
 */
export type ComparisonResult = 'same' | 'failed' | 'purged' | 'outdated' | 'wrong-key' | 'unrepeatable' | 'different'

/** What the monitor watches: shares from 0 to 1, and the mean time of an answer in seconds. */
export type AlertName = 'hitRate' | 'errorRate' | 'responseTime'

/** What the engine says about itself. Metrics, monitor and logs listen; the engine never knows who does. */
export interface CacheEvents {
  /** A data lookup (`get`, `getOrSet` …) or, with `route`, the lookup of a response; `observed` is how it would have ended. */
  lookup: { key: string, result: LookupResult, atMs: EpochMs, durationMs: Milliseconds, namespace: string, route?: string, reason?: string, observed?: WouldBe }
  /** A loader or a handler ran. `ok: false` when it threw, or ran over its deadline. */
  load: { key: string, ok: boolean, atMs: EpochMs, durationMs: Milliseconds, route?: string }
  /** A caller waited for somebody else's load instead of starting its own. */
  coalesced: { key: string, route?: string }
  /** A stored response was compared with what its handler answers now: on an observed route, or to verify a hit. */
  compare: { key: string, route: string, result: ComparisonResult, storedAtMs: EpochMs, ageMs: Milliseconds }
  /** Something was stored. `value` is the body of a response or the private form of a data value: to compare, not to keep. */
  store: { key: string, bytes: number, kind: 'data' | 'response' | 'variants', atMs: EpochMs, route?: string, freshForMs?: Milliseconds, value?: unknown }
  /** A value was not stored, and why. */
  refuse: { key: string, reason: string, route?: string }
  evict: { key: string, cause: EvictionCause, atMs: EpochMs, bytes: number }
  invalidate: { kinds: ReadonlyArray<'keys' | 'tags' | 'patterns' | 'paths' | 'everything'>, soft: boolean, reach: PurgeReach }
  /** Redis has come and its log of purges has been read; or it has gone, or refuses something. Meanwhile the cache works without it. */
  connection: { ready: boolean, where: string, trouble: string }
  /** A figure has crossed its threshold, or has recovered. Told by the `CacheMonitor`. */
  alert: { name: AlertName, subject: string, state: 'raised' | 'cleared', value: number, threshold: number, sample: number, message: string }
  /** A fault that the caller did not see: a background refresh that failed, a listener that threw. */
  fault: { where: string, error: unknown }
}

export type CacheEventName = keyof CacheEvents
export type CacheListener<E extends CacheEventName> = (event: CacheEvents[E]) => void

/** The channel of `node:diagnostics_channel` on which an event of every cache in the process is published. */
const named = (name: CacheEventName): Channel => channel(`fastify-response-cache:${name}`)

/** For whoever watches a process without knowing its caches. A channel to which nobody has subscribed costs one look. */
export const EVENT_CHANNELS: Readonly<Record<CacheEventName, Channel>> = {
  lookup: named('lookup'),
  load: named('load'),
  coalesced: named('coalesced'),
  compare: named('compare'),
  store: named('store'),
  refuse: named('refuse'),
  evict: named('evict'),
  invalidate: named('invalidate'),
  connection: named('connection'),
  alert: named('alert'),
  fault: named('fault')
}

/** What happens with every request: it can be heard of later, many at a time. */
type Gathered = 'lookup' | 'load' | 'store' | 'evict'

const RARE: ReadonlySet<CacheEventName> = new Set<Exclude<CacheEventName, Gathered>>(['coalesced', 'compare', 'refuse', 'invalidate', 'connection', 'alert', 'fault'])

/** Is told of events in the order in which they were, some time after. */
export type EventGatherer = { readonly [E in Gathered]?: CacheListener<E> }

/** So many events are counted at once: enough that the code which counts is warm, few enough that they are no garbage of age. */
const GATHERED = 64

/** An event that holds more than this is not kept waiting, nor is one of which nobody knows how much that is. */
const MAX_WAITING_BYTES = 65_536

const isHeavy = (event: CacheEvents[Gathered]): boolean => 'value' in event && (event.bytes > MAX_WAITING_BYTES || (typeof event.value === 'object' && !(event.value instanceof Uint8Array)))

interface Untold { readonly name: Gathered, readonly event: CacheEvents[Gathered] }

type Listeners = { [E in CacheEventName]?: ReadonlyArray<CacheListener<E>> }

/**
 * A typed emitter whose listeners cannot throw into the speaker: what they throw is told to the listeners of `fault`.
 * Lists are replaced, never changed, so that speaking, which happens on every hit, copies nothing. What is said is also
 * published for the whole process, on `EVENT_CHANNELS`.
 */
export class CacheEventHub {
  readonly #listeners: Listeners = {}
  #gatherers: readonly EventGatherer[] = []
  /** What any of them wants to hear. */
  #gathered: ReadonlySet<CacheEventName> = new Set()
  #untold: Untold[] = []

  /** @throws FST_ERR_CACHE_OPTION for an event that does not exist, or a listener that cannot be called */
  on<E extends CacheEventName> (name: E, listener: CacheListener<E>): this {
    if (!Object.hasOwn(EVENT_CHANNELS, name)) throw new errors.FST_ERR_CACHE_OPTION('name', shown(name), `one of ${Object.keys(EVENT_CHANNELS).join(', ')}`)
    if (typeof listener !== 'function') throw new errors.FST_ERR_CACHE_OPTION('listener', shown(listener), 'a function')
    this.#set(name, [...this.#of(name), listener])
    return this
  }

  off<E extends CacheEventName> (name: E, listener: CacheListener<E>): this {
    const at = this.#of(name).lastIndexOf(listener)
    if (at !== -1) this.#set(name, this.#of(name).toSpliced(at, 1))
    return this
  }

  /**
   * Hears of events later, many at a time: for whoever only counts, on a path that is taken by every request. Nobody is told of
   * anything rarer before the gatherers know of all until then; who wants to read what they count calls `settle` first.
   * @returns what ends it
   */
  gather (gatherer: EventGatherer): () => void {
    this.#setGatherers([...this.#gatherers, gatherer])
    return () => { this.#setGatherers(this.#gatherers.filter((other) => other !== gatherer)) }
  }

  /** Tells gatherers of the events that they have not heard of yet. */
  settle (): void {
    const untold = this.#untold
    if (untold.length === 0) return
    this.#untold = []
    for (const gatherer of this.#gatherers) {
      try {
        for (const { name, event } of untold) (gatherer[name] as CacheListener<Gathered> | undefined)?.(event)
      } catch (error) {
        this.emit('fault', { where: 'gatherer of events', error })
      }
    }
  }

  /** Whether building the event is worth it. */
  heard (name: CacheEventName): boolean {
    return this.#listeners[name] !== undefined || this.#gathered.has(name) || EVENT_CHANNELS[name].hasSubscribers
  }

  emit<E extends CacheEventName> (name: E, event: CacheEvents[E]): void {
    if (RARE.has(name)) this.settle()
    else if (this.#gathered.has(name)) this.#keep(name as Gathered, event as CacheEvents[Gathered])
    for (const listener of this.#of(name)) {
      callListener(() => listener(event), (error) => {
        if (name !== 'fault') this.emit('fault', { where: `listener of '${name}'`, error })
      })
    }
    const published = EVENT_CHANNELS[name]
    if (published.hasSubscribers) published.publish(event)
  }

  close (): void {
    this.#setGatherers([])
    for (const name in this.#listeners) Reflect.deleteProperty(this.#listeners, name)
  }

  #keep (name: Gathered, event: CacheEvents[Gathered]): void {
    this.#untold.push({ name, event })
    if (this.#untold.length === GATHERED || isHeavy(event)) this.settle()
  }

  #setGatherers (gatherers: readonly EventGatherer[]): void {
    this.settle()
    this.#gatherers = gatherers
    this.#gathered = new Set(gatherers.flatMap((gatherer) => Object.keys(gatherer) as Gathered[]))
  }

  #of<E extends CacheEventName> (name: E): ReadonlyArray<CacheListener<E>> {
    return this.#listeners[name] ?? []
  }

  #set<E extends CacheEventName> (name: E, listeners: ReadonlyArray<CacheListener<E>>): void {
    if (listeners.length === 0) Reflect.deleteProperty(this.#listeners, name)
    else this.#listeners[name] = listeners as Listeners[E]
  }
}
