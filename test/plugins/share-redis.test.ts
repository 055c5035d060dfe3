import { once } from 'node:events'
import Fastify from 'fastify'
import type { Redis } from 'ioredis'
import t from 'tap'
import cache from '../../plugins/index.ts'
import { startRedis } from '../support/redis-server.ts'
import { onRedis } from '../support/until.ts'

t.test('the connection of the cache is lent to the app under a namespace, and closed once', async (t) => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  const app = Fastify()
  await app.register(cache, { strategy: 'redis', redisUrl: server.url, redisTimeout: 10, redisRequired: true, redisNamespace: 'cache' })
  await app.ready()
  await onRedis(app.cache)
  const lent = app.redis['cache'] as Redis
  await lent.set('mine', '1')
  t.equal(await lent.get('mine'), '1')
  const ended = once(lent, 'end')
  await app.close()
  await ended
  t.equal(lent.status, 'end')
})

t.test('a connection that is not there is not lent, and does not hold up the start', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cache, { strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1', redisNamespace: 'cache' })
  await app.ready()
  t.notOk(app.hasDecorator('redis'))
})
