import type { Milliseconds } from '../clock.ts'

/** The right to load one key for the whole fleet. It is prolonged while it is held, and runs out soon after its holder has died. */
export interface Lease {
  /** Goes into the ticket of the load: `{ ...log.ticket(), lease: lease.token }`. The store then gives the lease back as it stores the entry. */
  readonly token: string
  /** Gives it back; for a load that failed or was not stored. Doing so twice, or too late, harms nobody. Never rejects. */
  readonly release: () => Promise<void>
}

/** `busy`: another process loads this key. `unavailable`: there is nobody to ask, so load without a lease. */
export type LeaseAnswer = Lease | 'busy' | 'unavailable'

/** How a wait ended. `free`: the load of the other is over, so look whether it left an entry. `late`: it is not, and we have waited enough. */
export type LeaseWait = 'free' | 'late' | 'unavailable'

/**
 * One load per key in the whole fleet. A caller that finds nothing asks for the lease, and reads the entry again once
 * it has it: the one before may just have finished. A caller that finds it `busy` waits and reads again; when it has
 * waited enough, it loads under the ticket `{ ...ticket, lease: LOST_LEASE }`, and only its own process keeps the result.
 */
export interface Leases {
  /** Whether there is anybody to ask; if not, everybody loads for themselves. */
  readonly available: boolean
  /** Never rejects. */
  acquire: (key: string) => Promise<LeaseAnswer>
  /** Waits until nobody holds the lease, at most `withinMs`. Never rejects. */
  wait: (key: string, withinMs: Milliseconds) => Promise<LeaseWait>
  /** Gives back what is still held. */
  close: () => Promise<void>
}

/** A token that nobody is ever given. */
export const LOST_LEASE = 'none'
