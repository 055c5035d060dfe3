import { refused, type Fill } from '../ports/base-cache.ts'
import type { InvalidationLog, PurgeReach, Ticket } from '../ports/invalidation-log.ts'
import { LOST_LEASE } from '../ports/leases.ts'
import type { DataLoads } from './data-loads.ts'
import type { StoreOptions } from './load-options.ts'
import type { EngineParts } from './parts.ts'
import { nameRecord } from './purge-record.ts'

/** Purges names, as a change of what they stand for does. What is written under the ticket is younger than this purge, and than no other. */
export async function purgeNames (log: InvalidationLog, names: readonly string[]): Promise<Ticket & { readonly reach: PurgeReach }> {
  const appended = log.append(nameRecord(names))
  // What is purged from here on is newer than what is written, though the log may take a while to be told.
  const { at } = log.ticket()
  const reach = await appended
  return { at, asOf: log.ticket().asOf, reach }
}

/**
 * Stores values that somebody hands in. Handing one in is a change: it purges its name first, and with it whatever was
 * built from the value before and whoever is loading it right now. Answers in the order of the items.
 */
export async function writeValues<T> (parts: EngineParts, loads: DataLoads, items: ReadonlyArray<readonly [key: string, value: T]>, options: StoreOptions<T>, tagName: (tag: string) => string): Promise<boolean[]> {
  const { log, store } = parts
  const before = log.ticket()
  // Made before anything is purged: a value that cannot be stored changes nothing.
  const entries = items.map(([, value]) => value === undefined ? undefined : loads.entryOf(value, options, tagName, before, { loadMs: 0, jitter: 1, marks: [] }))
  const { reach, at, asOf } = await purgeNames(log, items.map(([key]) => key))
  // What Redis hears before the purge, the purge will take when it gets there; so it need not be told.
  const ticket: Ticket = { at, asOf, ...reach === 'here' && { lease: LOST_LEASE } }
  const storable = items.flatMap(([key], index): Fill[] => {
    const entry = entries[index]
    return entry === undefined || entry.freshUntilMs <= entry.storedAtMs ? [] : [[key, { ...entry, asOf }, ticket]]
  })
  const verdicts = await store.writeMany(storable)
  const stored = new Set<string>()
  for (const [index, [key, entry]] of storable.entries()) {
    const verdict = verdicts[index] ?? refused('unavailable')
    loads.account(key, entry, verdict)
    if (verdict.stored) stored.add(key)
  }
  return items.map(([key]) => stored.has(key))
}
