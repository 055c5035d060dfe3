import { CacheManager } from './cache-manager.ts'
import type { CacheConfig } from './config.ts'
import { createCacheInvalidate, type CacheInvalidate } from './engine/cache-invalidate.ts'
import { createCached, type Cached } from './engine/cached.ts'
import { errors } from './errors.ts'
import type { MaybePromise } from './maybe-promise.ts'

let manager: CacheManager | undefined

/** The caches of running applications, one item for each registration. */
const adopted: CacheManager[] = []

/**
 * The cache of this process, for code outside Fastify: made at the first call, the same from then on.
 * @param config used by the call that makes the cache; a later call that brings another one is a mistake
 * @throws FST_ERR_CACHE_OPTION_CONFLICT when the cache exists already and a configuration is given
 */
export async function getCacheManager (config?: Partial<CacheConfig>): Promise<CacheManager> {
  if (manager !== undefined && config !== undefined) {
    throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('getCacheManager(config)', 'the cache that exists', 'it was made by an earlier call; close it first with closeCacheManager()')
  }
  manager ??= new CacheManager(config)
  return await manager.initialize()
}

/** Closes the cache that `getCacheManager()` made; the next call makes a new one. */
export async function closeCacheManager (): Promise<void> {
  const closing = manager
  manager = undefined
  await closing?.close()
}

/** Makes a cache the one that decorators use by themselves, as long as its application runs. @returns ends that */
export function adoptCacheManager (cache: CacheManager): () => void {
  adopted.push(cache)
  let held = true
  return () => {
    if (held) adopted.splice(adopted.indexOf(cache), 1)
    held = false
  }
}

/**
 * The cache that is meant when nobody names one: that of the application, if the process runs just one; the one of
 * `getCacheManager()` if it runs none. Among several nobody guesses: a purge of the wrong one would leave the other stale.
 * @throws FST_ERR_CACHE_MANAGER when several applications with different caches run
 */
export function currentCacheManager (): MaybePromise<CacheManager> {
  const [cache, ...others] = new Set(adopted)
  if (cache === undefined) return getCacheManager()
  if (others.length > 0) throw new errors.FST_ERR_CACHE_MANAGER(others.length + 1)
  return cache
}

/**
 * Caches what a method answers, as `getOrSet` does: one load however many ask, stale answers where allowed, and a purge
 * of whatever the method read through the cache takes its answer, too. A decorator of either kind, or a wrapper.
 *
 * ```ts
 * class ProductService {
 *   @cached({ ttl: 300, keyPrefix: 'product' })
 *   async getProduct (productId: string): Promise<Product | undefined> { … }
 * }
 * const rate = cached({ key: 'rate:{0}' })(async (currency: string) => await fetchRate(currency))
 * ```
 *
 * @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_OPTION_CONFLICT, FST_ERR_CACHE_DECORATOR; the
 *   decorated method throws FST_ERR_CACHE_ARGUMENT, FST_ERR_CACHE_MANAGER, and what `getOrSet` throws
 */
export const cached: Cached = createCached(currentCacheManager)

/**
 * Makes invalid what a method has changed: after it succeeded, before its caller learns of it. When it fails, nothing.
 *
 * ```ts
 * @cacheInvalidate({ keys: ['catalog:*', 'product:{productId}'] })
 * async updateProduct (productId: string, changes: ProductChanges): Promise<boolean> { … }
 * ```
 *
 * @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_PURGE_EMPTY, FST_ERR_CACHE_PATTERN,
 *   FST_ERR_CACHE_DECORATOR; the decorated method throws FST_ERR_CACHE_ARGUMENT before it runs
 */
export const cacheInvalidate: CacheInvalidate = createCacheInvalidate(currentCacheManager)
