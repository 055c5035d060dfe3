import type { EpochMs } from '../clock.ts'

/** When a record came: its number in the order of the log, and the time on this machine. */
export interface Stamp { readonly n: number, readonly atMs: EpochMs }
