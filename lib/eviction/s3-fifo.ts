import { Ghost } from './ghost.ts'
import { keyHash } from './key-hash.ts'
import type { Policy } from './policy.ts'
import { SlotLinks, SlotQueue } from './slot-queue.ts'

const SMALL_SHARE = 0.1
const MAX_USES = 3
const USES_TO_STAY = 2

const SMALL = 0

/**
 * S3-FIFO (Yang et al., SOSP 2023): three queues and no move on a hit. Newcomers stand in a small queue; who was used
 * twice there goes on to the main queue, the others leave early, and only their hashes are kept. Who comes back while
 * its hash is remembered starts in the main queue, where each use buys one more round. One-hit wonders, most of what a
 * web cache sees, thus never push out what is wanted.
 *
 * Shares are taken of what is held, not of `maxEntries`, so they hold as well where the bytes are the bound.
 */
export class S3FifoPolicy implements Policy {
  readonly #small: SlotQueue
  readonly #main: SlotQueue
  readonly #hashes: Int32Array
  readonly #uses: Uint8Array
  readonly #queueOf: Uint8Array
  readonly #ghost: Ghost

  constructor (slots: number) {
    const links = new SlotLinks(slots)
    this.#small = new SlotQueue(links)
    this.#main = new SlotQueue(links)
    this.#hashes = new Int32Array(slots)
    this.#uses = new Uint8Array(slots)
    this.#queueOf = new Uint8Array(slots)
    this.#ghost = new Ghost(Math.ceil(slots * (1 - SMALL_SHARE)))
  }

  admitted (slot: number, key: string): void {
    const hash = keyHash(key)
    this.#hashes[slot] = hash
    this.#uses[slot] = 0
    if (this.#ghost.take(hash)) this.#enterMain(slot)
    else {
      this.#queueOf[slot] = SMALL
      this.#small.push(slot)
    }
  }

  used (slot: number): void {
    const uses = this.#uses[slot] ?? 0
    if (uses < MAX_USES) this.#uses[slot] = uses + 1
  }

  removed (slot: number): void {
    (this.#queueOf[slot] === SMALL ? this.#small : this.#main).remove(slot)
  }

  displace (): number {
    for (;;) {
      const held = this.#small.length + this.#main.length
      const fromSmall = this.#main.length === 0 || this.#small.length > held * SMALL_SHARE
      const slot = fromSmall ? this.#small.first : this.#main.first
      const uses = this.#uses[slot] ?? 0
      if (fromSmall) {
        this.#small.remove(slot)
        if (uses < USES_TO_STAY) {
          this.#ghost.add(this.#hashes[slot] ?? 0)
          return slot
        }
        this.#uses[slot] = 0
        this.#enterMain(slot)
      } else {
        if (uses === 0) {
          this.#main.remove(slot)
          return slot
        }
        this.#uses[slot] = uses - 1
        this.#main.moveToEnd(slot)
      }
    }
  }

  #enterMain (slot: number): void {
    this.#queueOf[slot] = SMALL + 1
    this.#main.push(slot)
  }
}
