import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import t from 'tap'
import { systemClock } from '../../lib/clock.ts'
import cache, { type CachePluginOptions, type RouteCacheOptions } from '../../plugins/index.ts'
import { cachedApp, cacheStatus, deferred, turns } from '../support/cached-app.ts'
import { startRedis } from '../support/redis-server.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { onRedis } from '../support/until.ts'

interface Seen { status: number, says: string, body: string, headers: Record<string, string | string[] | number | undefined> }

/** Asks for `/x` and tells what came back, and what the cache said of it. */
async function ask (app: FastifyInstance, headers: InjectOptions['headers'] = {}, method: 'GET' | 'HEAD' = 'GET'): Promise<Seen> {
  const answer = await app.inject({ url: '/x', method, headers })
  return { status: answer.statusCode, says: cacheStatus(answer), body: answer.body, headers: answer.headers }
}

/** A handler that knows a version: it answers a condition that names it with a 304, and notes what it was asked. */
async function versioned (route: RouteCacheOptions, control = 'max-age=10') {
  const { app, clock } = await cachedApp()
  const state = { version: 1, control, asked: [] as Array<string | undefined>, extra: {} as Record<string, string> }
  app.get('/x', { config: { cache: { http: { revalidate: 3600 }, ...route } } }, async ({ headers }, reply) => {
    state.asked.push(headers['if-none-match'])
    const tag = `"v${state.version}"`
    reply.headers({ etag: tag, ...state.control !== '' && { 'cache-control': state.control }, ...state.extra })
    if (headers['if-none-match'] === tag) return await reply.code(304).send()
    return `version ${state.version}`
  })
  return { app, clock, state }
}

t.test('a stale response is validated through its handler, and a 304 makes it fresh again', async (t) => {
  const { app, clock, state } = await versioned({ staleIfError: 0 })
  t.match(await ask(app), { status: 200, says: /^fwd=uri-miss;ttl=10;stored/, body: 'version 1' })
  clock.advance(20_000)
  state.extra = { 'x-since': 'then' }
  const confirmed = await ask(app)
  t.match(confirmed, { status: 200, says: /^fwd=stale;fwd-status=304;ttl=10;stored/, body: 'version 1', headers: { 'x-since': 'then', 'content-length': '9' } })
  t.match(await ask(app), { says: /^hit;ttl=10/, body: 'version 1', headers: { 'x-since': 'then', age: '0' } }, 'and is a hit with the new fields')
  t.same(state.asked, [undefined, '"v1"'])

  clock.advance(20_000)
  state.version = 2
  t.match(await ask(app), { says: /^fwd=stale;ttl=10;stored/, body: 'version 2' }, 'a full answer takes its place')
  clock.advance(20_000)
  const outcome: unknown[] = []
  app.cache.on('lookup', ({ reason }) => { outcome.push(reason) })
  t.match(await ask(app, { 'if-none-match': '"v2"' }), { status: 304, body: '' }, 'the condition of the client is judged afterwards')
  t.match(await ask(app, { 'if-none-match': '"v1"' }), { status: 200, says: /^hit/, body: 'version 2' })
  t.same(state.asked.slice(2), ['"v1"', '"v2"'], 'and never reaches the handler')
  t.same(outcome, ['stale', 'fresh'])
  clock.advance(3700_000)
  t.match(await ask(app), { says: /^fwd=uri-miss/ }, 'for as long as it is kept')
  await app.close()
})

t.test('what a purge takes while its validation waits for another process is not validated', async (t) => {
  const server = await startRedis()
  const asked: Array<string | undefined> = []
  let version = 1
  let begun = deferred()
  let gate = Promise.resolve()
  const open = async (): Promise<FastifyInstance> => {
    const app: FastifyInstance = Fastify()
    await app.register(cache, { strategy: 'hybrid', redisUrl: server.url, redisPrefix: 'validated:', redisTimeout: 10 })
    app.get('/x', { config: { cache: { ttl: 60, staleWhileRevalidate: 0, staleIfError: 0, tags: ['page'], http: { revalidate: 3600 } } } }, async ({ headers }, reply) => {
      const seen = version
      asked.push(headers['if-none-match'])
      begun.resolve()
      await gate
      reply.header('etag', '"of the schema"')
      return headers['if-none-match'] === undefined ? `version ${seen}` : await reply.code(304).send()
    })
    await app.ready()
    await onRedis(app.cache)
    return app
  }
  const [here, there] = [await open(), await open()]
  t.teardown(async () => {
    await Promise.all([here.close(), there.close()])
    await server.stop()
  })
  t.match(await ask(here), { says: /stored/, body: 'version 1' })
  const { tip } = there.cache.parts.log
  await here.cache.invalidate({ tags: ['page'], soft: true })
  while (there.cache.parts.log.tip === tip) await turns(1)
  const held = deferred()
  gate = held.promise
  begun = deferred()
  const leading = ask(there)
  await begun.promise
  const { leases } = here.cache.parts
  const busy = deferred()
  const wait = leases?.wait.bind(leases)
  if (leases !== undefined && wait !== undefined) {
    leases.wait = async (...how) => {
      busy.resolve()
      return await wait(...how)
    }
  }
  const waiting = ask(here)
  await busy.promise
  version = 2
  await here.cache.invalidate({ tags: ['page'] })
  held.resolve()
  await leading
  t.match(await waiting, { says: /stored/, body: 'version 2' })
  t.match(await ask(here), { says: /^hit/, body: 'version 2' })
  t.same(asked, [undefined, '"of the schema"', undefined])
})

t.test('a background refresh validates too', async (t) => {
  const { app, clock, state } = await versioned({ staleWhileRevalidate: 60 })
  await ask(app)
  clock.advance(20_000)
  t.match(await ask(app), { says: /^hit;ttl=-10;detail=stale-while-revalidate/ })
  await turns(20)
  t.same(state.asked, [undefined, '"v1"'])
  t.match(await ask(app), { says: /^hit;ttl=10/ })
  await app.close()
})

t.test('no-cache with a validator is stored and validated for each use, and nobody waits for it', async (t) => {
  const { app, state } = await versioned({ ttl: 60 }, 'no-cache')
  t.match(await ask(app), { says: /^fwd=uri-miss;ttl=0;stored/ })
  t.match(await ask(app), { says: /^fwd=stale;fwd-status=304/, body: 'version 1' })
  t.same(state.asked, [undefined, '"v1"'])
  await app.close()

  const waiting = await cachedApp()
  const gate = deferred()
  let runs = 0
  waiting.app.get('/x', { config: { cache: { ttl: 0 } } }, async ({ headers }, reply) => {
    if (++runs > 1) await gate.promise
    reply.headers({ etag: '"a"', 'cache-control': 'no-cache' })
    return headers['if-none-match'] === '"a"' ? await reply.code(304).send() : 'page'
  })
  await ask(waiting.app)
  const crowd = Array.from({ length: 5 }, async () => await ask(waiting.app))
  await turns()
  t.equal(runs, 6, 'they all ask at once')
  gate.resolve()
  for (const one of await Promise.all(crowd)) t.match(one, { status: 200, body: 'page' })
  await waiting.app.close()
})

t.test('what may not be used unasked is fresh at no moment of its life, though its handler took a while', async (t) => {
  const { app, clock } = await cachedApp()
  app.get('/x', { config: { cache: { ttl: 0, http: { revalidate: 3600 } } } }, async (_request, reply) => {
    clock.advance(50)
    reply.headers({ etag: '"a"', 'cache-control': 'no-cache' })
    return 'page'
  })
  t.match(await ask(app), { says: /^fwd=uri-miss;ttl=0;stored/ })
  const { value: page } = await app.cache.entries().next()
  const bornAtMs = clock.now() - 50
  t.match(await app.cache.parts.store.read(page?.key ?? ''), { storedAtMs: bornAtMs, freshUntilMs: bornAtMs, staleWhileRevalidateUntilMs: bornAtMs, staleIfErrorUntilMs: bornAtMs })
  await app.close()
})

t.test('what one instance has stored, another validates', async (t) => {
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  const asked: unknown[] = []
  const apps = await Promise.all([1, 2].map(async () => {
    const app = Fastify()
    await app.register(cache, { strategy: 'redis', redisUrl: redis.url, redisTimeout: 10, redisRequired: true, metrics: false, exposeStats: false })
    app.get('/x', { config: { cache: { ttl: 0 } } }, async ({ headers }, reply) => {
      asked.push(headers['if-none-match'])
      reply.headers({ etag: '"a"', 'cache-control': 'no-cache' })
      return headers['if-none-match'] === '"a"' ? await reply.code(304).send() : 'page'
    })
    await onRedis(app.cache)
    return app
  }))
  const [one, other] = apps as [FastifyInstance, FastifyInstance]
  const kept = new Promise((resolve) => { one.cache.on('store', resolve) })
  t.match(await ask(one), { says: /^fwd=uri-miss;ttl=0;stored/ })
  await kept
  t.match(await ask(other), { status: 200, says: /^fwd=stale;fwd-status=304/, body: 'page' })
  t.same(asked, [undefined, '"a"'])
  await Promise.all(apps.map(async (app) => { await app.close() }))
})

t.test('a handler is asked only what it can know', async (t) => {
  const { app, clock } = await cachedApp()
  const asked: unknown[] = []
  const config = { cache: { ttl: 10, staleIfError: 60, harmlessHeaders: ['*'], http: { revalidate: 3600 } } }
  app.get('/x', { config }, async ({ headers }) => {
    asked.push([headers['if-none-match'], 'if-none-match' in headers, Object.keys(headers).includes('if-none-match')])
    return 'without validators of its own'
  })
  app.get('/dated', { config }, async ({ headers }, reply) => {
    asked.push({ ...headers })
    reply.header('last-modified', 'Wed, 01 Jan 2020 00:00:00 GMT')
    return 'page'
  })
  t.match(await ask(app), { headers: { etag: /^W\// } })
  clock.advance(20_000)
  t.match(await ask(app), { status: 200, says: /^fwd=stale;ttl=10/ })
  t.same(asked, [[undefined, false, false], [undefined, false, false]], 'our own entity-tag is not the handler\'s')

  await app.inject({ url: '/dated', headers: { 'if-modified-since': 'Wed, 01 Jan 2025 00:00:00 GMT' } })
  clock.advance(20_000)
  await app.inject({ url: '/dated', headers: { range: 'bytes=0-1' } })
  const [first, second] = asked.slice(2) as Array<Record<string, string>>
  t.equal(first?.['if-modified-since'], undefined)
  t.match(second, { 'if-modified-since': 'Wed, 01 Jan 2020 00:00:00 GMT', range: undefined }, 'a copy of the headers has the condition as well')
  await app.close()
})

t.test('what a confirmed response was built from still takes it', async (t) => {
  const { app, clock } = await cachedApp()
  let price = 1
  app.get('/x', { config: { cache: { ttl: 10, headers: ['x-currency'], precompress: ['gzip'], tags: ['page'], http: { revalidate: 3600 } } } }, async ({ headers }, reply) => {
    reply.header('etag', '"same"')
    if (headers['if-none-match'] === '"same"') return await reply.code(304).send()
    return `price ${String(await app.cache.getOrSet('price', () => price))}`
  })
  await ask(app)
  for (let round = 0; round < 3; round++) {
    clock.advance(20_000)
    t.match(await ask(app), { says: /^fwd=stale;fwd-status=304;ttl=10;stored/, body: 'price 1', headers: { 'cache-control': 'public, no-cache', vary: 'x-currency, Accept-Encoding' } }, 'fresh for the ttl of the route: the Cache-Control was ours')
    t.match(await ask(app), { says: /^hit/ })
  }
  price = 2
  await app.cache.invalidate({ keys: ['price'] })
  t.match(await ask(app), { says: /^fwd=uri-miss/, body: 'price 2' })
  await app.close()
})

t.test('a cookie that comes with a 304 is for its client alone, and an error is not validated', async (t) => {
  const { app, clock, state } = await versioned({ staleIfError: 0 })
  await ask(app)
  clock.advance(20_000)
  state.extra = { 'set-cookie': 'user=1' }
  t.match(await ask(app), { status: 200, says: /set-cookie/, body: 'version 1', headers: { 'set-cookie': 'user=1' } })
  state.extra = {}
  t.match(await ask(app), { says: /^fwd=stale;fwd-status=304/, headers: { 'set-cookie': undefined } })
  await app.close()

  const other = await cachedApp()
  const asked: unknown[] = []
  other.app.get('/x', { config: { cache: { ttl: 0 } } }, async ({ headers }, reply) => {
    asked.push(headers['if-none-match'])
    return await reply.code(404).headers({ etag: '"none"', 'cache-control': 'max-age=10' }).send('nothing')
  })
  t.match(await ask(other.app), { status: 404, says: /ttl=10;stored/ })
  other.clock.advance(20_000)
  t.match(await ask(other.app), { status: 404, says: /ttl=10;stored/ })
  t.same(asked, [undefined, undefined])
  await other.app.close()
})

t.test('a 304 that nobody was asked for confirms nothing', async (t) => {
  const { app, clock } = await cachedApp()
  let hooked = false
  app.get('/x', { config: { cache: { public: true, ttl: 10, http: { revalidate: 3600 } } }, preHandler: async (_request, reply) => { if (hooked) return await reply.code(304).send() } },
    async (_request, reply) => await reply.header('etag', '"a"').send('page'))
  await ask(app)
  clock.advance(20_000)
  hooked = true
  t.match(await ask(app), { status: 304, says: /detail=answered-before/ }, 'a hook that answers in place of the handler')
  await app.close()
})

t.test('a HEAD that goes to the handler confirms the stored GET, takes it away, or leaves it alone', async (t) => {
  for (const [name, headers, get] of [
    ['confirms', { etag: '"v1"', 'cache-control': 'max-age=100' }, /^hit;ttl=100/],
    ['takes away', { etag: '"v2"' }, /^fwd=uri-miss/],
    ['takes away by the length', { 'content-length': '99' }, /^fwd=uri-miss/],
    ['leaves alone, having no validator', { 'cache-control': 'max-age=100' }, /^fwd=stale/]
  ] as const) {
    const { app, clock } = await cachedApp()
    app.get('/x', { exposeHeadRoute: false, config: { cache: { ttl: 10, http: { revalidate: 3600 } } } }, async (_request, reply) => await reply.headers({ etag: '"v1"', 'cache-control': 'max-age=10, stale-while-revalidate=0' }).send('page'))
    app.head('/x', { config: { cache: { ttl: 10, http: { revalidate: 3600 } } } }, async (_request, reply) => await reply.headers(headers).send())
    await ask(app)
    clock.advance(20_000)
    t.match(await ask(app, {}, 'HEAD'), { status: 200, body: '' })
    t.match((await ask(app)).says, get, name)
    await app.close()
  }
})

t.test('what forbids stale use is asked about, and never served for a failure', async (t) => {
  for (const bar of ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=2', 's-maxage=2, stale-if-error=60']) {
    for (const strict of [true, false]) {
      const { app, clock } = await cachedApp()
      let down = false
      app.get('/x', { config: { cache: { ttl: 0, staleIfError: 60, http: { sMaxageForbidsStale: strict } } } }, async (_request, reply) => {
        if (down) throw new Error('down')
        return await reply.headers({ etag: '"a"', 'cache-control': `max-age=2, ${bar}` }).send('page')
      })
      await ask(app)
      clock.advance(3000)
      down = true
      t.equal((await ask(app)).status, bar.includes('stale-if-error') && !strict ? 200 : 500, `${bar}, ${strict ? 'to the letter' : 'as it was meant'}`)
      await app.close()
    }
  }
})

t.test('with a ttl of 0 the handler decides alone', async (t) => {
  const { app, clock } = await cachedApp()
  let answer: [status: number, control: string] = [200, '']
  app.get('/x', { config: { cache: { ttl: 0 } } }, async (_request, reply) => {
    if (answer[1] !== '') reply.header('cache-control', answer[1])
    if (answer[0] === -1) throw Object.assign(new Error('gone'), { statusCode: 404 })
    return await reply.code(answer[0]).send('page')
  })
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => await reply.code(error.statusCode ?? 500).send('error'))
  for (const [status, control, says] of [
    [200, '', 'fwd=uri-miss;detail=no-freshness'],
    [200, 'max-age=10', 'fwd=uri-miss;ttl=10;stored'],
    [404, '', 'fwd=uri-miss;detail=no-freshness'],
    [404, 'max-age=10', 'fwd=uri-miss;ttl=10;stored'],
    [503, 'max-age=10', 'fwd=uri-miss;ttl=10;stored'],
    [299, 'public, s-maxage=5', 'fwd=uri-miss;ttl=5;stored'],
    [-1, 'max-age=10', 'fwd=uri-miss;detail="status; 404; thrown"']
  ] as const) {
    answer = [status, control]
    clock.advance(1000_000)
    t.match((await ask(app)).says, says, `${status} ${control}`)
  }
  await app.close()

  const { app: other } = await cachedApp()
  other.get('/x', { config: { cache: { ttl: 60, statuses: 'any', notFoundTtl: 5 } } }, async ({ query }, reply) => await reply.code(Number((query as { status: string }).status)).send('page'))
  for (const [status, says] of [[200, /ttl=60;stored/], [404, /ttl=5;stored/], [500, /"status; 500"/]] as const) t.match(cacheStatus(await other.inject(`/x?status=${status}`)), says, `${status} by the route`)
  await other.close()
})

t.test('targeted fields, heuristics and cookies, where a route wants them', async (t) => {
  const headers = { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=7', 'edge-control': 'max-age=9' }
  const table: Array<[name: string, headers: Record<string, string>, http: RouteCacheOptions['http'], says: RegExp]> = [
    ['not obeyed by default', headers, {}, /no-store/],
    ['obeyed', headers, { targets: ['CDN-Cache-Control'] }, /ttl=7;stored/],
    ['in their order', headers, { targets: ['edge-control', 'cdn-cache-control'] }, /ttl=9;stored/],
    ['no lifetime is guessed by default', { 'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT' }, {}, /ttl=0;stored/],
    ['guessed', { 'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT' }, { heuristics: true }, /ttl=86400;stored/],
    ['no cookie is stored by default', { 'cache-control': 'max-age=5', 'set-cookie': 'a=b' }, {}, /set-cookie/],
    ['stored', { 'cache-control': 'max-age=5', 'set-cookie': 'a=b' }, { storeSetCookie: true }, /ttl=5;stored/]
  ]
  for (const [name, given, http, says] of table) {
    const { app } = await cachedApp()
    app.get('/x', { config: { cache: { ttl: 0, http } } }, async (_request, reply) => await reply.headers(given).send('page'))
    const first = await ask(app)
    t.match(first.says, says, name)
    const second = await ask(app)
    for (const field of Object.keys(given)) t.same(second.headers[field], first.headers[field], `${name}: ${field} goes on`)
    await app.close()
  }
})

t.test('a client is obeyed where the route says so', async (t) => {
  const table: Array<[directives: string, freshFor10: string, staleFor10: string, absent: string]> = [
    ['', 'hit;ttl=10', 'fwd=stale', 'fwd=uri-miss'],
    ['no-cache', 'fwd=request', 'fwd=request', 'fwd=uri-miss'],
    ['max-age=5', 'fwd=request', 'fwd=request', 'fwd=uri-miss'],
    ['max-age=15', 'hit;ttl=10', 'fwd=request', 'fwd=uri-miss'],
    ['min-fresh=11', 'fwd=request', 'fwd=request', 'fwd=uri-miss'],
    ['max-stale', 'hit;ttl=10', 'hit;ttl=-10;detail=max-stale', 'fwd=uri-miss'],
    ['max-stale=9', 'hit;ttl=10', 'fwd=stale', 'fwd=uri-miss'],
    ['only-if-cached', 'hit;ttl=10', '', ''],
    ['only-if-cached, max-stale', 'hit;ttl=10', 'hit;ttl=-10;detail=max-stale', ''],
    ['no-store', 'hit;ttl=10', 'fwd=stale', 'fwd=uri-miss']
  ]
  for (const [directives, ...expected] of table) {
    for (const [at, wanted] of expected.entries()) {
      const { app, clock } = await cachedApp()
      app.get('/x', { config: { cache: { ttl: 20, staleIfError: 60, http: { requestDirectives: true } } } }, async (_request, reply) => await reply.header('cache-control', 'max-age=20').send('page'))
      if (at < 2) {
        await ask(app)
        clock.advance(at === 0 ? 10_000 : 30_000)
      }
      const { says, status } = await ask(app, directives === '' ? {} : { 'cache-control': directives })
      const name = `${directives} with a response that is ${['fresh', 'stale', 'absent'][at] ?? ''}`
      t.ok(says.startsWith(wanted) && (wanted !== '' || says === ''), `${name}: ${says}`)
      t.equal(status, wanted === '' ? 504 : 200, name)
      if (directives === 'no-store' && at === 2) t.match((await ask(app)).says, /^fwd=uri-miss/, 'what it forbids to store is not stored')
      await app.close()
    }
  }
  const { app, clock } = await cachedApp()
  app.get('/x', { config: { cache: { ttl: 0, http: { requestDirectives: true } } } }, async (_request, reply) => await reply.headers({ etag: '"a"', 'cache-control': 'max-age=20, must-revalidate' }).send('page'))
  await ask(app)
  clock.advance(30_000)
  t.match((await ask(app, { 'cache-control': 'max-stale' })).says, /^fwd=stale/, 'but not against must-revalidate')
  t.match((await ask(app, { pragma: 'no-cache' })).says, /^fwd=request/, 'and Pragma speaks where Cache-Control is silent')
  await app.close()
})

t.test('requests with credentials share what says that it may be shared, where the route says so', async (t) => {
  const alice = { authorization: 'alice', cookie: 'session=1' }
  for (const [control, shares] of [['max-age=60', false], ['max-age=60, public', true], ['s-maxage=60', true], ['max-age=60, must-revalidate', true], ['max-age=60, private', false], ['', false]] as const) {
    for (const first of [alice, {}]) {
      const { app } = await cachedApp()
      app.get('/x', { config: { cache: { ttl: 60, http: { shareByDirective: true } } } }, async (_request, reply) => {
        if (control !== '') reply.header('cache-control', control)
        return await reply.send('page')
      })
      await ask(app, first)
      const again = await ask(app, alice)
      t.equal(again.says.startsWith('hit'), shares, `${control} after ${first === alice ? 'a request with credentials' : 'one without'}: ${again.says}`)
      if (!shares && first !== alice && !control.includes('private')) t.match(again.says, 'fwd=bypass;detail=credentials', 'what is for all without credentials is not for those with them')
      await app.close()
    }
  }
  const { app } = await cachedApp()
  app.get('/x', { config: { cache: { ttl: 60, http: { shareByDirective: true } } } }, async ({ headers }, reply) => await reply.header('cache-control', 'public, max-age=60').send(`for ${headers.authorization ?? 'all'}`))
  t.match(await ask(app, alice), { says: /detail="unkeyed-input; authorization"/, body: 'for alice' }, 'a handler that looks at the credential is not believed')
  await app.close()
})

t.test('Vary may name what is in the key, credentials too', async (t) => {
  const { app } = await cachedApp()
  const routes = {
    cookies: [{ cookies: ['a'] }, 'cookie', ['a=1', 'a=2']],
    partition: [{ partition: ({ headers }) => headers.authorization }, 'authorization', ['Bearer a', 'Bearer b']],
    headers: [{ headers: ['x-lang'] }, 'x-lang', ['de', 'en']]
  } as const satisfies Record<string, readonly [RouteCacheOptions, string, readonly string[]]>
  for (const [name, [route, field]] of Object.entries(routes)) app.get(`/${name}`, { config: { cache: { ttl: 60, ...route } } }, async ({ headers }, reply) => await reply.header('vary', field).send(headers[field] ?? 'none'))
  app.get('/open', { config: { cache: { ttl: 60 } } }, async (_request, reply) => await reply.header('vary', 'Cookie').send('x'))
  for (const [name, [, field, values]] of Object.entries(routes)) {
    const seen: string[] = []
    for (const value of [...values, ...values]) {
      const answer = await app.inject({ url: `/${name}`, headers: { [field]: value } })
      t.match([answer.body, String(answer.headers.vary).toLowerCase()], [value, field])
      seen.push(cacheStatus(answer))
    }
    t.match(seen, [/^fwd=uri-miss.*stored/, /^fwd=uri-miss.*stored/, /^hit/, /^hit/], name)
  }
  t.equal(cacheStatus(await app.inject('/open')), 'fwd=uri-miss;detail="vary-credentials; cookie"')
  await app.close()
})

t.test('languages of equal quality are a set, where the app says so', async (t) => {
  for (const ignoreLanguageOrder of [false, true]) {
    const { app } = await cachedApp({ http: { ignoreLanguageOrder } })
    app.get('/x', { config: { cache: true } }, async (_request, reply) => await reply.header('vary', 'accept-language').send('page'))
    await ask(app, { 'accept-language': 'en, de' })
    t.match((await ask(app, { 'accept-language': 'de, en' })).says, ignoreLanguageOrder ? /^hit/ : /^fwd=vary-miss/)
    await app.close()
  }
})

t.test('the answer to a POST that is also one to a GET is kept, where the route wants it', async (t) => {
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  // The time stands still, but not the timers: a connection that a busy machine loses would never be made again.
  const stores = [{}, { strategy: 'hybrid', redisUrl: redis.url, redisTimeout: 10, clock: { ...fakeClock(), after: systemClock.after } }] as const
  for (const options of stores) {
    const { app } = await cachedApp({ ...options, http: { storePost: true } })
    const seen: Array<string | undefined> = []
    const told: unknown[] = []
    let gets = 0
    let meanwhile: () => Promise<unknown> = async () => {}
    app.get('/x', { config: { cache: { ttl: 60 } } }, async () => `got ${++gets}`)
    app.post('/x', { config: { cache: { ttl: 60 } } }, async ({ headers, body, cache }, reply) => {
      seen.push(headers['if-match'])
      told.push(cache)
      const { answer = {}, status = 200 } = body as { answer?: Record<string, string>, status?: number }
      await meanwhile()
      return await reply.code(status).headers({ 'content-location': '/x', 'cache-control': 'max-age=30', ...answer }).send('posted')
    })
    const post = async (answer: Record<string, string> = {}, headers: Record<string, string> = {}, status = 200): Promise<[number, string, string]> => {
      const response = await app.inject({ method: 'POST', url: '/x', headers, payload: { answer, status } })
      return [response.statusCode, cacheStatus(response), response.body]
    }
    await ask(app)
    t.match(await post({}, { 'if-match': '"a"', 'if-none-match': '*' }), [200, /^fwd=method;ttl=30;stored$/, 'posted'])
    t.match(await ask(app), { status: 200, says: /^hit;ttl=30/, body: 'posted', headers: { 'content-location': '/x' } })
    t.match(await ask(app, {}, 'HEAD'), { says: /^hit/ })
    t.same([seen, told], [['"a"'], [{ status: 'bypass', reason: 'method' }]], 'the handler sees the conditions, and that the cache has no part in it')

    for (const [what, answer, headers, detail, status] of [
      ['for another URL', { 'content-location': '/y' }, {}, '"method; POST"', 200],
      ['without a lifetime of its own', { 'cache-control': '' }, {}, '"method; POST"', 200],
      ['a failure', {}, {}, 'method', 400],
      ['for its user', {}, { cookie: 'a=b' }, 'method', 200],
      ['that is private', { 'cache-control': 'private, max-age=30' }, {}, 'private', 200]
    ] as const) {
      t.same(await post(answer, headers, status), [status, `fwd=method;detail=${detail}`, 'posted'], what)
      t.match((await ask(app)).says, status === 400 ? /^hit/ : /^fwd=uri-miss.*stored/, `${what}, it is not served to a GET`)
    }
    meanwhile = async () => await app.cache.invalidate({ tags: ['something'] })
    t.match(await post(), [200, /stored$/, 'posted'])
    meanwhile = async () => await app.cache.invalidate({ paths: ['/x'] })
    t.same(await post(), [200, 'fwd=method;detail=purged', 'posted'], 'what the handler read may be older than a purge')
    t.match(await ask(app), { says: /^fwd=uri-miss/, body: /got/ })
    await app.close()
  }

  for (const options of stores) {
    const { app } = await cachedApp(options)
    app.route({ method: ['GET', 'POST'], url: '/x', config: { cache: { public: true, http: { storePost: true } } }, handler: async ({ method }, reply) => method === 'GET' ? 'got' : await reply.headers({ 'content-location': '/x', expires: 'Tue, 01 Jan 2999 00:00:00 GMT' }).send(Readable.from(['post', 'ed'])) })
    t.match(cacheStatus(await app.inject({ method: 'POST', url: '/x', headers: { cookie: 'a=b' } })), /^fwd=method;ttl=\d+$/, 'a stream is stored when it has ended')
    t.match(await ask(app), { says: /^hit/, body: 'posted' })
    await app.close()
  }
})

t.test('a tag that an onSend hook gives an answer to a POST counts for the time of its handler as well', async (t) => {
  for (const purged of ['product', 'another']) {
    const { app } = await cachedApp({ http: { storePost: true } })
    app.route({
      method: ['GET', 'POST'],
      url: '/x',
      config: { cache: { ttl: 60 } },
      onSend: async (_request, reply) => { reply.cacheTags('product') },
      handler: async ({ method }, reply) => {
        if (method === 'GET') return 'got'
        await app.cache.invalidate({ tags: [purged] })
        return await reply.headers({ 'content-location': '/x', 'cache-control': 'max-age=60' }).send('posted')
      }
    })
    await app.inject({ method: 'POST', url: '/x' })
    t.match(await ask(app), purged === 'product' ? { says: /^fwd=uri-miss/, body: 'got' } : { says: /^hit/, body: 'posted' }, purged)
    await app.cache.invalidate({ tags: ['product'] })
    t.match((await ask(app)).says, /^fwd=uri-miss/)
    await app.close()
  }
})

t.test('a streamed answer to a POST whose names are known at its end is not stored over a purge of one of them', async (t) => {
  for (const how of ['entities', 'tags']) {
    const { app } = await cachedApp({ http: { storePost: true } })
    const product = { id: 42, price: 1 }
    let tags: string[] = []
    app.route({
      method: ['GET', 'POST'],
      url: '/x',
      config: { cache: { ttl: 60, ...(how === 'entities' ? { entities: { product: 'id' } } : { tags: () => tags }) } },
      handler: async ({ method }, reply) => {
        const text = JSON.stringify(product)
        if (method === 'GET') return product
        product.price++
        await app.cache.invalidate({ tags: ['product:42'] })
        return await reply.headers({ 'content-location': '/x', 'cache-control': 'max-age=60', 'content-type': 'application/json' }).send(Readable.from((async function * () {
          tags = ['product:42']
          yield text
        })()))
      }
    })
    t.match(cacheStatus(await app.inject({ method: 'POST', url: '/x' })), 'fwd=method;detail=purged', how)
    t.match(await ask(app), { says: /^fwd=uri-miss/, body: '{"id":42,"price":2}' })
    await app.close()
  }
})

/** A handler that knows ranges, and notes which it was asked for. */
async function ranged (route: RouteCacheOptions, tag = '"v1"', options: CachePluginOptions = {}) {
  const { app, clock } = await cachedApp(options)
  const state = { asked: [] as Array<string | undefined>, tag, says: {} as Record<string, string>, fails: false, streams: false, gate: Promise.resolve() }
  app.get('/x', { config: { cache: { http: { storeParts: true }, ...route } } }, async ({ headers: { range } }, reply) => {
    state.asked.push(range)
    await state.gate
    if (state.fails) throw new Error('broken')
    const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? []
    reply.header('etag', state.tag)
    if (range === undefined) return '0123456789'
    const start = first === '' ? 10 - Number(last) : Number(first)
    if (start > 9) return await reply.code(416).header('content-range', 'bytes */10').send()
    const end = first === '' || last === '' ? 9 : Math.min(9, Number(last))
    const body = '0123456789'.slice(start, end + 1)
    return await reply.code(206).header('content-range', `bytes ${start}-${end}/10`).headers(state.says).send(state.streams ? Readable.from([body]) : body)
  })
  const part = async (range: string, headers: Record<string, string> = {}): Promise<[number, string, string, unknown]> => {
    const answer = await ask(app, { range, ...headers })
    return [answer.status, answer.says, answer.body, answer.headers['content-range']]
  }
  return { app, clock, state, part }
}

t.test('a part of what is not stored is kept, and smaller ones are cut from it, where the route wants it', async (t) => {
  const { app, clock, state, part } = await ranged({ ttl: 60 })
  t.same(await part('bytes=4-'), [206, 'fwd=uri-miss;ttl=60;stored', '456789', 'bytes 4-9/10'])
  for (const [range, body, says] of [['bytes=4-', '456789', 'bytes 4-9/10'], ['bytes=6-8', '678', 'bytes 6-8/10'], ['bytes=-1', '9', 'bytes 9-9/10'], ['Bytes = 5-', '56789', 'bytes 5-9/10']] as const) {
    t.same(await part(range), [206, 'hit;ttl=60', body, says], range)
  }
  clock.advance(5000)
  t.match((await ask(app, { range: 'bytes=4-5' })).headers, { age: '5', 'content-length': '2', etag: '"v1"' })
  t.equal((await ask(app, { range: 'bytes=4-5', 'if-none-match': '"v1"' })).status, 304, 'a condition is judged by the part as by the whole')
  t.same(await part('bytes=4-5', { 'if-range': '"v1"' }), [206, 'hit;ttl=55', '45', 'bytes 4-5/10'])
  t.same(state.asked, ['bytes=4-'], 'all of it from one answer')

  t.same(await part('bytes=2-4'), [206, 'fwd=partial;ttl=60;stored', '234', 'bytes 2-4/10'], 'what is not in it is asked for')
  t.same(await part('bytes=2-8'), [206, 'hit;ttl=60', '2345678', 'bytes 2-8/10'], 'and joined to it')
  t.match(await ask(app, {}, 'HEAD'), { says: /^fwd=uri-miss/ })
  t.same(await part('bytes=0-'), [206, 'fwd=partial;ttl=60;stored', '0123456789', 'bytes 0-9/10'])
  t.match(await ask(app), { status: 200, says: /^hit/, body: '0123456789', headers: { 'content-range': undefined, 'content-length': '10' } }, 'until it is the whole')
  t.same(await part('bytes=-2'), [206, 'hit;ttl=60', '89', 'bytes 8-9/10'])
  t.same(state.asked, ['bytes=4-', 'bytes=2-4', undefined, 'bytes=0-'])

  await app.cache.invalidate({ paths: ['/x'] })
  t.match(await part('bytes=0-1'), [206, /^fwd=uri-miss/], 'a purge takes parts too')
  await app.cache.invalidate({ paths: ['/x'], soft: true })
  state.fails = true
  t.match(await part('bytes=0-1'), [500, /^fwd=/], 'none is served stale')
  await app.close()
})

t.test('parts are joined only where they are of the same, and kept only where they are what they say', async (t) => {
  const weak = await ranged({ ttl: 60, precompress: ['gzip'] }, 'W/"v1"')
  await weak.part('bytes=0-4')
  await weak.part('bytes=5-9')
  t.match(await weak.part('bytes=0-1'), [206, /^fwd=partial/, '01'], 'a weak tag does not tell whether two are of the same: the later one takes its place')
  await weak.app.close()

  const narrow = await ranged({ ttl: 60 }, '"v1"', { maxBodyBytes: 8 })
  await narrow.part('bytes=0-4')
  t.match(await narrow.part('bytes=5-'), [206, /stored/])
  t.match(await narrow.part('bytes=0-1'), [206, /^fwd=partial/], 'nothing longer than a body may be is put together')
  t.match(await ask(narrow.app), { status: 200, says: /detail=too-large/ })
  t.match(await narrow.part('bytes=0-1'), [206, /^hit/], 'so that of a body that is too large at least parts are kept')
  await narrow.app.close()

  const { app, state, part } = await ranged({ ttl: 60, staleWhileRevalidate: 60, http: { storeParts: true, revalidate: 60 } })
  for (const [says, detail] of [
    [{ 'content-range': 'bytes 0-4/*' }, 'partial'], [{ 'content-range': 'bytes 3-1/10' }, 'partial'], [{ 'cache-control': 'no-store' }, 'no-store'],
    [{ 'set-cookie': 'a=b' }, 'set-cookie'], [{ 'cache-control': 'max-age=0' }, 'no-freshness'], [{ 'cache-control': 'max-age=0, stale-while-revalidate=9' }, 'no-freshness']
  ] as const) {
    state.says = says
    t.match(await part('bytes=0-3'), [206, `fwd=uri-miss;detail=${detail}`], JSON.stringify(says))
  }
  state.says = {}
  t.match(await part('bytes=99-'), [416, 'fwd=uri-miss;detail=content-range'])
  state.says = { 'content-range': 'bytes 0-4/10' }
  t.match(await part('bytes=0-3'), [206, 'fwd=uri-miss;detail=length-mismatch', '0123'])
  state.streams = true
  const refused: string[] = []
  app.cache.on('refuse', ({ reason }) => { refused.push(reason) })
  t.match(await part('bytes=0-3'), [206, 'fwd=uri-miss;ttl=60', '0123'], 'of a stream it is known when it has ended')
  state.says = {}
  t.match([await part('bytes=0-3'), await part('bytes=1-2'), refused], [[206, /^fwd=uri-miss/], [206, /^hit/, '12'], ['length-mismatch']])

  await app.cache.invalidate({ everything: true })
  await part('bytes=99-')
  state.asked.length = 0
  const gate = deferred()
  state.gate = gate.promise
  const crowd = [1, 2, 3].map(async () => await ask(app))
  await turns()
  gate.resolve()
  t.same((await Promise.all(crowd)).map(({ body }) => body), ['0123456789', '0123456789', '0123456789'])
  t.same(state.asked, [undefined], 'that a part cannot be kept says nothing of the whole')
  await app.close()
})

t.test('cache groups are tags, in and out', async (t) => {
  for (const cacheGroups of [false, 'in', 'out', 'both'] as const) {
    const { app } = await cachedApp({ http: { cacheGroups } })
    const [reads, sends] = [cacheGroups === 'in' || cacheGroups === 'both', cacheGroups === 'out' || cacheGroups === 'both']
    app.get('/x', { config: { cache: { ttl: 60, tags: ['catalog'] } } }, async (_request, reply) => await reply.header('cache-groups', '"eu", "", cheap').send(await app.cache.getOrSet('price', () => 'page')))
    app.post('/change', { config: { cache: { invalidates: ['stock'] } } }, async (_request, reply) => await reply.header('cache-group-invalidation', '"eu"').code(204).send())
    app.get('/safe', async (_request, reply) => await reply.header('cache-group-invalidation', '"eu"').send())
    const answer = await app.inject('/x')
    t.equal(answer.headers['cache-groups'], sends ? '"eu", "catalog", "price"' : '"eu", "", cheap', `${String(cacheGroups)}: the field`)
    await app.inject('/safe')
    t.match((await ask(app)).says, /^hit/, 'a safe request calls nothing back')
    const change = await app.inject({ method: 'POST', url: '/change' })
    t.equal(change.headers['cache-group-invalidation'], sends ? '"eu", "stock"' : '"eu"')
    t.match((await ask(app)).says, reads ? /^fwd=uri-miss/ : /^hit/, `${String(cacheGroups)}: called back`)
    await app.close()
  }
})

t.test('a wrong choice is refused by name', async (t) => {
  const { app } = await cachedApp()
  const refused = (http: unknown, message: RegExp): void => {
    t.throws(() => app.get('/x', { config: { cache: { http: http as object } } }, async () => ''), { code: /^FST_ERR_CACHE_OPTION/, message })
  }
  refused(5, /config\.cache\.http is 5/)
  refused({ revalidate: -1 }, /config\.cache\.http\.revalidate is -1/)
  refused({ targets: ['a b'] }, /config\.cache\.http\.targets is \["a b"\]/)
  refused({ heuristic: true }, /config\.cache\.http\.heuristic does not exist\. Did you mean heuristics\?/)
  refused({ cacheGroups: 'in' }, /config\.cache\.http\.cacheGroups does not exist/)
  for (const name of ['requestDirectives', 'shareByDirective', 'heuristics', 'storeSetCookie', 'storePost', 'storeParts', 'sMaxageForbidsStale']) refused({ [name]: 1 }, new RegExp(`${name} is 1`))
  t.throws(() => app.get('/x', { config: { cache: { statuses: 'all' as 'any' } } }, async () => ''), { message: /config\.cache\.statuses is "all", must be "any", or an array/ })
  await t.rejects(cachedApp({ http: { cacheGroups: true as unknown as 'in' } }), { message: /http\.cacheGroups is true, must be false, "in", "out" or "both"/ })
  await t.rejects(cachedApp({ http: { ignoreLanguageOrder: 'yes' as unknown as true } }), { message: /http\.ignoreLanguageOrder is "yes"/ })
  await app.close()
})
