import type { Clock, EpochMs, Milliseconds } from '../clock.ts'
import type { Entry } from '../entry.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { LOST_LEASE, type LeaseAnswer, type Leases } from '../ports/leases.ts'
import { within } from '../resilience/within.ts'
import type { EngineParts } from './parts.ts'

/**
 * How a load begins: somebody else has just done it, or it is ours to do under this ticket. `patienceMs` is what is left
 * of the caller's patience with Redis.
 */
export type FleetStart =
  | { readonly found: Entry }
  | { readonly found: undefined, readonly ticket: Ticket, readonly release: () => Promise<void>, readonly patienceMs: Milliseconds }

export interface FleetLoadOptions {
  /** Reads the entry again and answers it if it is fresh by now. */
  readonly fresh: () => MaybePromise<Entry | undefined>
  /** When the caller began to ask Redis: its patience has been running since. */
  readonly askedAtMs: EpochMs
  /** How long this process waits for the load of another before it loads by itself. @default 5000 */
  readonly waitMs?: Milliseconds
}

const nothingToRelease = async (): Promise<void> => {}

/**
 * Asks the fleet for the right to load a key. Whoever gets it loads; the others wait for the entry, and load for
 * themselves alone when that takes too long. Without leases (one process, or Redis away) everybody has the right.
 */
export async function beginFleetLoad ({ leases, log, clock, patienceMs }: EngineParts, key: string, { fresh, askedAtMs, waitMs = 5000 }: FleetLoadOptions): Promise<FleetStart> {
  const untilMs = clock.now() + waitMs
  let patientUntilMs = askedAtMs + patienceMs
  const begin = (ticket: Ticket, release = nothingToRelease): FleetStart => ({ found: undefined, ticket, release, patienceMs: Math.max(0, patientUntilMs - clock.now()) })
  if (leases === undefined) return begin(log.ticket())
  const look = async (): Promise<Entry | undefined> => await within(Promise.resolve(fresh()), patientUntilMs, clock, undefined)
  for (;;) {
    const answer = await acquireWithin(leases, key, patientUntilMs, clock)
    if (answer === 'unavailable') return begin(log.ticket())
    if (answer !== 'busy') {
      // The one before us may have finished between our look and our lease.
      const found = await look()
      if (found === undefined) return begin({ ...log.ticket(), lease: answer.token }, answer.release)
      await answer.release()
      return { found }
    }
    const leftMs = untilMs - clock.now()
    const waited = leftMs > 0 ? await leases.wait(key, leftMs) : 'late'
    // That was the time of somebody else's handler; Redis has answered meanwhile, unless it fell silent.
    patientUntilMs = clock.now() + (waited === 'unavailable' ? 0 : patienceMs)
    if (waited === 'unavailable') return begin(log.ticket())
    const found = await look()
    if (found !== undefined) return { found }
    if (waited === 'late') return begin({ ...log.ticket(), lease: LOST_LEASE })
  }
}

/** A lease that comes too late is given back. */
async function acquireWithin (leases: Leases, key: string, untilMs: EpochMs, clock: Clock): Promise<LeaseAnswer> {
  if (clock.now() >= untilMs) return 'unavailable'
  const answer = leases.acquire(key)
  const inTime = await within<LeaseAnswer, 'late'>(answer, untilMs, clock, 'late')
  if (inTime !== 'late') return inTime
  void answer.then((late) => { if (typeof late === 'object') void late.release() })
  return 'unavailable'
}
