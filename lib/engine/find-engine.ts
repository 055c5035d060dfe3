import { errors, shown } from '../errors.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { CacheEngine } from './cache-engine.ts'

/** Which cache a decorated method uses: this one, or what the function answers for its object. */
export type EngineOf<This> = CacheEngine | ((self: This) => CacheEngine)

/** Answers the cache that is meant when nobody names one. */
export type FallbackEngine = () => MaybePromise<CacheEngine>

const MEMBERS = ['cache', 'cacheManager'] as const

/**
 * The cache of a call: the one named, else the member `cache` or `cacheManager` of the object, else the fallback.
 * @throws FST_ERR_CACHE_OPTION when what is named is no cache
 */
export function findEngine<This> (named: EngineOf<This> | undefined, self: This, fallback: FallbackEngine): MaybePromise<CacheEngine> {
  if (named !== undefined) {
    const engine: unknown = typeof named === 'function' ? named(self) : named
    if (!(engine instanceof CacheEngine)) throw new errors.FST_ERR_CACHE_OPTION('manager', shown(engine), 'a CacheManager, a namespace of one, or a function that answers one')
    return engine
  }
  if ((typeof self === 'object' && self !== null) || typeof self === 'function') {
    for (const member of MEMBERS) {
      const engine: unknown = (self as Readonly<Record<string, unknown>>)[member]
      if (engine instanceof CacheEngine) return engine
    }
  }
  return fallback()
}
