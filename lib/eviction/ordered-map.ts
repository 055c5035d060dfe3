import { LRUCache } from 'lru-cache'
import type { BoundedMap, Bounds, Held, OnDisplaced } from './bounded-map.ts'
import { Displaced } from './displaced.ts'
import { partOf, roomOfPart } from './parts.ts'
import { Slots } from './slots.ts'

/**
 * LRU and FIFO are one list that differs in a single point: whether a read moves the node to the end. Both stand on
 * lru-cache, which brings map and list in one; this is the only file that imports it.
 *
 * A large one is cut into parts (`parts.ts`), each a list of its own, and who makes room is still the oldest of all: each
 * use has a number, and the oldest of all is the first of the list whose first has the lowest number. What is at the
 * front of a list can only become younger, so a number remembered for it is a lower bound, and is looked up again
 * only when it is the lowest.
 */
export class OrderedMap<N extends Held> implements BoundedMap<N> {
  readonly #bounds: Bounds
  readonly #readsMove: boolean
  readonly #parts: number
  readonly #lists: Array<LRUCache<string, N> | undefined> = []
  /** The list, where there is only one: it needs no hash and no numbers. */
  readonly #only: LRUCache<string, N> | undefined
  /** The number of the last use, by slot. */
  readonly #usedAt: Float64Array
  /** By part: the first in its list has this number or a higher one. */
  readonly #firstAtLeast: Float64Array
  readonly #slots = new Slots<N>()
  readonly #displaced: Displaced<N>
  // lru-cache makes an options object for every call that brings none; a hit must not allocate.
  readonly #options = {}
  readonly #oneOfMax = { size: 1 }
  #uses = 0
  #bytes = 0
  #cause: 'entries' | 'bytes' = 'bytes'

  constructor (readsMove: boolean, bounds: Bounds, onDisplaced: OnDisplaced<N>, parts: number) {
    this.#bounds = bounds
    this.#readsMove = readsMove
    this.#displaced = new Displaced(onDisplaced)
    this.#parts = parts
    this.#only = parts === 1 ? this.#makeList() : undefined
    this.#usedAt = new Float64Array(parts === 1 ? 0 : bounds.maxEntries)
    this.#firstAtLeast = new Float64Array(parts).fill(Infinity)
  }

  get size (): number {
    return this.#slots.taken
  }

  get bytes (): number {
    return this.#bytes
  }

  get reach (): number {
    return this.#slots.reach
  }

  get (key: string): N | undefined {
    if (!this.#readsMove) return this.peek(key)
    if (this.#only !== undefined) return this.#only.get(key, this.#options)
    const node = this.#lists[partOf(key, this.#parts)]?.get(key, this.#options)
    if (node !== undefined) this.#usedAt[node.slot] = ++this.#uses
    return node
  }

  peek (key: string): N | undefined {
    const list = this.#only ?? this.#lists[partOf(key, this.#parts)]
    return list?.peek(key, this.#options)
  }

  add (node: N): void {
    const { maxEntries, maxBytes } = this.#bounds
    while (this.size >= maxEntries) this.#drop('entries')
    while (this.#bytes + node.bytes > maxBytes) this.#drop('bytes')
    this.#slots.take(node)
    this.#bytes += node.bytes
    this.#cause = 'entries'
    this.#append(node)
    this.#displaced.report()
  }

  reweigh (node: N, bytes: number): void {
    this.#bytes += bytes - node.bytes
    node.bytes = bytes
    this.#append(node)
    while (this.#bytes > this.#bounds.maxBytes) this.#drop('bytes')
    this.#displaced.report()
  }

  remove (node: N): void {
    const list = this.#only ?? this.#lists[partOf(node.key, this.#parts)]
    list?.delete(node.key)
    this.#release(node)
  }

  at (slot: number): N | undefined {
    return this.#slots.at(slot)
  }

  /** Puts the node at the end of its list. If a flood of keys with one hash has filled that, its first makes room. */
  #append (node: N): void {
    if (this.#only !== undefined) {
      this.#only.set(node.key, node, this.#oneOfMax)
      return
    }
    const part = partOf(node.key, this.#parts)
    const list = this.#lists[part] ??= this.#makeList()
    this.#usedAt[node.slot] = ++this.#uses
    if (list.size === 0) this.#firstAtLeast[part] = this.#uses
    list.set(node.key, node, this.#oneOfMax)
  }

  #drop (cause: 'entries' | 'bytes'): void {
    this.#cause = cause
    const list = this.#only ?? this.#lists[this.#partOfOldest()]
    list?.pop()
  }

  #partOfOldest (): number {
    for (;;) {
      const part = indexOfLeast(this.#firstAtLeast)
      const first = this.#lists[part]?.rvalues().next().value
      const usedAt = first === undefined ? Infinity : this.#usedAt[first.slot] ?? 0
      if (usedAt === this.#firstAtLeast[part]) return part
      this.#firstAtLeast[part] = usedAt
    }
  }

  #release (node: N): void {
    this.#slots.release(node)
    this.#bytes -= node.bytes
  }

  #makeList (): LRUCache<string, N> {
    return new LRUCache({
      // Given `max`, lru-cache reserves and fills its arrays at once: 0.1 s for a million entries, at each wipe again.
      maxSize: roomOfPart(this.#bounds.maxEntries, this.#parts),
      dispose: (node, _key, reason) => {
        if (reason !== 'evict') return
        this.#release(node)
        this.#displaced.note(node, this.#cause)
      }
    })
  }
}

function indexOfLeast (numbers: Float64Array): number {
  let least = Infinity
  let index = 0
  for (let at = 0; at < numbers.length; at++) {
    const number = numbers[at] ?? Infinity
    if (number >= least) continue
    least = number
    index = at
  }
  return index
}
