import type { HeaderList } from '../http/headers.ts'

/** More names than responses have in one application; beyond them pairs are kept as they come. */
const MAX_NAMES = 100

/**
 * Header fields that responses have in common, such as their Content-Type, in memory once for all of them. The last of each
 * name is remembered: what repeats, repeats at once.
 */
export class SharedPairs {
  readonly #last = new Map<string, HeaderList[number]>()

  /** The same fields, of which those that an earlier response had too are the very same objects. */
  share (headers: HeaderList): HeaderList {
    return headers.map((pair) => {
      const [name, value] = pair
      const last = this.#last.get(name)
      if (last !== undefined && last[1] === value) return last
      if (last !== undefined || this.#last.size < MAX_NAMES) this.#last.set(name, pair)
      return pair
    })
  }
}
