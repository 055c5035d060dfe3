import { FrequencySketch } from './frequency-sketch.ts'
import { keyHash } from './key-hash.ts'
import type { Policy } from './policy.ts'
import { SlotLinks, SlotQueue } from './slot-queue.ts'

const WINDOW_SHARE = 0.2
const PROTECTED_SHARE = 0.8

const WINDOW = 0
const PROBATION = 1
const PROTECTED = 2

/**
 * W-TinyLFU (Einziger et al., 2017): newcomers pass a small LRU window. Who falls out of it gets into the main part
 * only by having been asked for more often, of late, than the one who would have to leave for it; a sketch keeps that
 * count for keys that are not held as well. The main part is a segmented LRU: who is used there is protected.
 */
export class WTinyLfuPolicy implements Policy {
  readonly #queues: [window: SlotQueue, probation: SlotQueue, guarded: SlotQueue]
  readonly #queueOf: Uint8Array
  readonly #hashes: Int32Array
  readonly #sketch: FrequencySketch

  constructor (slots: number) {
    const links = new SlotLinks(slots)
    this.#queues = [new SlotQueue(links), new SlotQueue(links), new SlotQueue(links)]
    this.#queueOf = new Uint8Array(slots)
    this.#hashes = new Int32Array(slots)
    this.#sketch = new FrequencySketch(slots)
  }

  admitted (slot: number, key: string): void {
    const hash = keyHash(key)
    this.#hashes[slot] = hash
    this.#sketch.increment(hash)
    this.#enter(slot, WINDOW)
    const [window] = this.#queues
    if (window.length > Math.max(1, this.#held() * WINDOW_SHARE)) this.#move(window.first, PROBATION)
  }

  used (slot: number): void {
    this.#sketch.increment(this.#hashes[slot] ?? 0)
    const [window, probation, guarded] = this.#queues
    switch (this.#queueOf[slot]) {
      case WINDOW: window.moveToEnd(slot); break
      case PROTECTED: guarded.moveToEnd(slot); break
      default:
        this.#move(slot, PROTECTED)
        if (guarded.length > (probation.length + guarded.length) * PROTECTED_SHARE) this.#move(guarded.first, PROBATION)
    }
  }

  removed (slot: number): void {
    this.#queueOfSlot(slot).remove(slot)
  }

  displace (): number {
    const [window, probation, guarded] = this.#queues
    const settled = probation.length > 0 ? probation.first : guarded.first
    const newcomer = window.first
    // Before its newcomer is admitted, a window that has its full share is about to overflow.
    const windowFull = window.length + 1 > Math.max(1, this.#held() * WINDOW_SHARE)
    const leaves = settled === -1 || (windowFull && newcomer !== -1 && !this.#beats(newcomer, settled)) ? newcomer : settled
    this.removed(leaves)
    if (windowFull && leaves === settled && newcomer !== -1) this.#move(newcomer, PROBATION)
    return leaves
  }

  #beats (newcomer: number, settled: number): boolean {
    return this.#sketch.count(this.#hashes[newcomer] ?? 0) > this.#sketch.count(this.#hashes[settled] ?? 0)
  }

  #held (): number {
    return this.#queues[0].length + this.#queues[1].length + this.#queues[2].length
  }

  #queueOfSlot (slot: number): SlotQueue {
    const [window, probation, guarded] = this.#queues
    const queue = this.#queueOf[slot]
    return queue === WINDOW ? window : queue === PROBATION ? probation : guarded
  }

  #move (slot: number, to: 0 | 1 | 2): void {
    this.#queueOfSlot(slot).remove(slot)
    this.#enter(slot, to)
  }

  #enter (slot: number, queue: 0 | 1 | 2): void {
    this.#queueOf[slot] = queue
    this.#queues[queue].push(slot)
  }
}
