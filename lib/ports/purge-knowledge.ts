import type { InvalidationLog } from './invalidation-log.ts'

/** Whether purges may exist of which this process has not heard, although it could. */
export function mayLag (log: InvalidationLog, strict: boolean): boolean {
  return strict || log.state === 'behind'
}

/**
 * Hears of them. Whether what is held here may be used now: the log is up to date, or out of reach where a bounded staleness
 * is agreed to.
 */
export async function catchUpWith (log: InvalidationLog, strict: boolean): Promise<boolean> {
  return await log.sync() || (!strict && log.state === 'alone')
}
