import type { Milliseconds } from '../clock.ts'
import type { Entry } from '../entry.ts'
import { errors, shown } from '../errors.ts'
import type { EvictionCause } from '../events.ts'
import type { EvictionPolicyName } from '../eviction/create-bounded-map.ts'
import type { BaseCacheParts } from '../ports/base-cache.ts'
import { refuseUnknown } from '../unknown-option.ts'

export interface MemoryCacheOptions extends BaseCacheParts {
  /** How many entries are held at most. @default 10000 */
  maxEntries?: number
  /** How much memory they take at most, by estimate, in bytes. @default 104857600 (100 MB) */
  maxBytes?: number
  /** An entry that is larger, in bytes, is refused and not stored. @default 5242880 (5 MB) */
  maxEntryBytes?: number
  /** Who makes room when one of the bounds is reached. @default 'lru' */
  evictionPolicy?: EvictionPolicyName
  /** Lets `'lfu'` forget what was popular once; `false` gives the textbook form. @default true */
  lfuAging?: boolean
  /** Pause between two searches for expired entries, in milliseconds; 0 leaves them until they must make room. @default 30000 */
  sweepIntervalMs?: Milliseconds
  /** Told about each entry that left without anybody asking for it, once it is gone. */
  onEvict?: (key: string, entry: Entry, cause: EvictionCause) => void
}

export type ResolvedMemoryOptions = Readonly<Required<Omit<MemoryCacheOptions, keyof BaseCacheParts>>>

export const MEMORY_DEFAULTS: ResolvedMemoryOptions = Object.freeze({
  maxEntries: 10_000,
  maxBytes: 100 * 1024 * 1024,
  maxEntryBytes: 5 * 1024 * 1024,
  evictionPolicy: 'lru',
  lfuAging: true,
  sweepIntervalMs: 30_000,
  onEvict: () => {}
})

const KNOWN: ReadonlySet<string> = new Set([...Object.keys(MEMORY_DEFAULTS), ...['log', 'clock', 'ttl'] satisfies Array<keyof BaseCacheParts>])
const COUNTS = ['maxEntries', 'maxBytes', 'maxEntryBytes'] as const

/** @throws FST_ERR_CACHE_OPTION when a bound is not a positive integer; FST_ERR_CACHE_OPTION_UNKNOWN */
export function resolveMemoryOptions (given: MemoryCacheOptions): ResolvedMemoryOptions {
  refuseUnknown(given, KNOWN)
  const resolved: ResolvedMemoryOptions = Object.freeze({
    maxEntries: given.maxEntries ?? MEMORY_DEFAULTS.maxEntries,
    maxBytes: given.maxBytes ?? MEMORY_DEFAULTS.maxBytes,
    maxEntryBytes: given.maxEntryBytes ?? MEMORY_DEFAULTS.maxEntryBytes,
    evictionPolicy: given.evictionPolicy ?? MEMORY_DEFAULTS.evictionPolicy,
    lfuAging: given.lfuAging ?? MEMORY_DEFAULTS.lfuAging,
    sweepIntervalMs: given.sweepIntervalMs ?? MEMORY_DEFAULTS.sweepIntervalMs,
    onEvict: given.onEvict ?? MEMORY_DEFAULTS.onEvict
  })
  for (const name of COUNTS) {
    if (!Number.isSafeInteger(resolved[name]) || resolved[name] < 1) {
      throw new errors.FST_ERR_CACHE_OPTION(name, shown(resolved[name]), 'a positive integer')
    }
  }
  return resolved
}
