/*
 * Remembers, in a fixed amount of memory, when each of any number of names was last purged: exactly or too late, never
 * too early. So an entry may be taken for purged that is not (a miss), but no purge is ever forgotten.
 *
 * Each name has two slots, and writes its number into both; they are shared with other names, so what is read is the
 * smaller one. With s slots and m names purged since an entry was stored, that entry is wrongly missed with probability
 * (1 - e^(-2m/s))²: 2 % for m = s/13, 15 % for m = s/4. The seed is random, so that nobody can choose names that collide.
 */
export class PurgeSketch {
  readonly #numbers: Uint32Array
  readonly #base: number
  readonly #mask: number
  readonly #seed: number
  #newest = 0

  /** @param base every number that will come is larger */
  constructor (leastSlots: number, base: number, seed: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(64, leastSlots)))
    this.#numbers = new Uint32Array(slots)
    this.#base = base
    this.#mask = slots - 1
    this.#seed = seed
  }

  /** The largest number there is; an entry that was valid then need not be looked up. */
  get newest (): number { return this.#newest }

  /** Numbers must not descend. `false`: this one is more than 2³² from the base, and the sketch has had its time. */
  add (name: string, n: number): boolean {
    if (n - this.#base > 0xffffffff) return false
    const hash = hashOf(name, this.#seed)
    this.#numbers[hash & this.#mask] = n - this.#base
    this.#numbers[remix(hash) & this.#mask] = n - this.#base
    this.#newest = n
    return true
  }

  /** When the name was last purged, or later; 0 for never. */
  numberOf (name: string): number {
    const hash = hashOf(name, this.#seed)
    const offset = Math.min(this.#numbers[hash & this.#mask] ?? 0, this.#numbers[remix(hash) & this.#mask] ?? 0)
    return offset === 0 ? 0 : this.#base + offset
  }
}

/** FNV-1a over UTF-16 units, finished by the mixer of MurmurHash3. */
function hashOf (name: string, seed: number): number {
  let hash = seed ^ 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return mix(hash)
}

function remix (hash: number): number {
  return mix(hash ^ 0x9e3779b9)
}

function mix (hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
