import type { Entry } from '../../entry.ts'
import type { BaseCache, ScanPage } from '../base-cache.ts'
import type { InvalidationLog } from '../invalidation-log.ts'
import { entryOf, type EntryShape } from './entry-shape.ts'
import type { FakeClock } from './fake-clock.ts'

/** Entries larger than this are refused by every store under test. */
export const MAX_ENTRY_BYTES = 20_000

/** A sentence that begins with the name of the store, and what proves it. */
export type Rule = (sentence: string, body: (kit: Kit) => Promise<void>) => void

/** A store under test, its log and its clock. */
export class Kit {
  readonly store: BaseCache
  readonly log: InvalidationLog
  readonly clock: FakeClock

  constructor (store: BaseCache, log: InvalidationLog, clock: FakeClock) {
    this.store = store
    this.log = log
    this.clock = clock
  }

  entry (shape: Partial<EntryShape> & { value: unknown }): Entry {
    return entryOf({ ticket: this.log.ticket(), clock: this.clock, ...shape })
  }

  async write (key: string, shape: Partial<EntryShape> & { value: unknown }): Promise<unknown> {
    const ticket = shape.ticket ?? this.log.ticket()
    return await this.store.write(key, this.entry({ ...shape, ticket }), ticket)
  }

  lifeOf (entry: Entry | undefined): unknown[] {
    return [entry?.storedAtMs, entry?.freshUntilMs, entry?.staleWhileRevalidateUntilMs, entry?.staleIfErrorUntilMs]
  }

  async scanAll (count = 100, between?: () => Promise<void>): Promise<{ keys: string[], entries: Array<readonly [string, Entry]> }> {
    const entries: Array<readonly [string, Entry]> = []
    let cursor: string | undefined
    do {
      const page: ScanPage = await this.store.scan(cursor, count)
      entries.push(...page.entries)
      cursor = page.cursor
      await between?.()
    } while (cursor !== undefined)
    return { entries, keys: entries.map(([key]) => key).sort() }
  }

  figures (): { hits: number, misses: number, errors: number } {
    const sum = (pick: 'hits' | 'misses' | 'errors'): number => this.store.usage().reduce((total, tier) => total + tier[pick], 0)
    return { hits: sum('hits'), misses: sum('misses'), errors: sum('errors') }
  }
}
