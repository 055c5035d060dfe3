import Fastify, { type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import type { CachePluginOptions } from '../../plugins/options.ts'
import { nothingBetween } from '../../plugins/route-hooks.ts'
import { cachedApp, cacheStatus, deferred } from '../support/cached-app.ts'
import { startRedis } from '../support/redis-server.ts'

t.test('what a hook in front of the handler reads through the cache is part of the response', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let name = 'one'
  const items = new WeakMap<object, string>()
  app.addHook('preHandler', async (request) => { items.set(request, await app.cache.getOrSet('item', () => name)) })
  app.get('/page', { config: { cache: { ttl: 60 } } }, async (request) => ({ name: items.get(request) }))
  t.same((await app.inject('/page')).json(), { name: 'one' })
  t.match(cacheStatus(await app.inject('/page')), /^hit/)
  name = 'two'
  await app.cache.delete('item')
  t.same((await app.inject('/page')).json(), { name: 'two' })
})

t.test('what the hook of a route loaded before a purge is not stored after it', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let price = 1
  const prices = new WeakMap<object, number>()
  const hooked = deferred()
  const purged = deferred()
  let first = true
  app.get('/page', {
    config: { cache: { ttl: 60, tags: ['prices'] } },
    preHandler: async (request) => {
      prices.set(request, price)
      if (!first) return
      first = false
      hooked.resolve()
      await purged.promise
    }
  }, async (request) => ({ price: prices.get(request) }))
  const early = app.inject('/page')
  await hooked.promise
  price = 2
  await app.cache.invalidate({ tags: ['prices'] })
  purged.resolve()
  t.match(cacheStatus(await early), /^fwd=uri-miss/)
  t.same((await app.inject('/page')).json(), { price: 2 }, 'the next one is not given the old price')
  t.match(cacheStatus(await app.inject('/page')), /^hit/)
})

t.test('what a later wrapper of the handler loaded before a purge is not stored after it, and what it reads is part of the response', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let price = 1
  let rate = 7
  const loaded = new WeakMap<object, { price: number, rate: number }>()
  const loading = deferred()
  const purged = deferred()
  app.addHook('onRoute', (route) => {
    const { handler } = route
    route.handler = async function wrapped (request, reply) {
      loaded.set(request, { price, rate: await app.cache.getOrSet('rate', () => rate) })
      loading.resolve()
      await purged.promise
      return await handler.call(this, request, reply)
    }
  })
  app.get('/page', { config: { cache: { ttl: 60, tags: ['prices'] } } }, async (request) => loaded.get(request))
  const early = app.inject('/page')
  await loading.promise
  price = 2
  await app.cache.invalidate({ tags: ['prices'] })
  purged.resolve()
  t.same((await early).json(), { price: 1, rate: 7 })
  t.same((await app.inject('/page')).json(), { price: 2, rate: 7 }, 'the next one is not given the old price')
  t.match(cacheStatus(await app.inject('/page')), /^hit/)
  rate = 8
  await app.cache.delete('rate')
  t.same((await app.inject('/page')).json(), { price: 2, rate: 8 })
})

t.test('a public route tells what the hooks behind its lookup read, too', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let name = 'one'
  const items = new WeakMap<object, string>()
  app.addHook('preValidation', async (request) => { items.set(request, await app.cache.getOrSet('item', () => name)) })
  app.get('/page', { config: { cache: { ttl: 60, public: true } } }, async (request) => ({ name: items.get(request) }))
  await app.inject('/page')
  t.match(cacheStatus(await app.inject('/page')), /^hit/)
  name = 'two'
  await app.cache.delete('item')
  t.same((await app.inject('/page')).json(), { name: 'two' })
})

t.test('a route that declares all headers harmless may copy them all', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/proxy', { config: { cache: { ttl: 60, harmlessHeaders: ['*'] } } }, async ({ headers }) => ({ forwarded: Object.keys({ ...headers }).length > 0 }))
  await app.inject('/proxy')
  t.match(cacheStatus(await app.inject('/proxy')), /^hit/)
})

t.test('the id of one request is not replayed to another', async (t) => {
  const { app } = await cachedApp({}, { genReqId: ({ headers }) => String(headers['x-trace']) })
  t.teardown(() => app.close())
  for (const [url, harmlessHeaders] of [['/page', ['@id']], ['/shown', []]] as const) {
    app.get(url, { config: { cache: { ttl: 60, harmlessHeaders } } }, async (request, reply) => {
      reply.header('x-request-id', request.id)
      return 'page'
    })
  }
  t.equal((await app.inject({ url: '/page', headers: { 'x-trace': 'first' } })).headers['x-request-id'], 'first')
  const hit = await app.inject({ url: '/page', headers: { 'x-trace': 'second' } })
  t.match(cacheStatus(hit), /^hit/)
  t.equal(hit.headers['x-request-id'], undefined)
  t.match(cacheStatus(await app.inject({ url: '/shown', headers: { 'x-trace': 'first' } })), /unkeyed-input; @id/, 'nor what may have been built from it')
})

t.test('with a soft timeout, a refresh that fails at once lets the stale response stand in, and the handler run once', async (t) => {
  const { app, clock } = await cachedApp({ staleIfError: 600 })
  t.teardown(() => app.close())
  let runs = 0
  app.get('/page', { config: { cache: { ttl: 10, softTimeout: 1 } } }, async () => {
    if (++runs > 1) throw new Error('down')
    return 'page'
  })
  await app.inject('/page')
  clock.advance(20_000)
  const stale = await app.inject('/page')
  t.equal(stale.statusCode, 200)
  t.equal(stale.body, 'page')
  t.match(cacheStatus(stale), /detail=stale-if-error/)
  t.equal(runs, 2)
})

t.test('closing abandons a refresh that does not end', async (t) => {
  const { app, clock } = await cachedApp()
  const started = deferred()
  const never = deferred()
  let runs = 0
  app.get('/page', { config: { cache: { ttl: 10, staleWhileRevalidate: 60 } } }, async () => {
    if (++runs === 1) return 'page'
    started.resolve()
    await never.promise
    return 'late'
  })
  await app.inject('/page')
  clock.advance(20_000)
  t.match(cacheStatus(await app.inject('/page')), /stale-while-revalidate/)
  await started.promise
  const closed = app.close()
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => { setImmediate(resolve) })
    clock.advance(100)
  }
  await closed
  t.pass('closed')
  never.resolve()
})

t.test('caches behind us are told what is in the key', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/page', { config: { cache: { ttl: 60, clientTtl: 30, headers: ['accept-language'] } } }, async ({ headers }, reply) => {
    reply.header('vary', 'Accept')
    return headers['accept-language'] ?? 'none'
  })
  app.get('/shop', { config: { cache: { ttl: 60, clientTtl: 30, cookies: ['currency'] } } }, async () => 'shop')
  const german = await app.inject({ url: '/page', headers: { 'accept-language': 'de' } })
  t.equal(german.headers.vary, 'Accept, accept-language')
  t.equal(german.headers['cache-control'], 'public, max-age=30')
  const again = await app.inject({ url: '/page', headers: { 'accept-language': 'de' } })
  t.match(cacheStatus(again), /^hit/)
  t.equal(again.headers.vary, 'Accept, accept-language')
  t.equal((await app.inject({ url: '/page', headers: { 'accept-language': 'fr' } })).body, 'fr')
  t.equal((await app.inject({ url: '/shop', headers: { cookie: 'currency=EUR' } })).headers['cache-control'], 'private, max-age=30')
})

t.test('what is read behind the handler is part of the response, too', async (t) => {
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  await t.test('with entries in memory', async (t) => { await behindHandler(t, {}) })
  // By a clock that stands still, a connection that a busy machine loses would never be made again.
  await t.test('behind a lookup that takes a while', async (t) => { await behindHandler(t, { strategy: 'redis', redisUrl: redis.url, redisTimeout: 10, clock: systemClock }) })
})

async function behindHandler (t: Test, options: CachePluginOptions): Promise<void> {
  const { app } = await cachedApp(options)
  t.teardown(() => app.close())
  let words = 'not here'
  app.setErrorHandler(async (_error, _request, reply) => { await reply.code(404).send(await app.cache.getOrSet('words', () => words)) })
  app.addHook('preSerialization', async (_request, _reply, payload) => ({ ...payload as object, words: await app.cache.getOrSet('words', () => words) }))
  app.get('/missing', { config: { cache: { ttl: 60, notFoundTtl: 60 } } }, async () => { throw new Error('no such thing') })
  app.get('/wrapped', { config: { cache: { ttl: 60 } } }, () => ({ sync: true }))
  for (const [url, before, after] of [['/missing', 'not here', 'gone'], ['/wrapped', '{"sync":true,"words":"gone"}', '{"sync":true,"words":"moved"}']] as const) {
    t.equal((await app.inject(url)).body, before)
    // The next request may come before Redis has the response.
    while (!cacheStatus(await app.inject(url)).startsWith('hit'));
    words = words === 'gone' ? 'moved' : 'gone'
    await app.cache.delete('words')
    t.equal((await app.inject(url)).body, after)
  }
}

t.test('only where hooks may run between the arrival and the handler are they followed', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const seen: Record<string, boolean> = {}
  const arrival = async (request: FastifyRequest): Promise<void> => { seen[request.url] = nothingBetween(request, arrival.name) }
  const hook = async (): Promise<void> => {}
  app.addHook('onRequest', hook)
  app.get('/alone', { onRequest: arrival }, async () => 'alone')
  app.get('/guarded', { onRequest: arrival, preHandler: hook }, async () => 'guarded')
  app.get('/behind', { onRequest: [arrival, hook] }, async () => 'behind')
  app.register(async (part) => {
    part.addHook('preValidation', hook)
    part.get('/part', { onRequest: arrival }, async () => 'part')
  })
  for (const url of ['/alone', '/guarded', '/behind', '/part']) await app.inject(url)
  t.same(seen, { '/alone': true, '/guarded': false, '/behind': false, '/part': false })
})
