import t, { type Test } from 'tap'
import { BaseCache, CacheManager, createLocalLog, errors, type BaseCacheParts, type CachePluginOptions, type Entry, type Fill, type ScanPage, type StoreParts, type Ticket, type TierUsage, type WriteVerdict } from 'fastify-response-cache'
import { fakeClock, storeContract, type ContractTest } from 'fastify-response-cache/store-contract'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'
import { tapTest } from '../support/tap-test.ts'

interface Held { readonly number: number, readonly entry: Entry, readonly at: number }
interface MapCacheOptions extends BaseCacheParts { readonly maxEntryBytes: number, readonly onEvict?: StoreParts['onEvict'] }

/** The least that a store must be. */
class MapCache extends BaseCache {
  readonly #options: MapCacheOptions
  readonly #held = new Map<string, Held>()
  readonly #evictions = { entries: 0, bytes: 0, expired: 0, purged: 0 }
  #written = 0
  #hits = 0
  #misses = 0
  #closed = false

  constructor (options: MapCacheOptions) {
    super(options)
    this.#options = options
  }

  read (key: string): Entry | undefined {
    const entry = this.found(key)
    if (entry === undefined) this.#misses++
    else this.#hits++
    return entry
  }

  readMany (keys: readonly string[]): Array<Entry | undefined> {
    return keys.map((key) => this.read(key))
  }

  write (key: string, entry: Entry, { at }: Ticket): WriteVerdict {
    const left = this.#closed ? 'closed' : this.judge(key, entry, at)
    const reason = typeof left === 'string' ? left : entry.bytes > this.#options.maxEntryBytes ? 'too-large' : undefined
    // What a purge has overtaken says nothing about the copy that is held: that may be of a later load.
    if (reason === 'expired' || reason === 'too-large') this.#held.delete(key)
    if (reason !== undefined) return { stored: false, reason }
    this.#held.set(key, { number: this.#held.get(key)?.number ?? this.#written++, entry, at })
    return { stored: true }
  }

  writeMany (fills: readonly Fill[]): WriteVerdict[] {
    return fills.map((fill) => this.write(...fill))
  }

  remove (keys: readonly string[]): number {
    return keys.filter((key) => this.found(key) !== undefined && this.#held.delete(key)).length
  }

  wipe (): void {
    this.#held.clear()
  }

  scan (cursor: string | undefined, count: number): ScanPage {
    if (cursor !== undefined && !/^\d+$/.test(cursor)) throw new errors.FST_ERR_CACHE_CURSOR(cursor)
    const ahead = [...this.#held].filter(([, { number }]) => number >= Number(cursor ?? 0))
    const entries = ahead.slice(0, count).flatMap(([key]) => { const entry = this.found(key); return entry === undefined ? [] : [[key, entry] as const] })
    return { entries, cursor: ahead[count]?.[1].number.toString() }
  }

  usage (): readonly TierUsage[] {
    return [{ tier: 'own', state: 'up', entries: this.#held.size, bytes: 0, maxEntries: 0, maxBytes: 0, hits: this.#hits, misses: this.#misses, errors: 0, evictions: { ...this.#evictions } }]
  }

  close (): void {
    this.#closed = true
    this.wipe()
  }

  protected found (key: string): Entry | undefined {
    const held = this.#held.get(key)
    if (held === undefined) return undefined
    const left = this.judge(key, held.entry, held.at)
    if (typeof left !== 'string') return left
    this.#held.delete(key)
    this.#evictions[left]++
    this.#options.onEvict?.(key, held.entry, left)
    return undefined
  }
}

storeContract(tapTest(t), 'MapCache', ({ clock, maxEntryBytes }) => {
  const log = createLocalLog({ clock })
  return { log, store: new MapCache({ log, clock, maxEntryBytes }) }
})

/** The sentences of the suite that a store breaks, with the message of the failure. */
async function broken (makeStore: (parts: MapCacheOptions) => BaseCache, seed?: number): Promise<Map<string, string>> {
  const tests: Array<Parameters<ContractTest>> = []
  storeContract((name, body) => tests.push([name, body]), '', ({ clock, maxEntryBytes }) => {
    const log = createLocalLog({ clock })
    return { log, store: makeStore({ log, clock, maxEntryBytes }) }
  }, seed === undefined ? {} : { seed })
  const found = new Map<string, string>()
  for (const [name, body] of tests) await body().catch((error: Error) => found.set(name.trim(), error.message))
  return found
}

t.test('the suite finds a store that breaks it', async (t) => {
  const ANY_ORDER = 'never returns a value older than the last purge that touched it, in any order of events'

  t.same(await broken((parts) => new MapCache(parts)), new Map(), 'one that does not break it passes')

  const deaf = await broken((parts) => new class extends MapCache {
    protected override judge (_key: string, entry: Entry): Entry { return entry }
  }(parts))
  t.ok(deaf.has('never returns what a purge of its tag has touched, whether it was stored before or is stored after'))
  t.ok(deaf.has('softens what a soft purge of a glob touches'))
  t.ok(deaf.has('returns stale entries up to the end of their last window, and not after'))
  t.ok(deaf.has(ANY_ORDER))
  t.notOk(deaf.has('takes every key for what it is'))

  // It takes what a load brings as if the load had begun only now.
  class Late extends MapCache {
    override write (key: string, entry: Entry): WriteVerdict { return super.write(key, entry, this.log.ticket()) }
  }
  const late = await broken((parts) => new Late(parts), 7)
  const message = late.get(ANY_ORDER) ?? ''
  t.match(message, /^with seed 7, begin .*, purge .*, commit \d \w+, get (\w:\d): step \d: \1 is \d, should be undefined$/, 'by a schedule without what it does not need')
  t.equal((await broken((parts) => new Late(parts), 7)).get(ANY_ORDER), message, 'a seed repeats it')

  const throwing = await broken((parts) => new class extends MapCache {
    override read (): undefined { throw new Error('not to be reached') }
  }(parts))
  t.match(throwing.get(ANY_ORDER), /get \w:\d: Error: not to be reached/)

  const others = await broken((parts) => new class extends MapCache {
    override remove (keys: readonly string[]): number { return keys.length }
    override scan (): ScanPage { return { entries: [], cursor: undefined } }
    override close (): void {}
  }(parts))
  t.same([...others.keys()].sort(), [
    'answers as if it held nothing once it is closed, and closes twice',
    'refuses a cursor that it has not told',
    'removes keys and tells how many there were',
    'shows all it holds in pages, each entry once',
    'shows in a scan whatever was there from its beginning to its end'
  ])
})

t.test('the plugin keeps responses and data in a store of its user', async (t) => {
  const handed: StoreParts[] = []
  const stores: MapCache[] = []
  const { app, clock } = await cachedApp({
    exposeStats: true,
    metrics: '/metrics',
    memoryMaxSize: 7,
    memoryMaxBytes: 10_000,
    memoryMaxEntryBytes: 5000,
    memoryTtl: 30,
    store: (parts) => {
      handed.push(parts)
      const store = new MapCache(parts)
      stores.push(store)
      return store
    }
  })
  t.teardown(async () => { await app.close() })
  let calls = 0
  app.get<{ Params: { id: string } }>('/products/:id', { config: { cache: { ttl: 60 } } }, async ({ params }) => {
    calls++
    return await app.cache.getOrSet(`product:${params.id}`, () => ({ id: params.id, calls }))
  })
  app.get('/large', { config: { cache: { ttl: 60 } } }, async () => 'x'.repeat(6000))

  t.match(cacheStatus(await app.inject('/products/1')), /stored/)
  const hit = await app.inject('/products/1')
  t.match(cacheStatus(hit), /^hit/)
  t.same(hit.json(), { id: '1', calls: 1 })
  t.equal(handed.length, 1, 'one store')
  t.match(handed[0], { maxEntries: 7, maxBytes: 10_000, maxEntryBytes: 5000 }, 'that knows the bounds')
  t.equal(handed[0]?.clock, clock)
  t.equal(app.cache.config.strategy, 'memory', 'the strategy is that of one process')
  t.equal(app.cache.parts.store, stores[0])

  const left: string[] = []
  app.cache.on('evict', ({ key, cause }) => { left.push(`${cause} ${key}`) })
  await app.cache.delete('product:1')
  t.match(cacheStatus(await app.inject('/products/1')), /^fwd=/, 'a purge of what it was built from takes the response')
  t.equal(calls, 2)
  t.same(left, ['purged product:1', 'purged response:http://localhost:80/products/1'], 'and the store tells what left')
  await app.inject('/large')
  t.match(cacheStatus(await app.inject('/large')), /^fwd=/, 'what is too large for it is not stored')

  await app.cache.set('value', 1)
  clock.advance(29_999)
  t.equal(await app.cache.get('value'), 1)
  clock.advance(1)
  t.equal(await app.cache.get('value'), undefined, 'memoryTtl counts')

  const keys: string[] = []
  for await (const { key } of app.cache.entries({ pageSize: 1 })) keys.push(key)
  t.ok(keys.some((key) => key.includes('/products/1')), 'its entries are listed')
  const { entries, tiers } = (await app.inject('/cache/stats')).json<{ entries: number, tiers: TierUsage[] }>()
  t.equal(entries, stores[0]?.usage()[0]?.entries)
  t.match(tiers, [{ tier: 'own', entries }])
  t.match((await app.inject('/metrics')).body, /fastify_cache_tier_lookups_total\{[^}]*tier="own"[^}]*\} [1-9]/)

  await app.close()
  t.same(stores[0]?.write('a', {} as never, {} as never), { stored: false, reason: 'closed' }, 'it is closed with the app')
})

t.test('a store that answers by promise is waited for', async (t) => {
  class SlowCache extends MapCache {
    override read (key: string): never { return Promise.resolve(super.read(key)) as never }
    override write (key: string, entry: Entry, ticket: Ticket): never { return Promise.resolve(super.write(key, entry, ticket)) as never }
  }
  const { app } = await cachedApp({ store: (parts) => new SlowCache(parts) })
  t.teardown(async () => { await app.close() })
  let calls = 0
  app.get('/', { config: { cache: { ttl: 60 } } }, async () => ++calls)
  await app.inject('/')
  t.equal((await app.inject('/')).body, '1')
})

t.test('a store beside what would have no effect is refused', async (t) => {
  const store = (parts: StoreParts): BaseCache => new MapCache(parts)
  const CONFLICT = 'FST_ERR_CACHE_OPTION_CONFLICT'
  const refuses = async (t: Test, options: CachePluginOptions, named: string): Promise<void> => {
    await t.rejects(async () => await cachedApp({ store, ...options }), { code: CONFLICT, message: new RegExp(`^Options store and ${named} do not go together: `) }, named)
  }
  await refuses(t as Test, { strategy: 'redis' }, 'strategy: "redis"')
  await refuses(t as Test, { strategy: 'hybrid' }, 'strategy: "hybrid"')
  await refuses(t as Test, { redis: 'redis://127.0.0.1:1' }, 'redis')
  await refuses(t as Test, { redisNamespace: 'cache' }, 'redisNamespace')
  await refuses(t as Test, { retryAttempts: 1 }, 'retryAttempts')
  const vain = { evictionPolicy: 'lru', redisUrl: 'redis://127.0.0.1:1', redisDb: 0, redisPassword: 'x', redisTtl: 1, redisPrefix: 'x', redisRequired: false, writePolicy: 'back', consistency: 'strict', enableCompression: true } as const
  for (const [name, value] of Object.entries(vain)) await refuses(t as Test, { [name]: value }, name)
  await t.rejects(cachedApp({ manager: new CacheManager({ strategy: 'memory' }), clock: undefined as never, random: undefined as never, store }), { code: CONFLICT, message: /manager and store/ })

  const { app } = await cachedApp({ store, strategy: 'memory', redisPassword: null, retryAttempts: 1, cdn: { purge: () => {} } })
  t.equal(app.cache.config.retryAttempts, 1, 'a CDN is told again')
  await app.close()
})

t.test('what makes no store is refused', async (t) => {
  const OPTION = { code: 'FST_ERR_CACHE_OPTION', message: /^Option store is .*, must be a function that answers a BaseCache$/ }
  for (const store of [null, {}, 'redis', new MapCache({ maxEntryBytes: 1 })]) t.throws(() => new CacheManager({}, { store } as never), OPTION)
  for (const made of [undefined, null, {}, new Map(), Promise.resolve(new MapCache({ maxEntryBytes: 1 }))]) t.throws(() => new CacheManager({}, { store: () => made } as never), OPTION)
})

t.test('what the environment says of Redis is meant for others', async (t) => {
  const before = { ...process.env }
  t.teardown(() => { process.env = before })
  Object.assign(process.env, { CACHE_STRATEGY: 'hybrid', CACHE_REDIS_URL: 'redis://127.0.0.1:1', CACHE_EVICTION_POLICY: 'fifo' })
  const cache = new CacheManager({}, { clock: fakeClock(), store: (parts) => new MapCache(parts) })
  t.equal(cache.config.strategy, 'memory')
  t.equal(cache.parts.connection, undefined)
  await cache.set('a', 1)
  t.equal(await cache.get('a'), 1)
  await cache.close()
})
