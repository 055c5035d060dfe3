import { PagedArray } from './paged-array.ts'
import type { Policy } from './policy.ts'
import { SlotLinks, SlotQueue } from './slot-queue.ts'

/** The slots of one priority, oldest first, between the next lower and the next higher priority in use. */
interface Rank { readonly priority: number, readonly slots: SlotQueue, lower: Rank | undefined, higher: Rank | undefined }

/** Beyond this many uses an entry gains nothing; it bounds how many ranks a hit may have to pass. */
const MAX_USES = 64

/**
 * Least frequently used, with dynamic aging (LFU-DA, Arlitt et al. 2000): an entry's priority is the number of its
 * uses plus the age of the cache when it was last used, and the age is the priority of the last entry that had to go.
 * What was popular last week thus loses to what is used today.
 *
 * Without aging this is the textbook LFU, in which an old favourite never leaves.
 */
export class LfuPolicy implements Policy {
  readonly #links: SlotLinks
  readonly #uses: Uint32Array
  readonly #rankOf = new PagedArray<Rank | undefined>()
  readonly #aging: boolean
  readonly #maxUses: number
  #lowest: Rank | undefined
  #age = 0

  constructor (slots: number, aging: boolean) {
    this.#links = new SlotLinks(slots)
    this.#uses = new Uint32Array(slots)
    this.#aging = aging
    this.#maxUses = aging ? MAX_USES : 0xffffffff
  }

  admitted (slot: number): void {
    this.#uses[slot] = 1
    this.#place(slot, this.#age + 1, undefined)
  }

  used (slot: number): void {
    const rank = this.#rankOf.get(slot)
    if (rank === undefined) return
    const uses = Math.min((this.#uses[slot] ?? 0) + 1, this.#maxUses)
    this.#uses[slot] = uses
    const priority = this.#age + uses
    if (priority === rank.priority) {
      rank.slots.moveToEnd(slot)
      return
    }
    rank.slots.remove(slot)
    this.#place(slot, priority, rank)
    if (rank.slots.length === 0) this.#unlink(rank)
  }

  removed (slot: number): void {
    const rank = this.#rankOf.get(slot)
    if (rank === undefined) return
    rank.slots.remove(slot)
    this.#rankOf.set(slot, undefined)
    if (rank.slots.length === 0) this.#unlink(rank)
  }

  displace (): number {
    const rank = this.#lowest
    if (rank === undefined) return -1
    const slot = rank.slots.first
    if (this.#aging) this.#age = rank.priority
    this.removed(slot)
    return slot
  }

  /** Puts the slot into the rank of its priority, which lies above `from`. */
  #place (slot: number, priority: number, from: Rank | undefined): void {
    let lower = from
    let higher = from === undefined ? this.#lowest : from.higher
    while (higher !== undefined && higher.priority < priority) {
      lower = higher
      higher = higher.higher
    }
    const rank = higher?.priority === priority ? higher : this.#insert(priority, lower, higher)
    rank.slots.push(slot)
    this.#rankOf.set(slot, rank)
  }

  #insert (priority: number, lower: Rank | undefined, higher: Rank | undefined): Rank {
    const rank: Rank = { priority, slots: new SlotQueue(this.#links), lower, higher }
    if (lower === undefined) this.#lowest = rank
    else lower.higher = rank
    if (higher !== undefined) higher.lower = rank
    return rank
  }

  #unlink (rank: Rank): void {
    if (rank.lower === undefined) this.#lowest = rank.higher
    else rank.lower.higher = rank.higher
    if (rank.higher !== undefined) rank.higher.lower = rank.lower
  }
}
