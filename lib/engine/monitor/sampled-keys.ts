import type { EvictionCause, LookupResult } from '../../events.ts'
import type { StoreHistory } from './ttl-study.ts'

type Whereabouts = 'never-stored' | 'held' | 'made-room'

/** What is known of a sampled key. */
export interface SampledKey {
  /** The hash of the key. */
  readonly id: number
  /** Short, for maps; it stands for the key. */
  readonly name: string
  /** Where it stands among the last used; see `stack-distances.ts`. */
  place: number
  whereabouts: Whereabouts
  /** Where it was before the store that came last, until a lookup has told its result. */
  before: Whereabouts | undefined
  history: StoreHistory | undefined
}

/** The sampled keys, in bounded memory: those that were looked up lately, and a number of others that were stored. */
export class SampledKeys {
  readonly #keys = new Map<number, SampledKey>()
  readonly #limit: number

  constructor (limit: number) {
    this.#limit = limit
  }

  /** What is known of a key that is looked up; from now on something is. */
  lookedUp (id: number): SampledKey {
    return this.#keys.get(id) ?? this.#add(id)
  }

  /** The same for a key that is stored; of those that nobody looks up, only so many are followed. */
  stored (id: number): SampledKey | undefined {
    return this.#keys.get(id) ?? (this.#keys.size < this.#limit ? this.#add(id) : undefined)
  }

  find (id: number): SampledKey | undefined {
    return this.#keys.get(id)
  }

  forget ({ id }: SampledKey): void {
    this.#keys.delete(id)
  }

  #add (id: number): SampledKey {
    const key: SampledKey = { id, name: id.toString(36), place: 0, whereabouts: 'never-stored', before: undefined, history: undefined }
    this.#keys.set(id, key)
    return key
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
