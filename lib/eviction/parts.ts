import { keyHash, powerOfTwo } from './key-hash.ts'

/**
 * V8 copies a `Map` as a whole whenever it has grown or shrunk by half, and an array each time it has grown by half: a
 * pause that grows with what is held. So what may hold many is cut into parts, by the hash of the key. Up to here the
 * copy is too small to be felt, and a look-up is spared the hash.
 */
const WHOLE_ENTRIES = 16_384
const PART_ENTRIES = 8192

/** A part that is so many standard deviations above the average is not a matter of chance any more. */
const DEVIATIONS = 8

/** Into how many parts a map of so many entries is cut: one, or a power of two. */
export function partsFor (maxEntries: number): number {
  return maxEntries <= WHOLE_ENTRIES ? 1 : powerOfTwo(maxEntries / PART_ENTRIES)
}

export function partOf (key: string, parts: number): number {
  return parts === 1 ? 0 : keyHash(key) & (parts - 1)
}

/** How many entries one of the parts has room for, so that all of them together never lack it for `maxEntries`. */
export function roomOfPart (maxEntries: number, parts: number): number {
  const average = maxEntries / parts
  return Math.min(maxEntries, Math.ceil(average + DEVIATIONS * Math.sqrt(average)))
}
