import type { EpochMs } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { PurgeReach } from '../events.ts'
import type { MaybePromise } from '../maybe-promise.ts'

/** One record of the log, as the engine hands it over: marks are encoded as in `keyspace/mark.ts`. */
export interface PurgeRecord {
  /** Entries with exactly this key, and every entry built from it. */
  readonly keys?: readonly string[]
  /** Entries that carry one of these marks. */
  readonly marks?: readonly string[]
  /** Entries that carry a mark beginning with one of these, taken literally: path `/products/*` is `p:/products/`. */
  readonly markPrefixes?: readonly string[]
  /** Globs over keys, and over the keys that an entry was built from. */
  readonly patterns?: readonly string[]
  /** Every entry there is. */
  readonly everything?: boolean
  /** Make stale instead of gone. */
  readonly soft?: boolean
}

export type { PurgeReach }

/**
 * Taken before a load begins. What the load returns may be stored only if no later record touches it.
 * `at` counts the records that this process has applied; `asOf` is the same moment in terms of the shared log.
 */
export interface Ticket {
  readonly at: number
  readonly asOf: Position
  /** The token of the lease under which the load runs (`ports/leases.ts`); Redis stores the result only while it holds. */
  readonly lease?: string
  /** The key that lease is on, where several entries are stored at once. @default that of the entry */
  readonly leasedKey?: string
}

export type Validity = 'valid' | 'soft' | 'purged'

/**
 * Whether the purges of other processes are known here.
 * `current`: they are applied as they arrive. `behind`: some may be missing and are being fetched; whoever serves an entry
 * waits for `sync` first. `alone`: the shared log cannot be reached, so what this process holds is served for as long as
 * its own short time to live allows, or, where that is not good enough, not at all. A log of one process is always `current`.
 */
export type LogState = 'current' | 'behind' | 'alone'

export interface InvalidationLog {
  readonly state: LogState
  /** Names and patterns that were purged here, and that the shared log does not have yet. */
  readonly queued: number
  /** Number of records applied here. While it has not moved since an entry was last found valid, the entry still is. */
  readonly tip: number
  ticket: () => Ticket
  /** What the records applied here after `since` do to an entry. Purged beats soft. */
  judge: (key: string, marks: readonly string[], since: number) => Validity
  /** The same for an entry that another process stored: what the records after the shared position `asOf` do to it. */
  judgeShared: (key: string, marks: readonly string[], asOf: Position) => Validity
  /** When the newest soft purge after `since` that touches the entry was applied here; `undefined` if none does. */
  softPurgedAtMs: (key: string, marks: readonly string[], since: number) => EpochMs | undefined
  /** Holds in this process when the call returns; the promise tells how far else. */
  append: (record: PurgeRecord) => MaybePromise<PurgeReach>
  /** Applies whatever stood in the shared log when it was called; `false` when that could not be read. Never rejects, never hangs. */
  sync: () => MaybePromise<boolean>
  /**
   * Lets the log forget what it applied here up to and including `upTo`. A store calls it when it has found all its
   * entries valid up to there, so that its next sweep starts from an empty log; whatever is older counts as purged.
   */
  forget: (upTo: number) => void
  close: () => MaybePromise<void>
}
