import type { MaybePromise } from '../maybe-promise.ts'

/** One load under way, and where the log stood when it began. */
interface Flight<R> { readonly at: number, readonly result: Promise<R> }

/** Whoever may join a load that is under way. */
export interface Passenger<R> {
  /** How many loads had begun when they asked. */
  readonly since: number
  /** Where the log stands once it has all that was purged before; `undefined` if that cannot be found out. Never rejects. */
  readonly heard: () => MaybePromise<number | undefined>
  /** Whether a purge has touched the result since the log stood at `at`. */
  readonly overtaken: (result: R, at: number) => boolean
  /** Called once when they wait for another's load. */
  readonly onWait: () => void
}

/**
 * Single-flight that a purge cannot fool. A caller may share a load that began before it arrived only if it is known that no
 * purge has touched the result since the load began; a load that began after the caller arrived is always good enough. So nobody
 * waits for more than two loads, and nobody is given a value older than the last purge that was complete when they asked.
 */
export class Flights<R> {
  readonly #flights = new Map<string, Flight<R> & { readonly nth: number }>()
  #begun = 0

  get size (): number {
    return this.#flights.size
  }

  /** How many have begun so far. */
  get begun (): number {
    return this.#begun
  }

  has (key: string): boolean {
    return this.#flights.has(key)
  }

  /** @param begin starts a load; answers where the log stood, and the promise */
  async join (key: string, begin: () => Flight<R>, { since, heard, overtaken, onWait }: Passenger<R>): Promise<R> {
    let hearing: MaybePromise<number | undefined>
    let waited = false
    for (;;) {
      const flight = this.#flights.get(key)
      if (flight === undefined) return await this.lead(key, begin)
      if (!waited) {
        onWait()
        hearing = heard()
      }
      waited = true
      const result = await flight.result
      if (flight.nth > since) return result
      const arrivedAt = await hearing
      if (arrivedAt !== undefined && (flight.at >= arrivedAt || !overtaken(result, flight.at))) return result
    }
  }

  /** Starts a load that others may join; it is forgotten when it ends, not before. */
  lead (key: string, begin: () => Flight<R>): Promise<R> {
    const flight = { ...begin(), nth: ++this.#begun }
    this.#flights.set(key, flight)
    const forget = (): void => { if (this.#flights.get(key) === flight) this.#flights.delete(key) }
    flight.result.then(forget, forget)
    return flight.result
  }
}
