import type { EpochMs, Milliseconds } from '../clock.ts'
import type { Entry } from '../entry.ts'
import { describeEntry, type EntryInfo } from './listing.ts'
import type { EngineParts } from './parts.ts'
import type { Variants } from './response-cache.ts'

/** An entry, and why it is what it is. */
export interface EntryReport extends EntryInfo {
  state: 'fresh' | 'stale'
  /** Until when it is good for what, in a sentence. */
  why: string
  /** Of the list of variants of a URL: the request fields that tell them apart, and their keys. */
  variants?: { on: readonly string[], keys: readonly string[] }
}

/** What is stored under `key`, responses included; `undefined` when there is nothing, or a purge has taken it. */
export async function reportEntry ({ store, clock }: Pick<EngineParts, 'store' | 'clock'>, key: string): Promise<EntryReport | undefined> {
  const entry = await store.read(key, false)
  return entry === undefined ? undefined : entryReport(key, entry, clock.now())
}

export function entryReport (key: string, entry: Entry, nowMs: EpochMs): EntryReport {
  const info = describeEntry(key, entry, nowMs)
  return { ...info, state: info.fresh ? 'fresh' : 'stale', why: whyOf(entry, info, nowMs), ...entry.kind === 'variants' && { variants: variantsOf(entry) } }
}

function whyOf (entry: Entry, { tags, builtFrom }: EntryInfo, nowMs: EpochMs): string {
  const left = (untilMs: EpochMs): string => seconds(untilMs - nowMs)
  if (nowMs < entry.freshUntilMs) {
    return `Fresh for ${left(entry.freshUntilMs)} more: no purge since it was stored has named its key${among(tags, 'tag', 'that it carries')}${among(builtFrom, 'key', 'that it was built from')}`
  }
  const since = `Stale for ${seconds(nowMs - entry.freshUntilMs)}: its time is over, or a soft purge has ended it`
  const uses = [
    ...nowMs < entry.staleWhileRevalidateUntilMs ? [`served while one refresh runs, for ${left(entry.staleWhileRevalidateUntilMs)} more`] : [],
    ...nowMs < entry.staleIfErrorUntilMs ? [`served when the load fails, for ${left(entry.staleIfErrorUntilMs)} more`] : [],
    ...entry.keptUntilMs !== undefined && nowMs < entry.keptUntilMs ? [`kept to be validated, for ${left(entry.keptUntilMs)} more`] : []
  ]
  return uses.length === 0 ? `${since}; it is not served any more` : `${since}; ${uses.join('; ')}`
}

function among (names: readonly string[], noun: string, relation: string): string {
  if (names.length === 0) return ''
  return names.length === 1 ? `, nor the ${noun} ${relation}` : `, nor any of the ${names.length} ${noun}s ${relation}`
}

function seconds (ms: Milliseconds): string {
  return `${Math.ceil(ms / 1000)} s`
}

function variantsOf (entry: Entry): NonNullable<EntryReport['variants']> {
  const { names, keys } = entry.value as Variants
  return { on: names, keys }
}
