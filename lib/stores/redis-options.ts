import type { EpochMs, Milliseconds } from '../clock.ts'
import { checkCompression, type CompressionOptions } from '../codec/compression.ts'
import { jsonSerializer, type ValueSerializer } from '../codec/serializer.ts'
import { errors, shown } from '../errors.ts'
import type { BaseCacheParts } from '../ports/base-cache.ts'
import type { RedisClient } from '../ports/redis-client.ts'

export interface RedisCacheOptions extends BaseCacheParts {
  /** Where Redis is; the cache uses it and does not close it. */
  client: RedisClient
  /** In front of every key; no braces, because they would choose the Cluster slot. @default 'frc:' */
  prefix?: string
  /** How data values are kept. @default JSON */
  serializer?: ValueSerializer
  /** How bodies are compressed. @default brotli, quality 1, from 1024 bytes on */
  compression?: CompressionOptions
  /** An entry that is larger, in bytes, is refused and not stored, and one that is found is not read. @default 5242880 (5 MB) */
  maxEntryBytes?: number
  /** Ask the shared log before every read, so that a purge acknowledged anywhere holds here. @default false */
  strict?: boolean
  /** How often a step of background work, as the walk of `wipe`, is tried again. Reads and fills are not: the caller waits. @default 3 */
  retryAttempts?: number
  /** Pause before the first of these tries, in milliseconds; each further one is twice as long. @default 100 */
  retryDelayMs?: Milliseconds
  /** The time all instances agree on. @default that of the Redis server */
  sharedNow?: () => EpochMs
}

export type ResolvedRedisOptions = Readonly<Required<Omit<RedisCacheOptions, keyof BaseCacheParts>>>

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function resolveRedisOptions (given: RedisCacheOptions): ResolvedRedisOptions {
  const { client, prefix = 'frc:', serializer = jsonSerializer, compression = {}, maxEntryBytes = 5 * 1024 * 1024, strict = false, retryAttempts = 3, retryDelayMs = 100, sharedNow = () => client.now() } = given
  if (/[{}]/.test(prefix)) throw new errors.FST_ERR_CACHE_OPTION('prefix', shown(prefix), 'text without braces')
  if (!Number.isSafeInteger(maxEntryBytes) || maxEntryBytes < 1) throw new errors.FST_ERR_CACHE_OPTION('maxEntryBytes', shown(maxEntryBytes), 'a positive integer')
  checkCompression(compression)
  return Object.freeze({ client, prefix, serializer, compression, maxEntryBytes, strict, retryAttempts, retryDelayMs, sharedNow })
}
