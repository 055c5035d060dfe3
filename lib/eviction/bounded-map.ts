/** What a bounded map holds. The map sets `slot` and, in `reweigh`, `bytes`. */
export interface Held { readonly key: string, bytes: number, slot: number }

export interface Bounds {
  /** A positive integer. */
  readonly maxEntries: number
  /** A positive integer. */
  readonly maxBytes: number
}

/** Told about a node that had to make room, after it is gone; the cause is the bound that was reached. */
export type OnDisplaced<N> = (node: N, cause: 'entries' | 'bytes') => void

/**
 * A map that never holds more than its bounds allow, and whose policy says who makes room. It knows nothing of time,
 * purges or figures. A node may weigh at most `maxBytes`: the caller refuses what is larger.
 */
export interface BoundedMap<N extends Held> {
  readonly size: number
  readonly bytes: number
  /** The node of a key, counted as a use. */
  get: (key: string) => N | undefined
  /** The same without counting. */
  peek: (key: string) => N | undefined
  /** Takes a node whose key is not held. */
  add: (node: N) => void
  /** A held node got a new value of this size. */
  reweigh: (node: N, bytes: number) => void
  remove: (node: N) => void
  /** Slots are numbered from 0 to below `reach`; a node keeps its slot as long as it is held. */
  readonly reach: number
  at: (slot: number) => N | undefined
}
