import { createError } from '@fastify/error'
import { isPlain } from './plain-object.ts'

/**
 * Every error that this package creates. The README lists each code (a test compares), and a retired code is never
 * used again.
 */
export const errors = {
  FST_ERR_CACHE_OPTION: createError<[option: string, value: string, allowed: string]>('FST_ERR_CACHE_OPTION', 'Option %s is %s, must be %s', 500, TypeError),
  FST_ERR_CACHE_OPTION_UNKNOWN: createError<[option: string, nearest: string]>('FST_ERR_CACHE_OPTION_UNKNOWN', 'Option %s does not exist. %s', 500, TypeError),
  FST_ERR_CACHE_OPTION_CONFLICT: createError<[first: string, second: string, why: string]>('FST_ERR_CACHE_OPTION_CONFLICT', 'Options %s and %s do not go together: %s', 500, TypeError),
  FST_ERR_CACHE_KEY: createError<[key: string, allowed: string]>('FST_ERR_CACHE_KEY', 'Cache key %s must be %s', 500, TypeError),
  FST_ERR_CACHE_TAG: createError<[tag: string, allowed: string]>('FST_ERR_CACHE_TAG', 'Cache tag %s must be %s', 500, TypeError),
  FST_ERR_CACHE_PATTERN: createError<[pattern: string, why: string]>('FST_ERR_CACHE_PATTERN', 'Pattern %s cannot be used: %s', 400, TypeError),
  FST_ERR_CACHE_PURGE_EMPTY: createError('FST_ERR_CACHE_PURGE_EMPTY', 'A purge must name at least one of keys, tags, patterns, paths, or everything', 400, TypeError),
  FST_ERR_CACHE_VALUE: createError<[where: string, what: string]>('FST_ERR_CACHE_VALUE', 'The value cannot be cached: %s is %s', 500, TypeError),
  FST_ERR_CACHE_LOAD_TIMEOUT: createError<[key: string, ms: number]>('FST_ERR_CACHE_LOAD_TIMEOUT', 'The load of %s took longer than its deadline of %d ms', 504),
  FST_ERR_CACHE_LOAD_CYCLE: createError<[key: string]>('FST_ERR_CACHE_LOAD_CYCLE', 'The loader of %s asks the cache for the value that it is to load, and would wait for itself. Give one of the two another key', 500),
  FST_ERR_CACHE_CLOSED: createError<[operation: string]>('FST_ERR_CACHE_CLOSED', 'The cache is closed; %s is not possible any more', 500),
  FST_ERR_CACHE_REDIS_UNAVAILABLE: createError<[why: string]>('FST_ERR_CACHE_REDIS_UNAVAILABLE', 'Redis is not available: %s', 503),
  FST_ERR_CACHE_REDIS_REQUIRED: createError<[where: string, ms: number, why: string]>('FST_ERR_CACHE_REDIS_REQUIRED', 'Redis is required, but %s was not ready within %d ms: %s', 500),
  FST_ERR_CACHE_REDIS_LOCKED: createError<[where: string, why: string, cure: string]>('FST_ERR_CACHE_REDIS_LOCKED', 'Redis at %s does not let us in (%s); the cache goes on without it until it does. %s', 503),
  FST_ERR_CACHE_REDIS_PERMISSION: createError<[where: string, why: string, cure: string]>('FST_ERR_CACHE_REDIS_PERMISSION', 'Redis at %s does not let its user do all that the cache needs (%s). Until it does, instances do not hear of all purges at once, and copies in memory may be as old as memoryTtl. What is needed: %s', 503),
  FST_ERR_CACHE_REDIS_READ_ONLY: createError<[where: string, why: string]>('FST_ERR_CACHE_REDIS_READ_ONLY', 'Redis at %s takes no writes (%s). Until it does, purges of this instance hold here and wait, others do not hear of them, and nothing is stored there. Make it a master (REPLICAOF NO ONE), or name the master with redisUrl, or its sentinels with redis', 503),
  FST_ERR_CACHE_ARGUMENT: createError<[argument: string, what: string]>('FST_ERR_CACHE_ARGUMENT', 'Argument %s cannot be part of a cache key, it %s; say with the option key what the key is', 500, TypeError),
  FST_ERR_CACHE_DECORATOR: createError<[decorator: string, what: string]>('FST_ERR_CACHE_DECORATOR', '%s() cannot be used on %s', 500, TypeError),
  FST_ERR_CACHE_MANAGER: createError<[count: number]>('FST_ERR_CACHE_MANAGER', 'There are %d applications with a cache in this process; say which one is meant with the option manager', 500),
  FST_ERR_CACHE_WARM_PATH: createError<[path: string]>('FST_ERR_CACHE_WARM_PATH', 'Path %s cannot be warmed: it must be a clean path of this application, such as /products?page=1', 400, TypeError),
  FST_ERR_CACHE_REQUEST: createError<[field: string, value: string, allowed: string]>('FST_ERR_CACHE_REQUEST', 'In the request, %s is %s, must be %s', 400),
  FST_ERR_CACHE_UNAUTHORIZED: createError('FST_ERR_CACHE_UNAUTHORIZED', 'This route of the cache needs its bearer token', 401),
  FST_ERR_CACHE_CROSS_ORIGIN: createError('FST_ERR_CACHE_CROSS_ORIGIN', 'The request was sent by a page of another origin', 403),
  FST_ERR_CACHE_NOT_STORED: createError<[key: string]>('FST_ERR_CACHE_NOT_STORED', 'Nothing valid is stored under %s', 404),
  FST_ERR_CACHE_MEDIA_TYPE: createError<[type: string]>('FST_ERR_CACHE_MEDIA_TYPE', 'The content type is %s, must be application/json', 415),
  FST_ERR_CACHE_WEBHOOK: createError<[why: string, options?: ErrorOptions]>('FST_ERR_CACHE_WEBHOOK', 'An alert could not be posted: %s', 502),
  FST_ERR_CACHE_PURGES_LOST: createError<[purges: string]>('FST_ERR_CACHE_PURGES_LOST', 'Purges could not be sent to Redis before the cache was closed (%s); other instances keep old copies until these expire', 503),
  FST_ERR_CACHE_HAND_OFF: createError<[ms: number]>('FST_ERR_CACHE_HAND_OFF', 'A purge could not be handed on to the CDN within %d ms', 502),
  FST_ERR_CACHE_ONLY_IF_CACHED: createError('FST_ERR_CACHE_ONLY_IF_CACHED', 'Nothing that is stored answers the request, and it asks for nothing else', 504),
  FST_ERR_CACHE_WARM_JOB: createError<[id: string]>('FST_ERR_CACHE_WARM_JOB', 'There is no warming %s; the last twenty are remembered', 404),
  FST_ERR_CACHE_WARM_CONFLICT: createError<[why: string]>('FST_ERR_CACHE_WARM_CONFLICT', 'No warming was started: %s', 409),
  FST_ERR_CACHE_CURSOR: createError<[cursor: string]>('FST_ERR_CACHE_CURSOR', 'Cursor %s is none that a page of this store has told', 400),
  FST_ERR_CACHE_STREAMS: createError<[most: number]>('FST_ERR_CACHE_STREAMS', 'No more than %s may watch at the same time; ask for the figures instead', 503)
}

export type CacheErrorCode = keyof typeof errors

/** A value as an error message shows it: short, quoted, never more than 80 characters. */
export function shown (value: unknown): string {
  let text: string
  try { text = typeof value === 'string' ? JSON.stringify(value) : typeof value === 'function' ? 'a function' : typeof value === 'object' && value !== null ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n` : String(value) } catch { text = Object.prototype.toString.call(value) }
  // What JSON has no form for, such as a Map or the promise of an async function.
  if (text === '{}' && !isPlain(value as object)) text = Object.prototype.toString.call(value)
  return text.length > 80 ? text.slice(0, 77) + '...' : text
}
