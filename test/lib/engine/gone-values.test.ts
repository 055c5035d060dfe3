import t from 'tap'
import { CacheManager } from '../../../lib/cache-manager.ts'
import type { LoadOptions } from '../../../lib/engine/load-options.ts'
import { deferred, turns } from '../../support/cached-app.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { startRedis } from '../../support/redis-server.ts'
import { onRedis, until } from '../../support/until.ts'

type Test = Parameters<Parameters<typeof t.test>[0]>[0]

const WINDOWS = { ttl: 60, staleIfError: 600 } satisfies LoadOptions
const fails = (): never => { throw new Error('down') }

const server = await startRedis()
t.teardown(async () => { await server.stop() })

/** Managers on one Redis, or one on its own. */
async function open (t: Test, strategy: 'memory' | 'redis' | 'hybrid', count = 1): Promise<CacheManager[]> {
  const managers = Array.from({ length: count }, () => new CacheManager({ strategy, ...strategy !== 'memory' && { redisUrl: server.url }, redisPrefix: `gone-${t.name.replaceAll(/\W/g, '-')}:`, redisTimeout: 10, ttlJitter: 0 }))
  t.teardown(async () => { await Promise.all(managers.map(async (manager) => { await manager.close() })) })
  await Promise.all(managers.map(async (manager) => await manager.initialize()))
  if (strategy !== 'memory') await onRedis(...managers)
  return managers
}

/** A value that is stale by now, and good for a failure. */
async function staled (cache: CacheManager, key = 'k', options: LoadOptions = WINDOWS): Promise<void> {
  await cache.set(key, 'old', options)
  await cache.invalidate({ keys: [key], soft: true })
}

const NOTHING: ReadonlyArray<readonly [name: string, answer: string | undefined, options: LoadOptions]> = [
  ['there is nothing', undefined, WINDOWS],
  ['what there is must not be kept', 'new', { ...WINDOWS, ttl: () => 0 }]
]

for (const strategy of ['memory', 'redis', 'hybrid'] as const) {
  for (const [name, answer, options] of NOTHING) {
    t.test(`${strategy}: once a loader has said that ${name}, the old value stands in for no error`, async (t) => {
      const [cache] = await open(t, strategy) as [CacheManager]
      await staled(cache)
      t.equal(await cache.getOrSet('k', fails, WINDOWS), 'old', 'so far it does')
      t.equal(await cache.getOrSet('k', () => answer, options), answer)
      await t.rejects(cache.getOrSet('k', fails, WINDOWS), { message: 'down' })
      t.equal(await cache.parts.store.read('k'), undefined)
      await staled(cache, 'many')
      t.same(await cache.getOrSetMany(['many'], () => new Map(answer === undefined ? [] : [['many', answer]]), options), [answer])
      await t.rejects(cache.getOrSet('many', fails, WINDOWS), { message: 'down' }, 'of many as of one')
    })
    t.test(`${strategy}: once a refresh was told that ${name}, the old value is served no more`, async (t) => {
      const [cache] = await open(t, strategy) as [CacheManager]
      const windows = { staleWhileRevalidate: 600 }
      await staled(cache, 'k', { ttl: 60, ...windows })
      t.equal(await cache.getOrSet('k', () => answer, { ...options, ...windows }), 'old')
      await until('the old one is gone', async () => await cache.parts.store.read('k') === undefined)
      t.equal(await cache.getOrSet('k', () => 'next', { ttl: 60 }), 'next')
    })
  }

  t.test(`${strategy}: a loader that says that there is nothing takes away nothing newer`, async (t) => {
    for (const stale of [true, false]) {
      const [cache, other = cache] = await open(t, strategy, strategy === 'memory' ? 1 : 2) as [CacheManager, CacheManager?]
      for (const writer of [cache, other]) {
        await cache.delete('k')
        if (stale) await staled(cache)
        const [begun, gate] = [deferred(), deferred()]
        const loading = cache.getOrSet('k', async () => { begun.resolve(); await gate.promise; return undefined }, WINDOWS)
        await begun.promise
        await writer.set('k', 'newer', WINDOWS)
        gate.resolve()
        t.equal(await loading, undefined)
        t.equal(await writer.get('k'), 'newer')
      }
    }
  })
}

t.test('a loader that could not look takes nothing away: it failed, or was built from something stale', async (t) => {
  const [cache] = await open(t, 'memory') as [CacheManager]
  await staled(cache, 'source')
  await staled(cache)
  t.equal(await cache.getOrSet('k', async () => {
    await cache.getOrSet('source', fails, WINDOWS)
    return undefined
  }, WINDOWS), undefined)
  t.equal(await cache.getOrSet('k', fails, WINDOWS), 'old')
})

t.test('a value that is built from too much to be stored does not leave the one before to stand in for it', async (t) => {
  const [cache] = await open(t, 'memory') as [CacheManager]
  await staled(cache)
  await cache.getOrSet('k', async () => {
    for (let n = 0; n < 1100; n++) await cache.get(`part:${n}`)
    return 'new'
  }, WINDOWS)
  await t.rejects(cache.getOrSet('k', fails, WINDOWS), { message: 'down' })
})

t.test('a fresh value that is renewed ahead of time goes as well', async (t) => {
  const clock = fakeClock()
  const cache = new CacheManager({ strategy: 'memory', ttlJitter: 0 }, { clock, random: () => 0 })
  await cache.set('k', 'old', 60)
  clock.advance(50_000)
  t.equal(await cache.getOrSet('k', () => undefined, { ttl: 60, refreshAhead: 0.5 }), 'old')
  await turns()
  t.equal(await cache.get('k'), undefined)
  await cache.close()
})
