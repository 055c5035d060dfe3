import { inspect } from 'node:util'
import { CacheStrategy, DEFAULT_CACHE_CONFIG, isWhole, resolveConfig, withoutPasswords, type CacheConfig } from './config.ts'
import { compose, type CacheDeps } from './compose.ts'
import { CacheEngine } from './engine/cache-engine.ts'
import type { EngineParts } from './engine/parts.ts'
import { errors, shown } from './errors.ts'
import type { CacheEventName, CacheListener } from './events.ts'

/**
 * The cache of an application: data by key, responses by request, one invalidation log for both.
 *
 * ```ts
 * const cache = new CacheManager({ strategy: 'memory', memoryMaxSize: 500 })
 * await cache.initialize()
 * await cache.set('user:123', user, 3600)
 * ```
 */
export class CacheManager extends CacheEngine {
  /** The resolved configuration. */
  readonly config: Readonly<CacheConfig>
  /** What the cache is made of; for those who extend it. */
  readonly parts: EngineParts
  #opening: Promise<void> | undefined

  /** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN, FST_ERR_CACHE_OPTION_CONFLICT */
  constructor (config: Partial<CacheConfig> = {}, deps: CacheDeps = {}) {
    checkAddresses(config, deps)
    const resolved = resolveConfig(besideStore(config, deps), process.env)
    const parts = compose(resolved, deps)
    super(parts)
    this.config = resolved
    this.parts = parts
  }

  /**
   * Gets ready for use: where there is a Redis to connect to, waits for it a moment, and goes on without it if need be.
   * A cache in memory is ready at once.
   * @throws FST_ERR_CACHE_REDIS_REQUIRED when `redisRequired` is set and Redis does not answer
   */
  async initialize (): Promise<this> {
    // Once: who comes later must not wait again for a Redis that is not there.
    this.#opening ??= this.parts.open().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    await this.#opening
    return this
  }

  /** The same; who has never waited for Redis and leaves at once waits for it now, for it has not heard of the purges yet. */
  override async close (): Promise<void> {
    if (this.#opening === undefined && this.parts.log.queued > 0) {
      this.#opening = this.parts.open().catch(() => {})
      await this.#opening
    }
    await super.close()
  }

  /** What a log may show of the cache: its configuration, without passwords. */
  toJSON (): { config: CacheConfig } {
    return { config: withoutPasswords(this.config) }
  }

  [inspect.custom] (): unknown {
    return { CacheManager: this.toJSON() }
  }

  /** Listens to what the cache says about itself. A listener that throws is reported as a `fault`, and harms nobody. */
  on<E extends CacheEventName> (name: E, listener: CacheListener<E>): this {
    this.parts.events.on(name, listener)
    return this
  }

  off<E extends CacheEventName> (name: E, listener: CacheListener<E>): this {
    this.parts.events.off(name, listener)
    return this
  }
}

const ADDRESSES = ['redisUrl', 'redisDb', 'redisPassword'] as const satisfies ReadonlyArray<keyof CacheConfig>

/** Where Redis is can be said once, and where there is to be one; the environment is asked only when the program says nothing. */
function checkAddresses (config: Partial<CacheConfig>, { redis }: CacheDeps): void {
  const twice = ADDRESSES.find((option) => config[option] !== undefined && config[option] !== null)
  if (redis !== undefined && twice !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('redis', twice, 'both say where Redis is, and how to get in')
  if (config.strategy !== CacheStrategy.MEMORY || isWhole(config)) return
  const idle = redis !== undefined ? 'redis' : ([...ADDRESSES, 'redisRequired'] as const).find((option) => config[option] !== undefined && config[option] !== DEFAULT_CACHE_CONFIG[option])
  if (idle !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(`strategy: ${shown(config.strategy)}`, idle, 'memory knows no Redis; "hybrid" and "redis" do')
}

/** What says something of Redis, or of a memory that is not made. `redisTimeout` is not here: it bounds the wait for any store that answers by promise. */
const NOTHING_TO_A_STORE = ['evictionPolicy', 'redisUrl', 'redisDb', 'redisPassword', 'redisTtl', 'redisPrefix', 'redisRequired', 'writePolicy', 'consistency', 'enableCompression'] as const satisfies ReadonlyArray<keyof CacheConfig>
/** What says how often a CDN is told again, where there is one. */
const NOTHING_WITHOUT_CDN = ['retryAttempts', 'retryDelay'] as const satisfies ReadonlyArray<keyof CacheConfig>

/**
 * A store of one's own is that of one process, so its strategy is `memory`. What the program says beside it must have an
 * effect; what the environment says may be meant for others.
 */
function besideStore (config: Partial<CacheConfig>, { store, redis, compression, cdn }: CacheDeps): Partial<CacheConfig> {
  if (store === undefined) return config
  const { strategy = CacheStrategy.MEMORY } = config
  if (strategy !== CacheStrategy.MEMORY) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('store', `strategy: ${shown(strategy)}`, 'a store of your own takes the place of all others')
  const idle = [...NOTHING_TO_A_STORE, ...cdn?.purge === undefined ? NOTHING_WITHOUT_CDN : []].find((option) => config[option] !== undefined && config[option] !== null)
  const vain = redis !== undefined ? 'redis' : compression !== undefined ? 'compression' : idle
  if (vain !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('store', vain, 'it would have no effect on a store of your own')
  return { ...config, strategy }
}
