import type { EvictionCause, LookupResult } from '../../events.ts'
import type { StoreHistory } from './ttl-study.ts'

type Whereabouts = 'never-stored' | 'held' | 'made-room'

/** What is known of a sampled key. */
export interface SampledKey {
  /** Short, for maps; it stands for the key. */
  readonly name: string
  whereabouts: Whereabouts
  /** Where it was before the store that came last, until a lookup has told its result. */
  before: Whereabouts | undefined
  history: StoreHistory | undefined
}

/** The sampled keys, in bounded memory, and whether a larger memory would have helped where they were missed. */
export class SampledKeys {
  readonly #keys = new Map<number, SampledKey>()
  readonly #limit: number

  constructor (limit: number) {
    this.#limit = limit
  }

  /** What is known of a key by its hash; from now on something is. */
  of (id: number): SampledKey {
    const known = this.#keys.get(id)
    if (known !== undefined) return known
    if (this.#keys.size >= this.#limit) {
      const oldest = this.#keys.keys().next()
      if (oldest.done !== true) this.#keys.delete(oldest.value)
    }
    const key: SampledKey = { name: id.toString(36), whereabouts: 'never-stored', before: undefined, history: undefined }
    this.#keys.set(id, key)
    return key
  }

  find (id: number): SampledKey | undefined {
    return this.#keys.get(id)
  }

  forget (id: number): void {
    this.#keys.delete(id)
  }
}

export function noteStored (key: SampledKey): void {
  key.before = key.whereabouts
  key.whereabouts = 'held'
}

export function noteEvicted (key: SampledKey, cause: EvictionCause): void {
  if (cause !== 'entries' && cause !== 'bytes') return
  key.whereabouts = 'made-room'
  key.before = undefined
}

/**
 * Whether a lookup ended as it would have with memory without end: the entry was expired, purged or never stored.
 * Lookups of data are told after the load that they led to, those of responses before.
 */
export function wasHelpless (key: SampledKey, result: LookupResult, ofResponse: boolean): boolean {
  const at = ofResponse ? key.whereabouts : key.before ?? key.whereabouts
  key.before = undefined
  if (result !== 'miss') {
    // It may have come back from Redis, which nobody tells.
    key.whereabouts = 'held'
    return false
  }
  return at !== 'made-room'
}
