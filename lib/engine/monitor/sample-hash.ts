/**
 * 32 well-mixed bits of a key, to decide whether it is in the sample: on every lookup, so it is made for speed. Two lanes
 * of FNV-1a, which a processor runs side by side, and the finaliser of MurmurHash3. Not for secrets.
 */
export function sampleHash (key: string): number {
  const { length } = key
  let even = 0x811c9dc5
  let odd = length
  let at = 0
  for (; at + 1 < length; at += 2) {
    even = Math.imul(even ^ key.charCodeAt(at), 0x01000193)
    odd = Math.imul(odd ^ key.charCodeAt(at + 1), 0x01000193)
  }
  if (at < length) even = Math.imul(even ^ key.charCodeAt(at), 0x01000193)
  let hash = Math.imul(even ^ (even >>> 16), 0x85ebca6b) ^ Math.imul(odd ^ (odd >>> 15), 0x2c1b3c6d)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
