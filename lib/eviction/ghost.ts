import { powerOfTwo } from './key-hash.ts'

const WAYS = 4

/**
 * Remembers the hashes of what left last, in fixed memory and without their keys: 8 bytes a place, a table of small
 * buckets in which the oldest fingerprint gives way. A place counts only while fewer than `capacity` others have come
 * after it, so the table needs no clearing. Two keys of one hash are mistaken for each other, which costs one
 * undeserved promotion.
 */
export class Ghost {
  readonly #hashes: Int32Array
  readonly #addedAt: Uint32Array
  readonly #bucketMask: number
  readonly #capacity: number
  #added = 0

  constructor (capacity: number) {
    const places = powerOfTwo(capacity * 1.5)
    this.#hashes = new Int32Array(Math.max(places, WAYS))
    this.#addedAt = new Uint32Array(this.#hashes.length)
    this.#bucketMask = this.#hashes.length / WAYS - 1
    this.#capacity = capacity
  }

  add (hash: number): void {
    const start = (hash & this.#bucketMask) * WAYS
    let oldest = start
    for (let place = start; place < start + WAYS; place++) {
      if (this.#age(place) > this.#age(oldest)) oldest = place
    }
    this.#added = (this.#added + 1) >>> 0
    this.#hashes[oldest] = hash
    this.#addedAt[oldest] = this.#added
  }

  /** Whether the hash is remembered; forgets it. */
  take (hash: number): boolean {
    const start = (hash & this.#bucketMask) * WAYS
    for (let place = start; place < start + WAYS; place++) {
      if (this.#hashes[place] !== hash || this.#age(place) >= this.#capacity) continue
      this.#addedAt[place] = 0
      return true
    }
    return false
  }

  #age (place: number): number {
    const addedAt = this.#addedAt[place] ?? 0
    return addedAt === 0 ? 0xffffffff : (this.#added - addedAt) >>> 0
  }
}
