import type { CacheManager } from '../lib/cache-manager.ts'
import type { CacheMonitor } from '../lib/engine/monitor/cache-monitor.ts'
import type { CacheOutcome } from './exchange.ts'
import type { RouteCacheOptions } from './route-options.ts'
import type { Warmup } from './warmup.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The cache: data by key, and the purges of data and responses. */
    cache: CacheManager
    /** The warm-up, where the option `warmup` asks for one. A readiness probe waits for its `done`. */
    cacheWarmup?: Warmup
    /** The monitor of the cache, unless the option `monitor` is false. */
    cacheMonitor?: CacheMonitor
  }
  interface FastifyRequest {
    /** What the cache did for this request, and why. */
    readonly cache: CacheOutcome
  }
  interface FastifyReply {
    /** Adds tags to the response, should it be stored; also in an `onSend` hook. */
    cacheTags: (...tags: string[]) => FastifyReply
  }
  interface FastifyContextConfig {
    /** Caching of the route's responses; what a success invalidates, on a route of an unsafe method. */
    cache?: RouteCacheOptions | boolean
  }
}

export type { CacheOutcome }
