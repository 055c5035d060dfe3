import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import cache from 'fastify-response-cache'
import type { CacheManager, RouteCacheOptions } from 'fastify-response-cache'

const app = Fastify()

test('registering checks the options', () => {
  expect(app.register).type.toBeCallableWith(cache)
  expect(app.register).type.toBeCallableWith(cache, { strategy: 'memory', memoryTtl: 60, admin: { token: 'a token of twenty characters' } })
  expect(app.register).type.not.toBeCallableWith(cache, { strategy: 'disk' })
  expect(app.register).type.not.toBeCallableWith(cache, { admin: { secret: 'x' } })
})

test('the instance, the request and the reply know the cache', () => {
  expect(app.cache).type.toBe<CacheManager>()
  app.get('/', async (request, reply) => {
    expect(request.cache.status).type.toBe<'hit' | 'miss' | 'stale' | 'bypass'>()
    expect(reply.cacheTags).type.toBeCallableWith('a', 'b')
    expect(reply.cacheTags).type.not.toBeCallableWith(1)
  })
})

test('a route says how it is cached', () => {
  const handler = async (): Promise<object> => ({})
  expect(app.get).type.toBeCallableWith('/', { config: { cache: { ttl: 300, staleWhileRevalidate: 30, tags: ['catalog'] } } }, handler)
  expect(app.get).type.toBeCallableWith('/', { config: { cache: { entities: { product: 'items[].id' } } } }, handler)
  expect(app.get).type.not.toBeCallableWith('/', { config: { cache: { ttl: '5 minutes' } } }, handler)
  // Fastify takes the type of `config` from what is given, so an unknown name is for the start to refuse, unless it is asked for.
  expect(app.get).type.toBeCallableWith('/', { config: { cache: { tll: 60 } } }, handler)
  expect<RouteCacheOptions>().type.not.toBeAssignableFrom({ tll: 60 })
  expect<RouteCacheOptions['partition']>().type.toBeAssignableFrom(({ ip }: { ip: string }): number | null => ip === '' ? null : 1)
  expect<RouteCacheOptions['partition']>().type.not.toBeAssignableFrom(async () => 'anna')
  app.put('/:id', { config: { cache: { invalidates: (request) => [`product:${request.params.id}`] } } }, handler)
})
