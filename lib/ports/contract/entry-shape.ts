import type { Clock } from '../../clock.ts'
import type { Entry } from '../../entry.ts'
import type { Ticket } from '../invalidation-log.ts'

/** What of an entry a test cares about. */
export interface EntryShape {
  value: unknown
  kind?: Entry['kind']
  ticket: Ticket
  clock: Clock
  freshMs?: number
  staleWhileRevalidateMs?: number
  staleIfErrorMs?: number
  marks?: readonly string[]
  bytes?: number
}

/** An entry as the engine would make it at this moment. */
export function entryOf ({ value, kind = 'data', ticket, clock, freshMs = 60_000, staleWhileRevalidateMs = 0, staleIfErrorMs = 0, marks = [], bytes = 100 }: EntryShape): Entry {
  const nowMs = clock.now()
  const freshUntilMs = nowMs + freshMs
  return {
    kind,
    value,
    storedAtMs: nowMs,
    freshUntilMs,
    staleWhileRevalidateUntilMs: freshUntilMs + staleWhileRevalidateMs,
    staleIfErrorUntilMs: freshUntilMs + staleIfErrorMs,
    marks,
    asOf: ticket.asOf,
    bytes,
    loadMs: 7
  }
}
