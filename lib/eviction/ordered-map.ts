import { LRUCache } from 'lru-cache'
import type { BoundedMap, Bounds, Held, OnDisplaced } from './bounded-map.ts'
import { Displaced } from './displaced.ts'
import { Slots } from './slots.ts'

/**
 * LRU and FIFO are one list that differs in a single point: whether a read moves the node to the end. Both stand on
 * lru-cache, which brings map, list and bounds in one; this is the only file that imports it.
 */
export class OrderedMap<N extends Held> implements BoundedMap<N> {
  readonly #list: LRUCache<string, N>
  readonly #slots = new Slots<N>()
  readonly #displaced: Displaced<N>
  readonly #readsMove: boolean
  readonly #maxEntries: number
  // lru-cache makes an options object for every call that brings none; a hit must not allocate.
  readonly #options = {}
  #cause: 'entries' | 'bytes' = 'bytes'

  constructor (readsMove: boolean, bounds: Bounds, onDisplaced: OnDisplaced<N>) {
    this.#readsMove = readsMove
    this.#displaced = new Displaced(onDisplaced)
    this.#maxEntries = bounds.maxEntries
    // Given `max`, lru-cache reserves and fills its arrays at once: 0.1 s for a million entries, at each wipe again.
    this.#list = new LRUCache({
      maxSize: bounds.maxBytes,
      dispose: (node, _key, reason) => {
        if (reason !== 'evict') return
        this.#slots.release(node)
        this.#displaced.note(node, this.#cause)
      }
    })
  }

  get size (): number {
    return this.#list.size
  }

  get bytes (): number {
    return this.#list.calculatedSize
  }

  get reach (): number {
    return this.#slots.reach
  }

  get (key: string): N | undefined {
    return this.#readsMove ? this.#list.get(key, this.#options) : this.#list.peek(key, this.#options)
  }

  peek (key: string): N | undefined {
    return this.#list.peek(key, this.#options)
  }

  add (node: N): void {
    this.#cause = 'entries'
    while (this.#list.size >= this.#maxEntries) this.#list.pop()
    this.#cause = 'bytes'
    this.#slots.take(node)
    this.#list.set(node.key, node, { size: node.bytes })
    this.#displaced.report()
  }

  reweigh (node: N, bytes: number): void {
    // Setting the same object again would leave the old size in the books of lru-cache.
    this.#list.delete(node.key)
    node.bytes = bytes
    this.#list.set(node.key, node, { size: bytes })
    this.#displaced.report()
  }

  remove (node: N): void {
    this.#list.delete(node.key)
    this.#slots.release(node)
  }

  at (slot: number): N | undefined {
    return this.#slots.at(slot)
  }
}
