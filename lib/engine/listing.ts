import { setImmediate } from 'node:timers/promises'
import type { EpochMs } from '../clock.ts'
import { staleUntilMs, type Entry } from '../entry.ts'
import { globMatches, parseGlob } from '../keyspace/glob.ts'
import { keysOf, tagsOf } from '../keyspace/mark.ts'
import { checkPattern } from '../keyspace/pattern.ts'
import type { PurgeRecord } from '../ports/invalidation-log.ts'
import { refuseUnknown } from '../unknown-option.ts'
import type { EngineParts } from './parts.ts'

/** What can be told about a stored entry without its value. Instants are epoch milliseconds. */
export interface EntryInfo {
  key: string
  kind: Entry['kind']
  storedAtMs: EpochMs
  freshUntilMs: EpochMs
  staleUntilMs: EpochMs
  fresh: boolean
  bytes: number
  loadMs: number
  tags: string[]
  /** The keys it was built from: a purge of one of them takes it too. */
  builtFrom: string[]
}

export interface EntriesOptions {
  /** Only keys that match this glob. @default '*' */
  pattern?: string
  /** How many entries are fetched from the store at a time. @default 100 */
  pageSize?: number
}

/** What a purge would touch. */
export interface PurgePreview {
  touched: number
  /** The first hundred of the keys. */
  keys: string[]
}

const PREVIEW_KEYS = 100

async function * eachEntry ({ store }: EngineParts, pageSize: number): AsyncGenerator<readonly [string, Entry], void, undefined> {
  let cursor: string | undefined
  do {
    const page = await store.scan(cursor, pageSize)
    yield * page.entries
    cursor = page.cursor
    // A store in memory answers at once: without a pause, a walk over a million entries would keep all requests waiting.
    if (cursor !== undefined) await setImmediate()
  } while (cursor !== undefined)
}

export function describeEntry (key: string, entry: Entry, nowMs: EpochMs): EntryInfo {
  return {
    key,
    kind: entry.kind,
    storedAtMs: entry.storedAtMs,
    freshUntilMs: entry.freshUntilMs,
    staleUntilMs: staleUntilMs(entry),
    fresh: nowMs < entry.freshUntilMs,
    bytes: entry.bytes,
    loadMs: entry.loadMs,
    tags: tagsOf(entry.marks),
    builtFrom: keysOf(entry.marks)
  }
}

const KNOWN: ReadonlySet<string> = new Set<keyof EntriesOptions>(['pattern', 'pageSize'])

/** @param named the pattern as the whole cache knows it */
export async function * describeEntries (parts: EngineParts, options: EntriesOptions, named: (pattern: string) => string): AsyncGenerator<EntryInfo, void, undefined> {
  refuseUnknown(options, KNOWN)
  const { pattern: given = '*', pageSize = 100 } = options
  const pattern = named(checkPattern(given))
  const verdict = parseGlob(pattern)
  for await (const [key, entry] of eachEntry(parts, pageSize)) {
    if (verdict.valid && globMatches(verdict.glob, key)) yield describeEntry(key, entry, parts.clock.now())
  }
}

/** Tries the purge on a log of its own, so that what it says is what the purge would do. */
export async function previewPurge (parts: EngineParts, record: PurgeRecord): Promise<PurgePreview> {
  const log = parts.scratchLog()
  const since = log.tip
  await log.append(record)
  const preview: PurgePreview = { touched: 0, keys: [] }
  for await (const [key, entry] of eachEntry(parts, PREVIEW_KEYS)) {
    if (log.judge(key, entry.marks, since) === 'valid') continue
    preview.touched++
    if (preview.keys.length < PREVIEW_KEYS) preview.keys.push(key)
  }
  return preview
}
