import type { BoundedMap } from '../../eviction/bounded-map.ts'
import { createBoundedMap, type EvictionPolicyName } from '../../eviction/create-bounded-map.ts'

interface Shadow { readonly key: string, bytes: number, slot: number }

/** What a policy would have come to on the same lookups. */
export interface PolicyFigures { policy: EvictionPolicyName, hitRate: number }

const POLICIES: readonly EvictionPolicyName[] = ['lru', 'lfu', 's3-fifo', 'w-tinylfu']

/** Smaller ones tell nothing: S3-FIFO falls back to LRU there. */
export const MIN_SHADOW_ENTRIES = 100

/**
 * Small caches without values, one for each policy, that see the sampled keys only. One that is smaller by the same share
 * as its keys behaves like the whole (Waldspurger et al., "Cache Modeling and Optimization using Miniature Simulations",
 * USENIX ATC 2017).
 */
export class ShadowPolicies {
  readonly #rate: number
  readonly #caches: ReadonlyArray<{ readonly policy: EvictionPolicyName, readonly map: BoundedMap<Shadow>, hits: number }>
  #total = 0
  #sampled = 0

  /** @param current the policy in use, to compare with */
  constructor (rate: number, entries: number, current: EvictionPolicyName) {
    this.#rate = rate
    const maxEntries = Math.max(1, Math.round(entries * rate))
    this.#caches = [...new Set([current, ...POLICIES])].map((policy) => ({ policy, map: createBoundedMap<Shadow>(policy, { maxEntries, maxBytes: Number.MAX_SAFE_INTEGER }, () => {}, true), hits: 0 }))
  }

  count (): void {
    this.#total++
  }

  /** @param helpless whether no cache could have answered, because the entry was expired, purged or never stored */
  use (key: string, helpless: boolean): void {
    this.#sampled++
    for (const cache of this.#caches) {
      if (cache.map.get(key) === undefined) cache.map.add({ key, bytes: 1, slot: 0 })
      else if (!helpless) cache.hits++
    }
  }

  figures (): PolicyFigures[] {
    const expected = this.#total * this.#rate
    return this.#caches.map(({ policy, hits }) => ({ policy, hitRate: expected === 0 ? 0 : Math.min(1, Math.max(0, (hits + expected - this.#sampled) / expected)) }))
  }

  /** Halves the weight of all that was seen so far. */
  age (): void {
    this.#total /= 2
    this.#sampled /= 2
    for (const cache of this.#caches) cache.hits /= 2
  }
}
