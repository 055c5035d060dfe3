import { toMs, type Milliseconds, type Seconds } from '../clock.ts'
import { errors, shown } from '../errors.ts'
import type { BaseCacheParts } from '../ports/base-cache.ts'
import type { MemoryCache } from './memory.ts'
import type { RedisCache } from './redis.ts'

export interface HybridCacheOptions extends BaseCacheParts {
  /** The near tier, on the same log and clock. */
  memory: MemoryCache
  /** The shared tier, on the same log and clock. */
  redis: RedisCache
  /** How long a copy in memory is used before Redis is asked again, in seconds. @default 300 */
  memoryTtl?: Seconds
  /** `through` stores in Redis before a write is done; `back` stores there a moment later, many at once. @default 'through' */
  writes?: 'through' | 'back'
  /** Entries that wait to be written back at most; the oldest make room. @default 10000 */
  writeBackMaxEntries?: number
  /** Bytes that wait to be written back at most. @default 16777216 (16 MB) */
  writeBackMaxBytes?: number
  /** What waits to be written back may hold up the closing for so long, in milliseconds. @default 1000 */
  drainMs?: Milliseconds
  /** How long a read waits for Redis in all, where it has two questions, in milliseconds. @default 200 */
  patienceMs?: Milliseconds
  /** Ask the shared log before every read; the Redis tier must be strict too. @default false */
  strict?: boolean
}

export interface ResolvedHybridOptions {
  readonly memoryTtlMs: Milliseconds
  readonly writeBack: boolean
  readonly drainMs: Milliseconds
  readonly patienceMs: Milliseconds
  readonly strict: boolean
}

/** @throws FST_ERR_CACHE_OPTION */
export function resolveHybridOptions ({ memoryTtl = 300, writes = 'through', drainMs = 1000, patienceMs = 200, strict = false, writeBackMaxEntries = 1, writeBackMaxBytes = 1 }: HybridCacheOptions): ResolvedHybridOptions {
  if (!Number.isFinite(memoryTtl) || memoryTtl <= 0) throw new errors.FST_ERR_CACHE_OPTION('memoryTtl', shown(memoryTtl), 'a number of seconds above 0')
  if (writes !== 'through' && writes !== 'back') throw new errors.FST_ERR_CACHE_OPTION('writes', shown(writes), "'through' or 'back'")
  for (const [name, value] of Object.entries({ writeBackMaxEntries, writeBackMaxBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) throw new errors.FST_ERR_CACHE_OPTION(name, shown(value), 'a positive integer')
  }
  return Object.freeze({ memoryTtlMs: toMs(memoryTtl), writeBack: writes === 'back', drainMs, patienceMs, strict })
}
