// What a strict ESM project writes. Compiled and run against the packed package by scripts/test-package.mjs.
import assert from 'node:assert/strict'
import Fastify from 'fastify'
import cache, { CacheManager, DEFAULT_CACHE_CONFIG } from 'fastify-response-cache'
import type { CacheConfig, CacheStats } from 'fastify-response-cache'

const config: Partial<CacheConfig> = { strategy: 'memory', memoryMaxSize: 100 }
const app = Fastify()
await app.register(cache, { ...config, admin: { token: 'token-of-a-consumer' } })

let calls = 0
app.get<{ Params: { id: string } }>('/products/:id', { config: { cache: { ttl: 300, staleWhileRevalidate: 30 } } }, async (request) => {
  calls++
  return await app.cache.getOrSet(`product:${request.params.id}`, () => ({ id: request.params.id }), { ttl: 60 })
})
app.put<{ Params: { id: string } }>('/products/:id', { config: { cache: { invalidates: ['catalog'] } } }, async () => ({}))

assert.match(String((await app.inject('/products/1')).headers['cache-status']), /fwd=/)
assert.match(String((await app.inject('/products/1')).headers['cache-status']), /;hit/)
assert.equal(calls, 1)
await app.cache.delete('product:1')
await app.inject('/products/1')
assert.equal(calls, 2)

assert.match((await app.inject('/cache/dashboard')).body, /uPlot/)

const stats: CacheStats = app.cache.getStats()
assert.ok(stats.hits > 0)
assert.equal(DEFAULT_CACHE_CONFIG.memoryTtl, 300)
await app.close()

const manager = new CacheManager(config)
await manager.set('a', { n: 1 }, 60)
const value: { n: number } | undefined = await manager.get<{ n: number }>('a')
assert.equal(value?.n, 1)
await manager.close()

// @ts-expect-error no such strategy
const wrong: CacheConfig['strategy'] = 'disk'
assert.equal(wrong, 'disk')
console.log('consumer esm: ok')
