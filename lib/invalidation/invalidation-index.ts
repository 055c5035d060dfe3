import type { EpochMs } from '../clock.ts'
import type { Mark } from '../keyspace/mark.ts'
import type { Validity } from '../ports/invalidation-log.ts'
import type { PurgeScope } from './purge-scope.ts'
import { RecordIndex } from './record-index.ts'

export interface InvalidationIndexOptions {
  /**
   * How many names (marks and prefixes) are remembered exactly, of hard purges and of soft ones. Of more hard purges, what
   * is older is remembered roughly: a few entries are missed without need. Of soft ones it counts as purged.
   * @default 100_000
   */
  readonly maxRecords?: number
  /** How many globs other than prefixes are remembered of each kind. @default 1_000 */
  readonly maxGlobs?: number
}

/**
 * The records of one numbering, hard and soft: what they do to an entry that was last found valid at some number.
 * Below the floor nothing is known, and everything counts as purged: a cache may forget a value, never a purge.
 */
export class InvalidationIndex {
  readonly #hard: RecordIndex
  readonly #soft: RecordIndex
  #tip = 0

  constructor ({ maxRecords = 100_000, maxGlobs = 1000 }: InvalidationIndexOptions = {}) {
    this.#hard = new RecordIndex({ maxRecords, maxGlobs, older: 'sketched' })
    this.#soft = new RecordIndex({ maxRecords, maxGlobs, older: 'forgotten' })
  }

  /** Number of the newest record. */
  get tip (): number { return this.#tip }

  get floor (): number { return Math.max(this.#hard.floor, this.#soft.floor) }

  /** How many names and patterns are remembered. */
  get size (): number { return this.#hard.size + this.#soft.size }

  /** Numbers must ascend; they may skip. */
  add (scope: PurgeScope, n: number, atMs: EpochMs): void {
    this.#tip = n
    if (scope.soft) {
      this.#soft.add(scope, { n, atMs })
      return
    }
    this.#hard.add(scope, { n, atMs })
    if (scope.everything) this.#soft.forget(n)
  }

  judge (key: string, marks: readonly Mark[], since: number): Validity {
    if (since >= this.#tip) return 'valid'
    if (since < this.floor || this.#hard.newestTouch(key, marks, since) !== undefined) return 'purged'
    return this.#soft.newestTouch(key, marks, since) === undefined ? 'valid' : 'soft'
  }

  softPurgedAtMs (key: string, marks: readonly Mark[], since: number): EpochMs | undefined {
    return this.#soft.newestTouch(key, marks, since)?.atMs
  }

  /**
   * Drops the records up to and including `upTo`. A store that has just found all its entries valid up to there loses
   * nothing by it; loads that began before are not stored.
   */
  forget (upTo: number): void {
    const reachable = Math.min(upTo, this.#tip)
    this.#hard.forget(reachable)
    this.#soft.forget(reachable)
  }
}
