import type { BoundedMap, Bounds, Held, OnDisplaced } from './bounded-map.ts'
import { Displaced } from './displaced.ts'
import { PartedMap } from './parted-map.ts'
import type { Policy } from './policy.ts'
import { Slots } from './slots.ts'

/** A bounded map that asks a policy of this folder who makes room. */
export class PolicedMap<N extends Held> implements BoundedMap<N> {
  readonly #nodes: PartedMap<N>
  readonly #slots = new Slots<N>()
  readonly #policy: Policy
  readonly #bounds: Bounds
  readonly #displaced: Displaced<N>
  #bytes = 0

  constructor (policy: Policy, bounds: Bounds, onDisplaced: OnDisplaced<N>, parts: number) {
    this.#nodes = new PartedMap(parts)
    this.#policy = policy
    this.#bounds = bounds
    this.#displaced = new Displaced(onDisplaced)
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
    const node = this.#nodes.get(key)
    if (node !== undefined) this.#policy.used(node.slot)
    return node
  }

  peek (key: string): N | undefined {
    return this.#nodes.get(key)
  }

  add (node: N): void {
    const { maxEntries, maxBytes } = this.#bounds
    // Room first: a newcomer has no record yet, and most policies would choose it.
    while (this.size >= maxEntries) this.#drop(this.#policy.displace(), 'entries')
    while (this.#bytes + node.bytes > maxBytes) this.#drop(this.#policy.displace(), 'bytes')
    this.#slots.take(node)
    this.#nodes.set(node.key, node)
    this.#bytes += node.bytes
    this.#policy.admitted(node.slot, node.key)
    this.#displaced.report()
  }

  reweigh (node: N, bytes: number): void {
    this.#bytes += bytes - node.bytes
    node.bytes = bytes
    this.#policy.used(node.slot)
    let chosen = false
    while (this.#bytes > this.#bounds.maxBytes) {
      const slot = this.#policy.displace()
      // What was written just now is not what makes room for itself.
      if (slot === node.slot) chosen = true
      else this.#drop(slot, 'bytes')
    }
    if (chosen) this.#policy.admitted(node.slot, node.key)
    this.#displaced.report()
  }

  remove (node: N): void {
    this.#policy.removed(node.slot)
    this.#forget(node)
  }

  at (slot: number): N | undefined {
    return this.#slots.at(slot)
  }

  #drop (slot: number, cause: 'entries' | 'bytes'): void {
    const node = this.#slots.at(slot)
    if (node === undefined) return
    this.#forget(node)
    this.#displaced.note(node, cause)
  }

  #forget (node: N): void {
    this.#nodes.delete(node.key)
    this.#slots.release(node)
    this.#bytes -= node.bytes
  }
}
