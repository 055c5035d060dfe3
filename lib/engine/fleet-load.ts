import type { Milliseconds } from '../clock.ts'
import type { Entry } from '../entry.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { LOST_LEASE } from '../ports/leases.ts'
import type { EngineParts } from './parts.ts'

/** How a load begins: somebody else has just done it, or it is ours to do under this ticket. */
export type FleetStart =
  | { readonly found: Entry }
  | { readonly found: undefined, readonly ticket: Ticket, readonly release: () => Promise<void> }

/** How long one process waits for the load of another before it loads by itself. */
const WAIT_MS: Milliseconds = 5000

const nothingToRelease = async (): Promise<void> => {}

/**
 * Asks the fleet for the right to load a key. Whoever gets it loads; the others wait for the entry, and load for
 * themselves alone when that takes too long. Without leases (one process, or Redis away) everybody has the right.
 *
 * @param fresh reads the entry again and answers it if it is fresh by now
 */
export async function beginFleetLoad ({ leases, log, clock }: EngineParts, key: string, fresh: () => MaybePromise<Entry | undefined>): Promise<FleetStart> {
  const alone = (): FleetStart => ({ found: undefined, ticket: log.ticket(), release: nothingToRelease })
  if (leases === undefined) return alone()
  const untilMs = clock.now() + WAIT_MS
  for (;;) {
    const answer = await leases.acquire(key)
    if (answer === 'unavailable') return alone()
    if (answer !== 'busy') {
      // The one before us may have finished between our look and our lease.
      const found = await fresh()
      if (found === undefined) return { found, ticket: { ...log.ticket(), lease: answer.token }, release: answer.release }
      await answer.release()
      return { found }
    }
    const leftMs = untilMs - clock.now()
    const waited = leftMs > 0 ? await leases.wait(key, leftMs) : 'late'
    const found = await fresh()
    if (found !== undefined) return { found }
    if (waited === 'unavailable') return alone()
    if (waited === 'late') return { found, ticket: { ...log.ticket(), lease: LOST_LEASE }, release: nothingToRelease }
  }
}
