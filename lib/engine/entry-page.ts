import { globMatches, parseGlob } from '../keyspace/glob.ts'
import { checkPattern } from '../keyspace/pattern.ts'
import { describeEntry, type EntryInfo } from './listing.ts'
import type { EngineParts } from './parts.ts'

export interface EntryPageOptions {
  /** Only keys that match this glob. @default '*' */
  readonly pattern?: string | undefined
  /** Entries on a page at most, as far as the store can tell beforehand. @default 100 */
  readonly limit?: number | undefined
  /** Where the page before this one ended. @default at the beginning */
  readonly cursor?: string | undefined
}

export interface EntryPage {
  readonly entries: readonly EntryInfo[]
  /** Where the next page begins; not there after the last one. A page may be empty and not be the last. */
  readonly cursor?: string
}

/** How many steps of the store one page may take while nothing matches. */
const MAX_STEPS = 100

/**
 * One page of what is stored. It holds no state between pages: the store's own cursor goes to the caller and back.
 * @throws FST_ERR_CACHE_PATTERN
 */
export async function entryPage ({ store, clock }: Pick<EngineParts, 'store' | 'clock'>, { pattern = '*', limit = 100, cursor }: EntryPageOptions): Promise<EntryPage> {
  const verdict = parseGlob(checkPattern(pattern))
  const entries: EntryInfo[] = []
  let next = cursor
  for (let step = 0; step < MAX_STEPS && entries.length === 0; step++) {
    const page = await store.scan(next, limit)
    for (const [key, entry] of page.entries) {
      if (verdict.valid && globMatches(verdict.glob, key)) entries.push(describeEntry(key, entry, clock.now()))
    }
    next = page.cursor
    if (next === undefined) return { entries }
  }
  return { entries, ...next !== undefined && { cursor: next } }
}
