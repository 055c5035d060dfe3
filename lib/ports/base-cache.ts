import type { Entry } from '../entry.ts'
import type { EvictionCause } from '../events.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { Ticket } from './invalidation-log.ts'

/** What became of a write. A refusal is an answer with a reason, not an error. */
export type WriteVerdict =
  | { readonly stored: true }
  | { readonly stored: false, readonly reason: 'purged' | 'too-large' | 'expired' | 'unavailable' | 'closed' }

export const STORED: WriteVerdict = Object.freeze({ stored: true })
export const refused = (reason: Exclude<WriteVerdict, { stored: true }>['reason']): WriteVerdict => ({ stored: false, reason })

export type { EvictionCause }

/** Figures of one tier. Counters only grow. */
export interface TierUsage {
  readonly tier: 'memory' | 'redis'
  readonly entries: number
  readonly bytes: number
  readonly maxEntries: number
  readonly maxBytes: number
  readonly hits: number
  readonly misses: number
  readonly errors: number
  readonly evictions: Readonly<Record<EvictionCause, number>>
}

export interface ScanPage {
  readonly entries: ReadonlyArray<readonly [key: string, entry: Entry]>
  /** Hand it to the next call; `undefined` after the last page. */
  readonly cursor: string | undefined
}

/**
 * What a store promises the engine. Entries go in with the ticket of their load and come out only if the log finds
 * them valid: `read` never returns a purged entry (a softly purged one comes out `softened`), and `write` refuses what
 * a purge has overtaken. A store never throws for being unreachable: it answers as if it held nothing.
 * Freshness is not its business: it returns stale entries until `staleUntilMs`.
 *
 * `test/support/store-contract.ts` is the suite that every implementation passes.
 */
export abstract class BaseCache {
  abstract read (key: string): MaybePromise<Entry | undefined>
  abstract readMany (keys: readonly string[]): MaybePromise<Array<Entry | undefined>>
  abstract write (key: string, entry: Entry, ticket: Ticket): MaybePromise<WriteVerdict>
  abstract writeMany (items: ReadonlyArray<readonly [key: string, entry: Entry]>, ticket: Ticket): MaybePromise<WriteVerdict[]>
  /** Frees the entries of these keys now; answers how many there were. The purge itself is the log's. */
  abstract remove (keys: readonly string[]): MaybePromise<number>
  /** Frees everything, in the background where that takes long. */
  abstract wipe (): MaybePromise<void>
  /** A page of what is stored, purged entries left out. The order is the store's own. */
  abstract scan (cursor: string | undefined, count: number): MaybePromise<ScanPage>
  abstract usage (): readonly TierUsage[]
  abstract close (): MaybePromise<void>
}
