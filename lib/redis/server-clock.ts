import type { Clock, EpochMs, Milliseconds } from '../clock.ts'

export interface ServerClock {
  /** The time on the Redis server; meaningless before the first `sync` has succeeded. */
  readonly now: () => EpochMs
  /**
   * Compares the clocks. `anew`: whatever was known came from another server.
   * @throws when the server took too long to answer, or answered something else
   */
  readonly sync: (anew: boolean) => Promise<void>
}

/** A measurement that took longer than this is used only if there is no better one. */
const GOOD_ROUND_TRIP_MS = 20
/** And one that took longer than this says nothing: the clock was read at any moment in between. */
const MAX_ROUND_TRIP_MS = 500

/**
 * The clock that all instances share. Their own may differ by hours; what is stored in Redis carries this one's time.
 *
 * @param readTime asks the server: seconds and microseconds, as TIME answers
 */
export function createServerClock (clock: Clock, readTime: () => Promise<unknown>): ServerClock {
  let offsetMs: Milliseconds = 0
  let known = false
  return {
    now: () => clock.now() + offsetMs,
    async sync (anew) {
      const sentMs = clock.now()
      const reply = await readTime()
      const roundTripMs = clock.now() - sentMs
      const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : []
      if (seconds === undefined || micros === undefined || !Number.isFinite(seconds + micros)) throw new TypeError('TIME answered something else')
      if (roundTripMs > MAX_ROUND_TRIP_MS) throw new RangeError('TIME was answered too late')
      if (known && !anew && roundTripMs > GOOD_ROUND_TRIP_MS) return
      offsetMs = Math.round(seconds * 1000 + micros / 1000 - (sentMs + roundTripMs / 2))
      known = true
    }
  }
}
