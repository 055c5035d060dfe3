import { hash } from 'node:crypto'
import type { Clock, EpochMs } from '../../clock.ts'
import type { ValueSerializer } from '../../codec/serializer.ts'
import type { CacheEvents } from '../../events.ts'
import type { EvictionPolicyName } from '../../eviction/create-bounded-map.ts'
import { HotKeys, type HotKeyFigures } from './hot-keys.ts'
import { MissRatioCurve } from './miss-ratio-curve.ts'
import { sampleHash } from './sample-hash.ts'
import { SampledKeys, noteEvicted, noteStored, wasHelpless, type SampledKey } from './sampled-keys.ts'
import { ShadowPolicies, type PolicyFigures } from './shadow-policies.ts'
import { StackDistances } from './stack-distances.ts'
import { TtlStudy, type TtlFigures } from './ttl-study.ts'

/** So many sampled keys stand for a full memory: with them the curve is right to two points on recorded traffic. */
const SAMPLED_ENTRIES = 320
const MAX_RATE = 1 / 2
/** The curve reaches to this many times the memory that is. */
const REACH = 8
/** Where nothing is kept in memory there is no size to try; a part of the keys is followed for what else can be told. */
const RATE_WITHOUT_MEMORY = 1 / 8
const REACH_WITHOUT_MEMORY = 4096
/** Shadow policies are compared with each other, so a part of the sample is enough. */
const SHADOW_ENTRIES = 128

const HASHES = 2 ** 32
const MAX_ROUTES = 100
/** Larger values are not compared: that would cost more than it tells. */
const MAX_DIGEST_BYTES = 64 * 1024
const HALF_LIFE_MS = 1_800_000
const HOUR_MS = 3_600_000

/** How often the sampled keys of a route were asked for, and how often again. */
export interface RouteReuse { route: string, lookups: number, repeated: number }

/** What other sizes and other policies of the memory would have come to. */
export interface MemoryFindings {
  readonly curve: MissRatioCurve
  readonly policies: readonly PolicyFigures[]
}

/** What the study has found. */
export interface Findings {
  /** `undefined` where nothing is kept in memory. */
  readonly memory: MemoryFindings | undefined
  /** Lookups of followed keys that it rests on, older ones counting less. */
  readonly sampled: number
  readonly ttls: readonly TtlFigures[]
  readonly routes: readonly RouteReuse[]
  readonly hottest: HotKeyFigures
}

export interface StudyParts {
  readonly clock: Clock
  readonly serializer: ValueSerializer
  /** A number from 0 up to 1. */
  readonly random: () => number
  /** The memory, if there is one: how many entries fit, and which makes room. */
  readonly memory: { readonly entries: number, readonly policy: EvictionPolicyName } | undefined
}

/**
 * Follows a sample of the keys through all that happens to them, to tell what another size, policy or lifetime would have
 * come to. Other keys cost a hash and a comparison. Older observations fade, with a half-life of half an hour.
 */
export class TrafficStudy {
  readonly #parts: StudyParts
  readonly #rate: number
  readonly #threshold: number
  readonly #shadowThreshold: number
  readonly #keys: SampledKeys
  readonly #distances: StackDistances<SampledKey>
  readonly #curve: MissRatioCurve | undefined
  readonly #shadows: ShadowPolicies | undefined
  readonly #ttls = new TtlStudy()
  readonly #routes = new Map<string, RouteReuse>()
  readonly #hot: HotKeys
  #sampled = 0
  #agedAtMs: EpochMs
  #hours = 0

  constructor (parts: StudyParts) {
    this.#parts = parts
    this.#hot = new HotKeys(parts.random)
    const { memory } = parts
    this.#rate = memory === undefined ? RATE_WITHOUT_MEMORY : Math.min(MAX_RATE, SAMPLED_ENTRIES / memory.entries)
    const reach = memory === undefined ? REACH_WITHOUT_MEMORY : Math.max(1, Math.ceil(memory.entries * this.#rate * REACH))
    this.#threshold = this.#rate * HASHES
    this.#shadowThreshold = this.shadowRate * HASHES
    this.#keys = new SampledKeys(2 * reach)
    this.#distances = new StackDistances(reach, (key) => { this.#keys.forget(key) })
    if (memory !== undefined) {
      this.#curve = new MissRatioCurve(this.#rate, reach)
      this.#shadows = new ShadowPolicies(this.shadowRate, memory.entries, memory.policy)
    }
    this.#agedAtMs = parts.clock.now()
  }

  /** The share of keys that shadow policies see. */
  get shadowRate (): number {
    const { memory } = this.#parts
    return memory === undefined ? 0 : Math.min(this.#rate, SHADOW_ENTRIES / memory.entries)
  }

  /** Of what is only observed counts how it would have ended. */
  lookup ({ key, result: told, route, observed }: CacheEvents['lookup']): void {
    const result = observed ?? told
    if (result === 'bypass') return
    this.#curve?.count()
    this.#shadows?.count()
    this.#hot.lookedUp(key)
    const id = sampleHash(key)
    if (id >= this.#threshold) return
    this.#sampled++
    const sampled = this.#keys.lookedUp(id)
    const distance = this.#distances.use(sampled)
    const helpless = wasHelpless(sampled, result, route !== undefined)
    this.#curve?.use(helpless ? Infinity : distance)
    if (id < this.#shadowThreshold) this.#shadows?.use(sampled.name, helpless)
    // What was there already had been asked for before, if only at another instance.
    if (route !== undefined) this.#noteReuse(route, distance !== Infinity || result !== 'miss')
  }

  stored ({ key, bytes, atMs, route, freshForMs, value }: CacheEvents['store']): void {
    const id = sampleHash(key)
    if (id >= this.#threshold) return
    const sampled = this.#keys.stored(id)
    if (sampled === undefined) return
    noteStored(sampled)
    const digest = freshForMs === undefined || bytes > MAX_DIGEST_BYTES ? undefined : this.#digestOf(value)
    sampled.history = digest === undefined || freshForMs === undefined
      ? undefined
      : this.#ttls.stored(route ?? familyOf(key), atMs, freshForMs, digest, sampled.history)
  }

  evicted ({ key, cause }: CacheEvents['evict']): void {
    const sampled = this.#keys.find(sampleHash(key))
    if (sampled !== undefined) noteEvicted(sampled, cause)
  }

  findings (): Findings {
    const nowMs = this.#parts.clock.now()
    const hours = Math.max(this.#hours + (nowMs - this.#agedAtMs) / HOUR_MS, 1 / 60)
    return {
      memory: this.#curve && this.#shadows && { curve: this.#curve, policies: this.#shadows.figures() },
      sampled: this.#sampled,
      ttls: this.#ttls.figures(this.#rate, hours),
      routes: [...this.#routes.values()],
      hottest: this.#hot.figures()
    }
  }

  /** To be called now and then: lets old observations fade. */
  age (): void {
    const nowMs = this.#parts.clock.now()
    if (nowMs - this.#agedAtMs < HALF_LIFE_MS) return
    this.#hours = (this.#hours + (nowMs - this.#agedAtMs) / HOUR_MS) / 2
    this.#agedAtMs = nowMs
    this.#curve?.age()
    this.#shadows?.age()
    this.#sampled /= 2
    this.#ttls.age()
    this.#hot.age()
    for (const reuse of this.#routes.values()) {
      reuse.lookups /= 2
      reuse.repeated /= 2
    }
  }

  #noteReuse (route: string, repeated: boolean): void {
    let reuse = this.#routes.get(route)
    if (reuse === undefined) {
      if (this.#routes.size >= MAX_ROUTES) return
      reuse = { route, lookups: 0, repeated: 0 }
      this.#routes.set(route, reuse)
    }
    reuse.lookups++
    if (repeated) reuse.repeated++
  }

  #digestOf (value: unknown): string | undefined {
    try {
      const bytes = Buffer.isBuffer(value) ? value : this.#parts.serializer.encode(value)
      return hash('sha1', bytes, 'base64url').slice(0, 16)
    } catch {
      // Values that are kept as they are have no bytes to compare.
      return undefined
    }
  }
}

/** Keys of data that begin alike are of one kind. */
function familyOf (key: string): string {
  const end = key.indexOf(':')
  return end === -1 ? key : key.slice(0, end) + ':*'
}
