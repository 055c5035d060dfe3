import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { CacheManager } from '../../../lib/cache-manager.ts'
import type { CacheConfig } from '../../../lib/config.ts'
import { StaticDataCache } from '../../../lib/engine/static-data-cache.ts'
import type { Purge } from '../../../lib/purge.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { startRedis } from '../../support/redis-server.ts'

const DAY_MS = 86_400_000

function setUp (t: Test, config: Partial<CacheConfig> = {}): { clock: ReturnType<typeof fakeClock>, cache: CacheManager, statics: StaticDataCache, faults: string[] } {
  const clock = fakeClock()
  const cache = new CacheManager({ staleIfError: 0, ...config }, { clock, random: () => 0 })
  const statics = new StaticDataCache(cache)
  const faults: string[] = []
  cache.on('fault', ({ where, error }) => { faults.push(`${where}: ${(error as Error).message}`) })
  t.teardown(async () => {
    await statics.close()
    await cache.close()
  })
  return { clock, cache, statics, faults }
}

t.test('static data', async (t) => {
  t.test('lives for a day unless told otherwise', async (t) => {
    const { clock, cache, statics } = setUp(t)
    const config = { api_version: '1.0.0', features: ['caching', 'monitoring'] }
    t.equal(await statics.cacheStaticData('app_config', config), true)
    await statics.cacheStaticData('short', 1, 60)
    t.same(await statics.getStaticData('app_config'), config)
    t.equal(await cache.exists('static:app_config'), true)
    clock.advance(DAY_MS - 1)
    t.same(await statics.getStaticData('app_config'), config)
    t.equal(await statics.getStaticData('short'), undefined)
    clock.advance(1)
    t.equal(await statics.getStaticData('app_config'), undefined)
  })
  t.test('goes when it is invalidated, with what was built from it', async (t) => {
    const { cache, statics } = setUp(t)
    await statics.cacheStaticData('rates', { eur: 1 })
    await cache.getOrSet('price', async () => await statics.getStaticData('rates'))
    t.equal(await statics.invalidateStaticData('rates'), true)
    t.equal(await statics.invalidateStaticData('rates'), false)
    t.equal(await cache.exists('price'), false)
  })
  t.test('has keys as all data has', async (t) => {
    const { statics } = setUp(t)
    await t.rejects(statics.getStaticData(''), { code: 'FST_ERR_CACHE_KEY' })
    await t.rejects(statics.cacheStaticData('x'.repeat(2000), 1), { code: 'FST_ERR_CACHE_KEY' })
    t.throws(() => statics.addSource('', () => 1), { code: 'FST_ERR_CACHE_KEY' })
  })
})

t.test('a refresh', async (t) => {
  t.test('stores what the source answers; a new value purges what was built from the old one, the same value does not', async (t) => {
    const { clock, cache, statics } = setUp(t)
    t.equal(await statics.refreshStaticData('rates', () => ({ eur: 1 })), true)
    await cache.getOrSet('price', async () => await statics.getStaticData('rates'), { ttl: 1_000_000 })
    clock.advance(DAY_MS / 2)
    t.equal(await statics.refreshStaticData('rates', async () => ({ eur: 1 })), true)
    t.equal(await cache.exists('price'), true)
    clock.advance(DAY_MS - 1)
    t.same(await statics.getStaticData('rates'), { eur: 1 }, 'it lives on from the refresh')
    await statics.refreshStaticData('rates', () => ({ eur: 2 }))
    t.equal(await cache.exists('price'), false)
    t.same(await statics.getStaticData('rates'), { eur: 2 })
  })
  t.test('keeps the last good value when the source fails, and tells the failure', async (t) => {
    const { statics, faults } = setUp(t)
    await statics.refreshStaticData('rates', () => 1)
    t.equal(await statics.refreshStaticData('rates', () => { throw new Error('no database') }), false)
    t.equal(await statics.refreshStaticData('rates', async () => { throw new Error('no network') }), false)
    t.equal(await statics.refreshStaticData('rates', () => undefined), false)
    t.equal(await statics.getStaticData('rates'), 1)
    t.match(faults, [/static data 'rates'.*no database/, /no network/, /undefined/])
    t.equal(faults.length, 3)
  })
  t.test('reads again what a purge overtook', async (t) => {
    const { cache, statics } = setUp(t)
    let readings = 0
    await statics.refreshStaticData('rates', async () => {
      if (++readings === 1) await cache.invalidate({ keys: ['static:rates'] })
      return readings
    })
    t.equal(await statics.getStaticData('rates'), 2)
    const restless = async (): Promise<number> => {
      await cache.invalidate({ patterns: ['static:*'] })
      return ++readings
    }
    t.equal(await statics.refreshStaticData('rates', restless), false, 'but not for ever')
    t.equal(readings, 5)
    t.equal(await statics.getStaticData('rates'), undefined)
  })
  t.test('is a change where another value came and went while the source was read', async (t) => {
    const { cache, statics } = setUp(t)
    const page = async (): Promise<string> => await cache.getOrSet('page', async () => `page with ${String(await statics.getStaticData('rates'))}`)
    await statics.refreshStaticData('rates', () => 'A')
    let readings = 0
    t.equal(await statics.refreshStaticData('rates', async () => {
      if (++readings === 1) {
        await statics.cacheStaticData('rates', 'B')
        t.equal(await page(), 'page with B')
      }
      return 'A'
    }), true)
    t.equal(readings, 2)
    t.same([await statics.getStaticData('rates'), await page()], ['A', 'page with A'])
  })
  t.test('reads again what was purged softly while it was read', async (t) => {
    const { cache, statics } = setUp(t)
    let now = 1
    await statics.refreshStaticData('rates', () => now)
    now = 2
    await statics.refreshStaticData('rates', async () => {
      const read = now
      if (read === 2) {
        now = 3
        await cache.invalidate({ keys: ['static:rates'], soft: true })
      }
      return read
    })
    t.equal(await statics.getStaticData('rates'), 3)
  })
  t.test('stores nothing over a purge that comes when the source has been read, however soon or late', async (t) => {
    const redis = await startRedis()
    t.teardown(async () => { await redis.stop() })
    const shared = new CacheManager({ strategy: 'hybrid', redisUrl: redis.url })
    t.teardown(async () => { await shared.close() })
    await shared.initialize()
    const { cache } = setUp(t)
    const microtasks = (count: number) => async (): Promise<void> => { for (let n = 0; n < count; n++) await undefined }
    const moments = [{ cache: shared, moment: async () => { await turn() } }, ...Array.from({ length: 20 }, (_, count) => ({ cache, moment: microtasks(count) }))]
    const purges: Purge[] = [{ keys: ['static:rates'] }, { tags: ['finance'] }, { patterns: ['static:*'] }, { everything: true }]
    for (const [index, { cache, moment }] of moments.entries()) {
      for (const purge of purges) {
        const statics = new StaticDataCache(cache)
        let now = 1
        let purged: Promise<unknown> | undefined
        statics.addSource('rates', () => {
          const read = now
          if (read === 2) {
            purged = moment().then(async () => {
              now = 3
              await cache.invalidate(purge)
            })
          }
          return read
        }, { tags: ['finance'] })
        await statics.refreshStaticData('rates')
        now = 2
        await statics.refreshStaticData('rates')
        await purged
        t.equal(await statics.getStaticData('rates'), 3, `${JSON.stringify(purge)}, moment ${index}`)
        await statics.close()
      }
    }
  })
  t.test('depends on what the source read through the cache', async (t) => {
    const { cache, statics } = setUp(t)
    await cache.set('base', 2)
    await statics.refreshStaticData('twice', async () => 2 * (await cache.get<number>('base') ?? 0))
    await cache.set('base', 3)
    t.equal(await statics.getStaticData('twice'), undefined)
  })
  t.test('needs a source', async (t) => {
    const { statics } = setUp(t)
    await t.rejects(statics.refreshStaticData('rates'), { code: 'FST_ERR_CACHE_OPTION' })
  })
})

t.test('a named source', async (t) => {
  t.test('is asked when there is no value, once for all who ask', async (t) => {
    const { statics } = setUp(t)
    let asked = 0
    statics.addSource('categories', async () => [++asked])
    t.same(await Promise.all([statics.getStaticData('categories'), statics.getStaticData('categories')]), [[1], [1]])
    t.equal(await statics.refreshStaticData('categories'), true)
    t.same(await statics.getStaticData('categories'), [2])
  })
  t.test('that fails leaves its last good value, long past its time', async (t) => {
    const { clock, statics, faults } = setUp(t)
    let failing = true
    statics.addSource('rates', () => { if (failing) throw new Error('away'); return 1 }, { ttl: 60 })
    await t.rejects(statics.getStaticData('rates'), { message: 'away' }, 'there is none yet')
    failing = false
    t.equal(await statics.getStaticData('rates'), 1)
    failing = true
    clock.advance(30 * DAY_MS)
    t.equal(await statics.getStaticData('rates'), 1)
    await turn()
    t.same(faults, ['background refresh: away'])
  })
  t.test('that has nothing leaves its last good value, and says so; where there is none yet, there is none', async (t) => {
    const { clock, cache, statics, faults } = setUp(t)
    let now: number | undefined
    statics.addSource('rates', () => now, { ttl: 60 })
    t.equal(await statics.getStaticData('rates'), undefined)
    t.same(faults, [])
    now = 1
    t.equal(await statics.getStaticData('rates'), 1)
    now = undefined
    for (let n = 1; n <= 2; n++) {
      clock.advance(30 * DAY_MS)
      t.equal(await statics.getStaticData('rates'), 1)
      await turn()
      t.equal(faults.length, n)
    }
    t.match(faults, [/background refresh.*what the source answered.*undefined/, /undefined/])
    await cache.invalidate({ keys: ['static:rates'] })
    t.equal(await statics.getStaticData('rates'), undefined)
    t.equal(faults.length, 2)
  })
  t.test('is asked at its interval, sooner after a failure, and no more after close', async (t) => {
    const { clock, statics, faults } = setUp(t)
    let asked = 0
    let failing = false
    statics.addSource('rates', () => { asked++; if (failing) throw new Error('away'); return asked }, { refreshEvery: 600 })
    clock.advance(599_999)
    t.equal(asked, 0)
    clock.advance(1)
    await turn()
    t.equal(asked, 1)
    failing = true
    clock.advance(600_000)
    await turn()
    clock.advance(1000)
    await turn()
    clock.advance(1999)
    await turn()
    t.equal(asked, 3)
    failing = false
    clock.advance(1)
    await turn()
    t.equal(asked, 4)
    t.equal(faults.length, 2)
    clock.advance(599_999)
    await turn()
    t.equal(asked, 4)
    await statics.close()
    clock.advance(DAY_MS)
    await turn()
    t.equal(asked, 4)
  })
  t.test('is asked when its value expires', async (t) => {
    const { clock, cache, statics } = setUp(t)
    let asked = 0
    const midnight = (now: Date): Date => new Date(Math.floor(now.getTime() / DAY_MS + 1) * DAY_MS)
    clock.advance(DAY_MS / 4)
    statics.addSource('offers', () => ++asked, { expiresAt: midnight, ttl: 90 * DAY_MS })
    t.equal(await statics.getStaticData('offers'), 1)
    clock.advance(DAY_MS * 3 / 4 - 1)
    t.equal(await cache.exists('static:offers'), true)
    clock.advance(1)
    await turn()
    t.equal(asked, 2)
    clock.advance(DAY_MS)
    await turn()
    t.equal(await statics.getStaticData('offers'), 3)
  })
  t.test('may lie further away than a timer can count', async (t) => {
    const { clock, statics } = setUp(t)
    let asked = 0
    statics.addSource('yearly', () => ++asked, { refreshEvery: 60 * 86_400 })
    clock.advance(60 * DAY_MS - 1)
    await turn()
    t.equal(asked, 0)
    clock.advance(1)
    await turn()
    t.equal(asked, 1)
  })
  t.test('whose expiry is no later instant fails, and is told', async (t) => {
    const { statics, faults } = setUp(t)
    statics.addSource('broken', () => 1, { expiresAt: (now) => now })
    t.equal(await statics.refreshStaticData('broken'), false)
    t.match(faults, [/expiresAt/])
  })
  t.test('is reached by its tags', async (t) => {
    const { cache, statics } = setUp(t)
    let asked = 0
    statics.addSource('categories', () => ++asked, { tags: ['catalog'] })
    await statics.getStaticData('categories')
    await cache.invalidate({ tags: ['catalog'] })
    t.equal(await statics.getStaticData('categories'), 2)
    await statics.refreshStaticData('categories')
    await cache.invalidate({ tags: ['catalog'] })
    t.equal(await statics.getStaticData('categories'), 4)
  })
  t.test('is checked when it is added', async (t) => {
    const { statics } = setUp(t)
    statics.addSource('a', () => 1)
    t.throws(() => statics.addSource('a', () => 1), { code: 'FST_ERR_CACHE_OPTION_CONFLICT' })
    t.throws(() => statics.addSource('b', () => 1, { refreshEvery: 0 }), { code: 'FST_ERR_CACHE_OPTION' })
    t.throws(() => statics.addSource('b', () => 1, { ttl: -1 }), { code: 'FST_ERR_CACHE_OPTION' })
    t.throws(() => statics.addSource('b', 1 as never), { code: 'FST_ERR_CACHE_OPTION' })
    t.throws(() => statics.addSource('b', () => 1, { expiresAt: '0 0 * * *' as never }), { code: 'FST_ERR_CACHE_OPTION' })
    t.throws(() => statics.addSource('b', () => 1, { refreshevry: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean refreshEvery\?$/ })
  })
})

t.test('a listener', async (t) => {
  t.test('hears of each new value, and of nothing else', async (t) => {
    const { cache, statics, faults } = setUp(t)
    const heard: unknown[] = []
    const stop = statics.onChange<{ v: number }>('flags', (value, previous) => { heard.push([value.v, previous.v]) })
    await statics.cacheStaticData('flags', { v: 1 })
    await statics.cacheStaticData('flags', { v: 1 })
    await statics.getStaticData('flags')
    t.same(heard, [])
    await statics.refreshStaticData('flags', () => ({ v: 2 }))
    t.same(heard, [[2, 1]])
    await cache.set('static:flags', { v: 3 })
    await statics.getStaticData('flags')
    t.same(heard, [[2, 1], [3, 2]], 'also of what changed elsewhere')
    await statics.invalidateStaticData('flags')
    await statics.cacheStaticData('flags', { v: 3 })
    t.equal(heard.length, 2)
    statics.onChange('flags', () => { throw new Error('deaf') })
    await statics.cacheStaticData('flags', { v: 4 })
    t.match(faults, [/flags.*deaf/])
    stop()
    await statics.cacheStaticData('flags', { v: 5 })
    t.equal(heard.length, 3)
  })
})
