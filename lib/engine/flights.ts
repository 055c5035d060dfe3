/** One load under way, and where the log stood when it began. */
interface Flight<R> { readonly at: number, readonly result: Promise<R> }

/**
 * Single-flight that a purge cannot fool. A caller may share a load that began before it arrived only if no purge has
 * touched the result since the load began; a load that began after the caller arrived is always good enough. So nobody
 * waits for more than two loads, and nobody is given a value older than the last purge that was complete when they asked.
 */
export class Flights<R> {
  readonly #flights = new Map<string, Flight<R>>()

  get size (): number {
    return this.#flights.size
  }

  has (key: string): boolean {
    return this.#flights.has(key)
  }

  /**
   * @param arrivedAt where the log stood when the caller asked
   * @param begin starts a load; answers where the log stood, and the promise
   * @param overtaken whether a purge has touched `result` since `at`
   * @param onWait called once for a caller that waits for another's load
   */
  async join (key: string, arrivedAt: number, begin: () => Flight<R>, overtaken: (result: R, at: number) => boolean, onWait: () => void): Promise<R> {
    let waited = false
    for (;;) {
      const flight = this.#flights.get(key)
      if (flight === undefined) return await this.lead(key, begin)
      if (!waited) onWait()
      waited = true
      const result = await flight.result
      if (flight.at >= arrivedAt || !overtaken(result, flight.at)) return result
    }
  }

  /** Starts a load that others may join; it is forgotten when it ends, not before. */
  lead (key: string, begin: () => Flight<R>): Promise<R> {
    const flight = begin()
    this.#flights.set(key, flight)
    const forget = (): void => { if (this.#flights.get(key) === flight) this.#flights.delete(key) }
    flight.result.then(forget, forget)
    return flight.result
  }
}
