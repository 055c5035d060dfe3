import type { InvalidationLog, Ticket } from './invalidation-log.ts'

const TICKET: Ticket = Object.freeze({ at: 0, asOf: Object.freeze({ epoch: 0, seq: 0 }) })

/** The log of a store that stands alone: nobody purges, so nothing ever moves. */
export const stillLog: InvalidationLog = Object.freeze({
  state: 'current' as const,
  queued: 0,
  tip: 0,
  ticket: () => TICKET,
  judge: () => 'valid' as const,
  judgeShared: () => 'valid' as const,
  softPurgedAtMs: () => undefined,
  append: () => 'here' as const,
  sync: () => true,
  forget: () => {},
  close: () => {}
})
