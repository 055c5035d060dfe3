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

/** What there is by now, fresh or not. A response that is not there has the key of its variant, once it is known that there are any. */
export interface Sight { readonly key: string, readonly entry: Entry | undefined }

export interface FleetLoadOptions {
  /** Looks again, past the copies of this process: under which key the entry is, or would be, by now. */
  readonly look: () => MaybePromise<Sight>
  /** What the load is to renew, fresh as it may be: only what was stored after it is somebody else's renewal. */
  readonly renewed?: Entry | undefined
  /** When the caller began to ask Redis: its patience has been running since. */
  readonly askedAtMs: EpochMs
  /** Told when another process is loading it: from then on nobody here knows how long it takes. */
  readonly onBusy?: (() => void) | undefined
  /** How long this process waits for the load of another before it loads by itself. @default 5000 */
  readonly waitMs?: Milliseconds
}

/** One entry has, in Redis and in memory, not quite the same age: the clock of the server is known no better. */
const CLOCK_ERROR_MS: Milliseconds = 100

const nothingToRelease = async (): Promise<void> => {}

/**
 * Asks the fleet for the right to load a key. Whoever gets it loads; the others wait for the entry, and load for
 * themselves alone when that takes too long. Without leases (one process, or Redis away) everybody has the right.
 */
export async function beginFleetLoad ({ leases, log, clock, patienceMs }: EngineParts, first: string, { look, renewed, askedAtMs, onBusy, waitMs = 5000 }: FleetLoadOptions): Promise<FleetStart> {
  const untilMs = clock.now() + waitMs
  let patientUntilMs = askedAtMs + patienceMs
  const begin = (ticket: Ticket, release = nothingToRelease): FleetStart => ({ found: undefined, ticket, release, patienceMs: Math.max(0, patientUntilMs - clock.now()) })
  if (leases === undefined) return begin(log.ticket())
  const isDone = (entry: Entry): boolean => clock.now() < entry.freshUntilMs && (renewed === undefined || entry.storedAtMs > renewed.storedAtMs + CLOCK_ERROR_MS)
  const inTime = async (): Promise<Sight | undefined> => {
    const seen = await within(Promise.resolve(look()), patientUntilMs, clock, undefined)
    return seen?.entry === undefined || isDone(seen.entry) ? seen : { key: seen.key, entry: undefined }
  }
  let key = first
  for (;;) {
    const answer = await acquireWithin(leases, key, patientUntilMs, clock)
    if (answer === 'unavailable') return begin(log.ticket())
    if (answer !== 'busy') {
      // The one before us may have finished between our look and our lease.
      const seen = await inTime()
      if (seen?.entry === undefined && (seen?.key ?? key) === key) return begin({ ...log.ticket(), lease: answer.token, leasedKey: key }, answer.release)
      await answer.release()
      if (seen?.entry !== undefined) return { found: seen.entry }
      // It has variants since we came, and each of them a lease of its own.
      key = seen?.key ?? key
      continue
    }
    onBusy?.()
    const leftMs = untilMs - clock.now()
    const patientForMs = patientUntilMs - clock.now()
    const waited = leftMs > 0 ? await leases.wait(key, leftMs) : 'late'
    // That was the time of somebody else's handler; Redis has answered meanwhile, unless it fell silent.
    patientUntilMs = clock.now() + (waited === 'unavailable' ? 0 : patientForMs)
    if (waited === 'unavailable') return begin(log.ticket())
    const seen = await inTime()
    if (seen?.entry !== undefined) return { found: seen.entry }
    if (waited === 'late') return begin({ ...log.ticket(), lease: LOST_LEASE })
    key = seen?.key ?? key
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
