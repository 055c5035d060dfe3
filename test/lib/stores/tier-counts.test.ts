import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import cache, { CacheManager, type CacheConfig } from '../../../plugins/index.ts'
import { startRedis } from '../../support/redis-server.ts'

type Counts = ReadonlyArray<readonly [tier: string, hits: number, misses: number]>

const countsOf = ({ parts }: CacheManager): Counts => parts.store.usage().map(({ tier, hits, misses }) => [tier, hits, misses])

/** A hundred keys, each asked for twice: a hundred misses and a hundred hits, however often the cache looks by itself. */
async function ask (manager: CacheManager): Promise<void> {
  for (let i = 0; i < 100; i++) for (let turn = 0; turn < 2; turn++) await manager.getOrSet(`key:${i}`, async () => i)
}

async function browse (t: Test, config: Partial<CacheConfig>): Promise<CacheManager> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(cache, config)
  app.get('/pages/:id', { config: { cache: { ttl: 60 } } }, async () => 'page')
  app.get('/varied/:id', { config: { cache: { ttl: 60 } } }, async (_request, reply) => await reply.header('vary', 'accept-language').send('page'))
  for (let i = 0; i < 100; i++) for (let turn = 0; turn < 2; turn++) await app.inject(`/pages/${i}`)
  for (let i = 0; i < 100; i++) for (const language of ['de', 'de', 'fr', 'fr']) await app.inject({ url: `/varied/${i}`, headers: { 'accept-language': language } })
  return app.cache
}

t.test('a tier counts one lookup once, in memory', async (t) => {
  const manager = new CacheManager({ strategy: 'memory' })
  t.teardown(async () => { await manager.close() })
  await ask(manager)
  t.same(countsOf(manager), [['memory', 100, 100]])
  t.same(await manager.exists('key:1'), true)
  t.same(countsOf(manager), [['memory', 100, 100]], 'a question is no lookup')
  t.same(await manager.getMany(['key:1', 'none']), [1, undefined])
  t.same(countsOf(manager), [['memory', 101, 101]])
  t.same(countsOf(await browse(t, { strategy: 'memory' })), [['memory', 300, 300]], 'variants too: of a hundred pages and two times a hundred')
})

t.test('with Redis behind the memory, whose leases have everybody look twice', async (t) => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  const [one, two] = [1, 2].map(() => new CacheManager({ strategy: 'hybrid', redisUrl: server.url, redisPrefix: 'data:', redisTimeout: 10 })) as [CacheManager, CacheManager]
  t.teardown(async () => { for (const manager of [one, two]) await manager.close() })
  await one.initialize()
  await two.initialize()
  await ask(one)
  t.same(countsOf(one), [['memory', 100, 100], ['redis', 0, 100]])
  await ask(two)
  t.same(countsOf(two), [['memory', 100, 100], ['redis', 100, 0]], 'what another instance has stored')
  t.same(await two.getMany(['key:1', 'none']), [1, undefined])
  t.same(countsOf(two), [['memory', 101, 101], ['redis', 100, 1]])
  const pages = { strategy: 'hybrid', redisUrl: server.url, redisPrefix: 'pages:', redisTimeout: 10 } as const
  t.same(countsOf(await browse(t, pages)), [['memory', 300, 300], ['redis', 0, 300]])
  t.same(countsOf(await browse(t, pages)), [['memory', 300, 300], ['redis', 300, 0]])
})

t.test('without memory, and where Redis is not asked', async (t) => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  const manager = new CacheManager({ strategy: 'redis', redisUrl: server.url, redisTimeout: 10 })
  t.teardown(async () => { await manager.close() })
  await manager.initialize()
  await ask(manager)
  t.same(countsOf(manager), [['redis', 100, 100]])
  const alone = new CacheManager({ strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1' })
  t.teardown(async () => { await alone.close() })
  await ask(alone)
  t.same(countsOf(alone), [['memory', 100, 100], ['redis', 0, 0]])
})
