import type { Seconds } from '../clock.ts'
import type { TextStorage } from '../ports/text-storage.ts'
import type { CacheEngine } from './cache-engine.ts'

const MONTH: Seconds = 30 * 86_400

/** Keeps a text in the cache itself: over a restart where the cache is in Redis. Clearing the cache clears it, too. */
export function createTextInCache (cache: CacheEngine, key = 'warming:hot-list'): TextStorage {
  return {
    async read () {
      const text = await cache.get(key)
      return typeof text === 'string' ? text : undefined
    },
    async write (text) {
      await cache.set(key, text, { ttl: MONTH })
    }
  }
}
