import { CacheManager } from './cache-manager.ts'
import type { CacheConfig } from './config.ts'
import { errors } from './errors.ts'

let manager: CacheManager | undefined

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
