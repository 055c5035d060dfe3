import type { Clock, EpochMs, Milliseconds } from '../clock.ts'
import { within } from '../resilience/within.ts'

/**
 * How the run that others waited for ended. After `overtaken` (by a purge, or by a client that left) the next one should
 * lead; after `failed` a stale response stood in, and may do so for all; after `not-stored` everybody goes alone.
 */
export type FlightEnd = 'stored' | 'overtaken' | 'failed' | 'not-stored'

/** A handler under way whose response others wait for. Each may be called more than once; the first call counts. */
export interface ResponseFlight {
  readonly end: (how: FlightEnd) => void
  /** Whoever waits in this process need not wait any longer; the fleet waits for the end. */
  readonly land: (how: FlightEnd) => void
}

/** How many uncacheable URLs are remembered. */
const MAX_REMEMBERED = 10_000

/**
 * One run of the handler for all who ask for the same response at the same time. What proved uncacheable is never
 * shared, and is remembered for a while, so that requests for it do not queue behind each other again ("hit for miss").
 */
export class ResponseFlights {
  #flights = new Map<string, Flight>()
  readonly #uncacheable = new Map<string, EpochMs>()
  readonly #clock: Clock
  readonly #rememberMs: Milliseconds

  constructor (clock: Clock, options: { hitForMissMs: Milliseconds }) {
    this.#clock = clock
    this.#rememberMs = options.hitForMissMs
  }

  has (key: string): boolean {
    return this.#flights.has(key)
  }

  /** Whether a request for this key should neither wait nor be waited for. */
  isUncacheable (key: string): boolean {
    const untilMs = this.#uncacheable.get(key)
    if (untilMs === undefined) return false
    if (this.#clock.now() < untilMs) return true
    this.#uncacheable.delete(key)
    return false
  }

  /** Takes the lead, so that others can wait. */
  lead (key: string): ResponseFlight {
    // Garbage of a Map that grew or shrank keeps what came after it alive until the next full collection; that of one that
    // was never emptied is the garbage of all flights.
    if (this.#flights.size === 0) this.#flights = new Map()
    const flight = new Flight(() => { if (this.#flights.get(key) === flight) this.#flights.delete(key) })
    this.#flights.set(key, flight)
    return flight
  }

  /** Waits for whoever leads, at most `forMs`. */
  async wait (key: string, forMs: Milliseconds): Promise<FlightEnd | 'timeout'> {
    const flight = this.#flights.get(key)
    if (flight === undefined) return 'not-stored'
    return await within(flight.ended, this.#clock.now() + forMs, this.#clock, 'timeout')
  }

  /** Responses for this key can be shared after all. */
  forgetUncacheable (key: string): void {
    this.#uncacheable.delete(key)
  }

  /** Remembers that responses for this key are not to be shared. */
  rememberUncacheable (key: string): void {
    if (this.#rememberMs === 0) return
    this.#uncacheable.delete(key)
    if (this.#uncacheable.size >= MAX_REMEMBERED) {
      const oldest = this.#uncacheable.keys().next()
      if (oldest.done !== true) this.#uncacheable.delete(oldest.value)
    }
    this.#uncacheable.set(key, this.#clock.now() + this.#rememberMs)
  }
}

class Flight implements ResponseFlight {
  readonly #forget: () => void
  #ended: Promise<FlightEnd> | undefined
  #settle: ((how: FlightEnd) => void) | undefined

  constructor (forget: () => void) {
    this.#forget = forget
  }

  /** For those who wait. Most flights end before anybody does, and need no promise. */
  get ended (): Promise<FlightEnd> {
    this.#ended ??= new Promise((resolve) => { this.#settle = resolve })
    return this.#ended
  }

  end (how: FlightEnd): void {
    this.#forget()
    this.#settle?.(how)
  }

  land (how: FlightEnd): void {
    this.end(how)
  }
}
