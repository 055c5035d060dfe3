import type { EpochMs } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { Mark } from '../keyspace/mark.ts'
import type { Validity } from '../ports/invalidation-log.ts'
import { InvalidationIndex, type InvalidationIndexOptions } from './invalidation-index.ts'
import type { PurgeScope } from './purge-scope.ts'
import { identityOf } from './wire-record.ts'

/** How many of the newest records can be told from impostors with the same ID. */
const REMEMBERED_IDENTITIES = 1024

/**
 * What a record is to the history so far. `next`: the one that follows. `known`: seen before, or so old that nobody can
 * tell. `gap`: others are missing in between. `conflict`: another one was seen under this ID, or the epoch is not ours;
 * only the log itself can tell.
 */
export type Succession = 'next' | 'known' | 'gap' | 'conflict'

/**
 * The shared log as far as this process has read it, in order and without a hole: the records of one epoch from its
 * floor to its tip. Epoch 0 means that there is no log to be trusted, and then no entry of another process is either.
 */
export class SharedHistory {
  readonly #limits: InvalidationIndexOptions
  readonly #identities: Array<{ readonly seq: number, readonly identity: string } | undefined> = []
  #index: InvalidationIndex
  #epoch = 0
  #tip = 0
  #floor = 0

  constructor (limits: InvalidationIndexOptions) {
    this.#limits = limits
    this.#index = new InvalidationIndex(limits)
  }

  /** Where the newest record that was applied stands. */
  get position (): Position { return { epoch: this.#epoch, seq: this.#tip } }
  get epoch (): number { return this.#epoch }
  get tip (): number { return this.#tip }
  get floor (): number { return Math.max(this.#floor, this.#index.floor) }
  get size (): number { return this.#index.size }

  judge (key: string, marks: readonly Mark[], { epoch, seq }: Position): Validity {
    if (this.#epoch === 0 || epoch !== this.#epoch || !(seq >= this.floor && seq <= this.#tip)) return 'purged'
    return this.#index.judge(key, marks, seq)
  }

  succession ({ epoch, seq }: Position, text: string): Succession {
    if (epoch !== this.#epoch) return 'conflict'
    if (seq > this.#tip) return seq === this.#tip + 1 ? 'next' : 'gap'
    const held = this.#identities[seq % REMEMBERED_IDENTITIES]
    return held?.seq !== seq || held.identity === identityOf(text) ? 'known' : 'conflict'
  }

  /** Applies the record that follows. */
  add (text: string, scopes: readonly PurgeScope[], nowMs: EpochMs): void {
    this.#tip++
    this.#identities[this.#tip % REMEMBERED_IDENTITIES] = { seq: this.#tip, identity: identityOf(text) }
    for (const scope of scopes) this.#index.add(scope, this.#tip, nowMs)
  }

  /** Whether the record at the tip was itself seen; not so right after a restart. */
  get sawTip (): boolean { return this.#identities[this.#tip % REMEMBERED_IDENTITIES]?.seq === this.#tip }

  /** Goes on behind `floor` of an epoch; what lies before is unknown. */
  restart (epoch: number, floor: number): void {
    this.#epoch = epoch
    this.#tip = floor
    this.#floor = floor
    this.#index = new InvalidationIndex(this.#limits)
    this.#identities.length = 0
  }
}
