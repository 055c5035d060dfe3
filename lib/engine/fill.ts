import { isDeepStrictEqual } from 'node:util'
import type { Entry } from '../entry.ts'
import { checkDataKey } from '../keyspace/name.ts'
import { refused, type Fill as StoreFill, type WriteVerdict } from '../ports/base-cache.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { DataLoads } from './data-loads.ts'
import { purgeNames } from './data-writes.ts'
import { DependencyScope } from './dependencies.ts'
import type { StoreOptions } from './load-options.ts'
import type { EngineParts } from './parts.ts'

/** What became of one value; `invalid` ones cannot be cached at all, as `error` says. */
export type FillVerdict = WriteVerdict
  | { readonly stored: false, readonly reason: 'nothing' | 'built-from-stale' | 'too-many-marks' }
  | { readonly stored: false, readonly reason: 'invalid', readonly error: unknown }

export interface FillOptions<T> extends StoreOptions<T> {
  /** Part of the ttl, 0 to 1, by which it is shortened at random. @default 0 */
  jitter?: number
}

/**
 * Values read from a source ahead of time. A fill begins before the source is read, so that a purge which lands between
 * the reading and the storing is never overwritten. By itself it is no change: unlike `set` it purges nothing that was built
 * from these keys.
 */
export class Fill {
  readonly #parts: EngineParts
  readonly #loads: DataLoads
  readonly #ticket: Ticket
  readonly #scope = new DependencyScope()
  /** Tickets behind purges of our own, of values that are not stored yet: one that failed may be tried again. */
  readonly #behindOwn = new Map<string, Ticket>()

  constructor (parts: EngineParts) {
    this.#parts = parts
    this.#loads = new DataLoads(parts)
    this.#ticket = parts.log.ticket()
  }

  /** Runs what reads the source. What it reads through the cache, the values are built from. */
  async read<R> (task: () => R): Promise<Awaited<R>> {
    return await this.#parts.dependencies.track(this.#scope, task)
  }

  /**
   * Stores values by their full keys, one verdict each, in order. Never throws for a value that cannot be stored.
   * @param changes whether a value that takes the place of another one is a change: what was built from that is purged. @default false
   */
  async store<T> (items: ReadonlyArray<readonly [key: string, value: T]>, options: FillOptions<T>, changes = false): Promise<FillVerdict[]> {
    const verdicts: FillVerdict[] = []
    const storable: StoreFill[] = []
    const places: number[] = []
    for (const [key, value] of items) {
      const ticket = this.#behindOwn.get(key) ?? this.#ticket
      const made = this.#entryOf(key, value, options, ticket)
      if ('stored' in made) {
        verdicts.push(made)
        continue
      }
      places.push(verdicts.length)
      storable.push([key, made, ticket])
      verdicts.push(refused('unavailable'))
    }
    if (changes) await this.#purgeChanged(storable)
    const written = storable.length === 0 ? [] : await this.#parts.store.writeMany(storable)
    for (const [index, [key, entry]] of storable.entries()) {
      const verdict = written[index] ?? refused('unavailable')
      verdicts[places[index] as number] = verdict
      if (verdict.stored) this.#behindOwn.delete(key)
      this.#loads.account(key, entry, verdict)
    }
    return verdicts
  }

  /** Stores one value as a change: what was built from the key before is purged. Refuses what was purged, softly or not, since the fill began. */
  async replace<T> (key: string, value: T, options: FillOptions<T>): Promise<FillVerdict> {
    const { log, store } = this.#parts
    const made = this.#entryOf(key, value, options, this.#ticket)
    if ('stored' in made) return made
    // The value is younger than its own purge, and that one only: a soft purge may be news to it as well.
    if (log.judge(key, made.marks, this.#ticket.at) !== 'valid') return refused('purged')
    const ticket = await purgeNames(log, [key])
    const verdict = await store.write(key, { ...made, asOf: ticket.asOf }, ticket)
    this.#loads.account(key, made, verdict)
    return verdict
  }

  /** Gives what takes the place of another value a ticket behind the purge of that. What was purged since the fill began keeps its own, and is refused. */
  async #purgeChanged (fills: StoreFill[]): Promise<void> {
    const { log, store } = this.#parts
    const held = await store.readMany(fills.map(([key]) => key), false)
    const changed = fills.flatMap(([key, { value, marks }, { at }], index) => held[index] === undefined || isDeepStrictEqual(held[index]?.value, value) || log.judge(key, marks, at) !== 'valid' ? [] : [index])
    if (changed.length === 0) return
    const ticket = await purgeNames(log, changed.map((index) => (fills[index] as StoreFill)[0]))
    for (const index of changed) {
      const [key, entry] = fills[index] as StoreFill
      fills[index] = [key, { ...entry, asOf: ticket.asOf }, ticket]
      this.#behindOwn.set(key, ticket)
    }
  }

  #entryOf<T> (key: string, value: T, options: FillOptions<T>, ticket: Ticket): Entry | FillVerdict {
    if (value === undefined) return { stored: false, reason: 'nothing' }
    if (this.#scope.stale) return { stored: false, reason: 'built-from-stale' }
    if (this.#scope.tooMany) return { stored: false, reason: 'too-many-marks' }
    const jitter = 1 - (options.jitter ?? 0) * this.#parts.random()
    try {
      checkDataKey(key)
      const entry = this.#loads.entryOf(value, options, (tag) => tag, ticket, { loadMs: 0, jitter, marks: this.#scope.marks })
      return entry.freshUntilMs > entry.storedAtMs ? entry : { stored: false, reason: 'nothing' }
    } catch (error) {
      return { stored: false, reason: 'invalid', error }
    }
  }
}
