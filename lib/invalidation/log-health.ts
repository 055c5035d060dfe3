import type { Position } from '../entry.ts'
import type { LogState } from '../ports/invalidation-log.ts'

/** What the reader has been through. Counters only grow. */
export interface ReaderCounts {
  /** Records that were applied. */
  applied: number
  /** Times when something was, or may have been, missed. */
  doubts: number
  /** Times when everything held here had to go. */
  distrusts: number
  /** Records that came once more; our own do, as an answer and as a message. */
  duplicates: number
  /** Messages that were no record, and records that could not be read, of another version, or too large. */
  malformed: number
  unknownVersion: number
  tooLarge: number
}

/** What the log has been through. Counters only grow. */
export interface RedisLogHealth extends Readonly<ReaderCounts> {
  readonly state: LogState
  /** How far the shared log is known here. */
  readonly position: Position
  /** Entries that other processes stored before this number of the epoch are not trusted. */
  readonly floor: number
  /** Names and patterns that are remembered. */
  readonly remembered: number
  /** Names that Redis has not heard of yet. */
  readonly queued: number
  /** Records that this process has sent. */
  readonly sent: number
  /** Records that Redis would not write down. */
  readonly unlogged: number
}
