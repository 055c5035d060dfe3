import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import cache from '../../plugins/index.ts'
import type { CacheEvents, CachePluginOptions, CacheRequest, PerformanceReport } from '../../plugins/index.ts'
import type { FakeClock } from '../support/fake-clock.ts'
import { cachedApp, cacheStatus, deferred, turns } from '../support/cached-app.ts'
import { listening } from '../support/raw-http.ts'
import { startRedis } from '../support/redis-server.ts'
import { onRedis } from '../support/until.ts'

interface Watched { app: FastifyInstance, clock: FakeClock, compared: Array<CacheEvents['compare']>, results: () => string[], report: () => PerformanceReport }

async function watchedApp (t: Test, options: CachePluginOptions = {}): Promise<Watched> {
  const { app, clock } = await cachedApp(options)
  t.teardown(async () => { await app.close() })
  const compared: Array<CacheEvents['compare']> = []
  app.cache.on('compare', (event) => { compared.push(event) })
  return { app, clock, compared, results: () => compared.map(({ result }) => result), report: () => app.cacheMonitor?.getPerformanceReport() as PerformanceReport }
}

/** Lets comparisons that found a difference wait for the purge that would explain it. */
async function grace (clock: FakeClock): Promise<void> {
  await turns(20)
  clock.advance(1000)
  await turns(40)
}

t.test('an observed route', async (t) => {
  t.test('answers from its handler, and says what the cache would have done', async (t) => {
    const { app, clock, report } = await watchedApp(t)
    let runs = 0
    app.get('/x', { config: { cache: { ttl: 60, staleWhileRevalidate: 60, mode: 'observe' } } }, async (request) => { runs++; return request.cache })
    const seen: string[] = []
    for (const pauseMs of [0, 30_000, 31_000, 0, 121_000]) {
      clock.advance(pauseMs)
      const response = await app.inject('/x')
      t.match(response.json(), { status: 'bypass', reason: /^observed; would / }, 'so does request.cache')
      seen.push(cacheStatus(response))
    }
    t.same(seen, [
      'fwd=bypass;ttl=60;stored;detail="observed; would miss"',
      'fwd=bypass;detail="observed; would hit"',
      'fwd=bypass;ttl=60;stored;detail="observed; would serve stale"',
      'fwd=bypass;detail="observed; would hit"',
      'fwd=bypass;ttl=60;stored;detail="observed; would miss"'
    ], 'a would-be hit renews nothing, so entries grow old')
    t.equal(runs, 5)
    t.match(app.cache.getStats(), { hits: 0, misses: 0, bypasses: 5, loads: 5, sets: 3, entries: 1 })
    t.match(report().performanceMetrics.observed, [{ route: '/x', entries: 1, lookups: 5, hits: 3, staleHits: 1, misses: 2, hitRate: 0.6 }])
    t.match(report().performanceMetrics.lastMinute.lookups, 0, 'it is no part of the real hit rate')
  })

  t.test('lets its handler judge conditions and ranges by itself, and learns nothing from that', async (t) => {
    const { app, results } = await watchedApp(t, { mode: 'observe' })
    const handler = async ({ headers }: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      reply.header('etag', '"a"')
      if (headers['if-none-match'] === '"a"') return await reply.code(304).send()
      return headers.range === undefined ? 'page' : await reply.code(206).header('content-range', 'bytes 0-1/4').send('pa')
    }
    app.get('/x', { config: { cache: { ttl: 60 } } }, handler)
    app.get('/bare', handler)
    for (const [headers, says] of [
      [{ 'if-none-match': '"a"' }, 'would miss; status; 304'], [{}, 'would miss'], [{ 'if-none-match': '"a"' }, 'would hit'], [{ 'if-none-match': '"b"' }, 'would hit'], [{ range: 'bytes=0-1' }, 'would hit']
    ] as const) {
      const [observed, bare] = [await app.inject({ url: '/x', headers }), await app.inject({ url: '/bare', headers })]
      t.same([observed.statusCode, observed.body], [bare.statusCode, bare.body], JSON.stringify(headers))
      t.match(cacheStatus(observed), `detail="observed; ${says}"`)
    }
    await turns()
    t.same(results(), [], 'a part is not compared with the whole')
  })

  t.test('sends what its handler made, with nothing added and nothing kept back', async (t) => {
    const { app } = await watchedApp(t, { mode: 'observe' })
    app.get('/page', { config: { cache: { headers: ['x-lang'] } } }, async (request, reply) => {
      if (request.headers['x-lang'] !== undefined) reply.header('cache-control', 'max-age=9')
      return 'page'
    })
    app.get('/bare', async () => 'page')
    const bare = await app.inject('/bare')
    for (const headers of [{}, { 'if-none-match': '*' }, { 'x-lang': 'de' }]) {
      const { statusCode, headers: { 'cache-status': status, ...sent }, body } = await app.inject({ url: '/page', headers })
      t.equal(statusCode, 200, 'no 304 either')
      t.equal(body, 'page')
      t.same({ ...sent, date: undefined }, { ...bare.headers, date: undefined, ...'x-lang' in headers && { 'cache-control': 'max-age=9' } }, JSON.stringify(headers))
    }
  })

  t.test('stores what a route that serves would, and the same store can serve it', async (t) => {
    const observing = await watchedApp(t)
    const serving = await watchedApp(t, { manager: observing.app.cache, clock: undefined, random: undefined } as CachePluginOptions)
    for (const { app } of [observing, serving]) app.get('/x', { config: { cache: { mode: app === observing.app ? 'observe' : 'serve' } } }, async () => 'page')
    await observing.app.inject('/x')
    const hit = await serving.app.inject('/x')
    t.match(cacheStatus(hit), /^hit/)
    t.match(hit.headers, { etag: /^W\//, 'cache-control': 'public, no-cache', age: '0' })
  })

  t.test('tells why a response would not be stored', async (t) => {
    const { app } = await watchedApp(t)
    app.get('/x', { config: { cache: { mode: 'observe' } } }, async (request, reply) => reply.header('set-cookie', 'a=1').send(request.headers['user-agent']))
    app.get('/y', { config: { cache: { mode: 'observe' } } }, async () => 'y')
    t.equal(cacheStatus(await app.inject('/x')), 'fwd=bypass;detail="observed; would miss; set-cookie"')
    t.equal(cacheStatus(await app.inject({ url: '/y', headers: { cookie: 'a=1' } })), 'fwd=bypass;detail=credentials', 'and what would pass the cache by')
  })

  t.test('waits for nobody, and knows who would have waited', async (t) => {
    const { app } = await watchedApp(t)
    const gate = deferred()
    let runs = 0
    app.get('/x', { config: { cache: { mode: 'observe' } } }, async () => { runs++; await gate.promise; return 'x' })
    const all = [1, 2, 3].map(async () => await app.inject('/x'))
    await turns()
    t.equal(runs, 3)
    gate.resolve()
    t.same((await Promise.all(all)).map((response) => cacheStatus(response)).sort(), ['fwd=bypass;detail="observed; would hit"', 'fwd=bypass;detail="observed; would hit"', 'fwd=bypass;ttl=300;stored;detail="observed; would miss"'])
  })

  t.test('serves nothing stale when its handler fails', async (t) => {
    const { app, clock, results } = await watchedApp(t)
    let broken = false
    app.get('/x', { config: { cache: { ttl: 60, staleIfError: 600, mode: 'observe' } } }, async (_request, reply) => broken ? reply.code(503).send('broken') : 'x')
    await app.inject('/x')
    broken = true
    t.equal((await app.inject('/x')).statusCode, 503)
    clock.advance(61_000)
    t.equal((await app.inject('/x')).body, 'broken')
    await turns()
    t.same(results(), ['failed'], 'the one within the ttl was compared')
  })

  t.test('may be public, stream its body, and say otherwise than the plugin', async (t) => {
    const { app, results } = await watchedApp(t, { mode: 'observe' })
    app.get('/stream', { config: { cache: { public: true } } }, async () => new Response('streamed'))
    app.get('/served', { config: { cache: { mode: 'serve' } } }, async () => 'x')
    for (let i = 0; i < 2; i++) {
      t.equal((await app.inject({ url: '/stream', headers: { cookie: 'a=1' } })).body, 'streamed')
      await app.inject('/served')
    }
    await turns()
    t.same(results(), ['same'])
    t.match(cacheStatus(await app.inject('/served')), /^hit/)
    t.match(cacheStatus(await app.inject({ url: '/stream', method: 'HEAD' })), /would hit/)
  })

  t.test('is compared with what would have been served: same, changed, or changed and purged', async (t) => {
    const { app, clock, results, compared } = await watchedApp(t)
    let text = 'a'
    app.get('/x', { config: { cache: { ttl: 60, tags: ['x'], mode: 'observe' } } }, async () => text)
    await app.inject('/x')
    clock.advance(10_000)
    await app.inject('/x')
    await turns()
    t.match(compared, [{ route: '/x', result: 'same', ageMs: 10_000 }])
    text = 'b'
    await app.inject('/x')
    await app.cache.invalidate({ tags: ['x'] })
    await grace(clock)
    t.same(results(), ['same', 'purged'], 'whoever purges a moment later has done it right')
    await app.inject('/x')
    text = 'c'
    await app.inject('/x')
    await grace(clock)
    t.same(results(), ['same', 'purged', 'different'])
  })

  t.test('shows how soon its content changes, which ttl would do, and what serving would bring', async (t) => {
    const { app, clock, report } = await watchedApp(t)
    app.get('/clock', { config: { cache: { ttl: 300, mode: 'observe' } } }, async () => String(Math.floor(clock.now() / 40_000)))
    for (let second = 0; second < 1500; second += 5) {
      await app.inject('/clock')
      await turns(2)
      clock.advance(5000)
    }
    await turns()
    const { performanceMetrics: { observed: [figures] }, recommendations } = report()
    t.match(figures, { route: '/clock', lookups: 300, misses: 5, compared: 295 })
    t.ok(Math.abs((figures?.unchangedFor ?? 0) - 40) < 25, `it stays the same for ${figures?.unchangedFor} s`)
    t.ok((figures?.suggestedTtl ?? -1) >= 0 && (figures?.suggestedTtl ?? 99) <= 40, `a ttl of ${figures?.suggestedTtl} s would do`)
    t.match(recommendations.filter(({ kind }) => kind === 'serve' || kind === 'outdated'), [{ kind: 'serve', numbers: { route: '/clock', lookups: 300 } }, { kind: 'outdated', numbers: { compared: 295 } }])
  })
})

t.test('a hit that is verified', async (t) => {
  t.test('has its handler run again, and nothing else changes', async (t) => {
    const { app, results, report } = await watchedApp(t)
    let runs = 0
    app.get('/x', { config: { cache: { ttl: 60, verify: 1 } } }, async () => { runs++; return 'x' })
    await app.inject('/x')
    await turns(20)
    t.equal(runs, 1, 'a miss is not verified')
    const hit = await app.inject('/x')
    await turns(40)
    t.match(cacheStatus(hit), /^hit/)
    t.equal(runs, 2)
    t.same(results(), ['same'])
    t.match(app.cache.getStats(), { hits: 1, misses: 1, sets: 1, bypasses: 0 }, 'it is no lookup, and stores nothing')
    t.match(report().performanceMetrics.observed, [{ route: '/x', lookups: 0, compared: 1, results: { same: 1 } }])
  })

  t.test('is outdated when its content has changed and nobody purged', async (t) => {
    const { app, clock, results } = await watchedApp(t, { verify: 1 })
    let text = 'a'
    app.get('/x', { config: { cache: { ttl: 60, tags: ['x'] } } }, async () => text)
    await app.inject('/x')
    text = 'b'
    t.equal((await app.inject('/x')).body, 'a')
    await grace(clock)
    t.same(results(), ['outdated'])
    await app.inject('/x')
    await turns(20)
    await app.cache.invalidate({ tags: ['x'] })
    await grace(clock)
    t.same(results(), ['outdated', 'purged'], 'a purge that comes meanwhile explains it')
    t.equal((await app.inject('/x')).body, 'b')
  })

  t.test('has the wrong key when a hook reads what the key lacks', async (t) => {
    const { app, clock, results, report } = await watchedApp(t, { verify: 1 })
    app.decorateRequest('language', '')
    // what hooks read before the handler is not watched
    app.addHook('onRequest', async (request) => { request.setDecorator('language', request.headers['accept-language'] ?? 'en') })
    app.get('/x', { config: { cache: { ttl: 60 } } }, async (request) => `in ${request.getDecorator<string>('language')}`)
    await app.inject({ url: '/x', headers: { 'accept-language': 'de' } })
    t.equal((await app.inject({ url: '/x', headers: { 'accept-language': 'fr' } })).body, 'in de', 'the mistake')
    await grace(clock)
    t.same(results(), ['wrong-key'])
    t.match(report().recommendations, [{ kind: 'wrong-key', numbers: { route: '/x', wrongKey: 1 } }])
  })

  t.test('cannot be judged when the handler never answers the same, or a guard keeps the experiment out', async (t) => {
    const { app, clock, results } = await watchedApp(t, { verify: 1 })
    let run = 0
    app.get('/random', { config: { cache: { ttl: 60 } } }, async () => `run ${++run}`)
    let text = 'a'
    app.get('/guarded', {
      config: { cache: { ttl: 60 } },
      preHandler: async (request, reply) => { if (request.headers['x-api-key'] !== 'k') await reply.code(401).send('no') }
    }, async () => text)
    for (const url of ['/random', '/guarded']) {
      await app.inject({ url, headers: { 'x-api-key': 'k' } })
      text = 'b'
      t.match(cacheStatus(await app.inject({ url, headers: { 'x-api-key': 'k' } })), /^hit/)
      await grace(clock)
      text = 'a'
    }
    t.same(results(), ['unrepeatable', 'different'])
  })

  t.test('is asked for as its own client, and each partition for itself', async (t) => {
    const { app, results, compared, clock } = await watchedApp(t, { verify: 1 })
    const users: unknown[] = []
    let text = 'a'
    app.get('/mine', { config: { cache: { ttl: 60, partition: (request: CacheRequest) => request.headers.authorization } } }, async (request) => { users.push(request.headers.authorization); return `${text} for ${request.headers.authorization ?? ''}` })
    for (const authorization of ['ann', 'bob', 'ann', 'bob']) {
      await app.inject({ url: '/mine', headers: { authorization } })
      await turns(40)
    }
    t.same(users, ['ann', 'bob', 'ann', 'bob'])
    t.same(results(), ['same', 'same'])
    t.equal(new Set(compared.map(({ key }) => key)).size, 2)
    text = 'b'
    await app.inject({ url: '/mine', headers: { authorization: 'ann', 'user-agent': 'x' } })
    await grace(clock)
    t.same(results().at(-1), 'outdated', 'its bare request keeps what the partition is made of')
  })

  t.test('is one of a share, and no more than two are verified at a time', async (t) => {
    let chance = 0.5
    const { app, results } = await watchedApp(t, { random: () => chance, verify: 0.5 })
    let runs = 0
    let gate = deferred()
    gate.resolve()
    app.get('/x', { config: { cache: { ttl: 60 } } }, async () => { runs++; await gate.promise; return 'x' })
    app.get('/never', { config: { cache: { ttl: 60, verify: 0 } } }, async () => 'x')
    for (const url of ['/x', '/x', '/never', '/never']) await app.inject(url)
    await turns(20)
    t.equal(runs, 1, 'not drawn')
    chance = 0.49
    gate = deferred()
    for (let i = 0; i < 10; i++) {
      await app.inject('/x')
      await app.inject('/never')
    }
    await turns(20)
    t.equal(runs, 3)
    gate.resolve()
    await turns(40)
    t.same(results(), ['same', 'same'])
  })

  t.test('cannot be imitated: a client gets a hit, whatever it sends, and so does what the handler injects', async (t) => {
    const { app, results } = await watchedApp(t, { verify: 1 })
    const inner: string[] = []
    app.get('/x', { config: { cache: { ttl: 60 } } }, async () => 'x')
    app.get('/outer', { config: { cache: { ttl: 60 } } }, async () => {
      inner.push(cacheStatus(await app.inject('/x')))
      return 'outer'
    })
    for (const url of ['/x', '/outer', '/outer']) {
      await app.inject(url)
      await turns(60)
    }
    t.same(inner, ['hit;ttl=60', 'hit;ttl=60'], 'in the run for the client, and in that of the verification')
    t.same(results(), ['same', 'same', 'same'])
  })

  t.test('is no HEAD and no part of a body when it is asked for again', async (t) => {
    const { app, results } = await watchedApp(t, { verify: 1 })
    const methods: string[] = []
    app.get('/x', { config: { cache: { ttl: 60, public: true } } }, async (request) => { methods.push(request.method); return 'hello' })
    await app.inject('/x')
    await app.inject({ url: '/x', method: 'HEAD' })
    await turns(40)
    t.equal((await app.inject({ url: '/x', headers: { range: 'bytes=0-1' } })).body, 'he')
    await turns(40)
    t.equal((await app.inject({ url: '/x', headers: { 'if-none-match': '*' } })).statusCode, 304)
    await turns(40)
    t.same(results(), ['same', 'same', 'same'])
    t.same(methods, ['GET', 'GET', 'GET', 'GET'])
  })

  t.test('leaves nothing behind when the app closes', async (t) => {
    const { app } = await cachedApp({ verify: 1 })
    const faults: unknown[] = []
    app.cache.on('fault', (fault) => { faults.push(fault) })
    let hang = false
    app.get('/x', { config: { cache: { ttl: 60 } } }, async () => { if (hang) await new Promise(() => {}); return 'x' })
    await app.inject('/x')
    hang = true
    await app.inject('/x')
    await turns()
    await app.close()
    await turns()
    t.same(faults, [])
  })
})

t.test('it is the same with responses in Redis, and over a socket', async (t) => {
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(cache, { strategy: 'redis', redisUrl: redis.url, redisTimeout: 10 })
  app.get('/observed', { config: { cache: { mode: 'observe' } } }, async () => 'x')
  app.get('/verified', { config: { cache: { public: true, verify: 1 } } }, async () => 'x')
  const port = await listening(app)
  await onRedis(app.cache)
  const get = async (path: string): Promise<string> => cacheStatus({ headers: Object.fromEntries((await fetch(`http://127.0.0.1:${port}${path}`)).headers) })
  for (const [path, wanted] of [['/observed', /would hit/], ['/verified', /^hit;ttl=/]] as const) {
    const told: Array<CacheEvents['compare']> = []
    const seen: string[] = []
    app.cache.on('compare', (comparison) => { told.push(comparison) })
    // The second request may come before the first is stored, and a busy Redis may leave a comparison out.
    while (told.length === 0) seen.push(await get(path))
    t.ok(seen.some((status) => wanted.test(status)), path)
    t.match(told[0], { route: path, result: 'same' })
  }
})

t.test('modes and shares that are none are refused by name', async (t) => {
  for (const options of [{ mode: 'look' }, { verify: 2 }] as unknown as CachePluginOptions[]) await t.rejects(cachedApp(options), { code: 'FST_ERR_CACHE_OPTION', message: new RegExp(`Option ${Object.keys(options)[0]} `) })
  const { app } = await cachedApp()
  t.teardown(async () => { await app.close() })
  const route = (cache: unknown) => () => { app.get('/' + Math.random(), { config: { cache: cache as true } }, async () => 'x') }
  t.throws(route({ mode: 'look' }), { code: 'FST_ERR_CACHE_OPTION', message: 'Option config.cache.mode is "look", must be "serve" or "observe"' })
  t.throws(route({ verify: -1 }), { code: 'FST_ERR_CACHE_OPTION', message: 'Option config.cache.verify is -1, must be a number from 0 to 1' })
  t.throws(route({ mode: 'observe', verify: 0.5 }), { code: 'FST_ERR_CACHE_OPTION_CONFLICT' })
})
