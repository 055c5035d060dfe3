import type { OutgoingHttpHeaders } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type LightMyRequestResponse } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import cache, { type CachePluginOptions, type RouteCacheOptions } from '../../plugins/index.ts'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'
import { fakeClock } from '../support/fake-clock.ts'

const guard = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => request.headers['x-key'] === 'open' ? undefined : await reply.code(401).send('closed')
const callbackGuard = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => { if (request.headers['x-key'] === 'open') done(); else reply.code(401).send('closed') }
const PHASES = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

t.test('a hit is never served in front of a guard, wherever it stands', async (t) => {
  const handlers = { async: async () => 'secret', callback: (_request: FastifyRequest, reply: FastifyReply) => { reply.send('secret') } }
  for (const phase of PHASES) {
    for (const place of ['before', 'after', 'late plugin', 'encapsulated', 'route', 'route list', 'callback route'] as const) {
      for (const [kind, handler] of Object.entries(handlers)) {
        const name = `${phase}, ${place}, ${kind} handler`
        const app = Fastify()
        const hook = phase === 'preParsing' ? async (request: FastifyRequest, reply: FastifyReply, payload: unknown) => await guard(request, reply) ?? payload : guard
        const add = (to: FastifyInstance): void => { to.addHook(phase as 'preHandler', hook as typeof guard) }
        if (place === 'before') add(app)
        await app.register(cache, { metrics: false, exposeStats: false })
        if (place === 'after') add(app)
        const config = { cache: { ttl: 60 } }
        if (place === 'encapsulated') await app.register(async (child) => { add(child); child.get('/x', { config }, handler as () => Promise<string>) })
        else {
          const own = place === 'route' ? { [phase]: hook } : place === 'route list' ? { [phase]: [async () => {}, hook] } : place === 'callback route' && phase !== 'preParsing' ? { [phase]: callbackGuard } : place === 'callback route' ? { [phase]: hook } : {}
          app.get('/x', { config, ...own }, handler as () => Promise<string>)
        }
        if (place === 'late plugin') {
          // A hook reaches the routes that are declared after it; this one is put on each route by onRoute, later than ours.
          const late = Fastify()
          await late.register(cache, { metrics: false, exposeStats: false })
          await late.register(fp(async (inner) => { inner.addHook('onRoute', (route) => { route[phase as 'preHandler'] = [...[route[phase as 'preHandler'] ?? []].flat(), hook as typeof guard] }) }))
          late.get('/x', { config }, handler as () => Promise<string>)
          await app.close()
          await assertGuarded(t, late, name)
          continue
        }
        await assertGuarded(t, app, name)
      }
    }
  }
})

async function assertGuarded (t: { equal: (a: unknown, b: unknown, name: string) => unknown, match: (a: unknown, b: unknown, name: string) => unknown }, app: FastifyInstance, name: string): Promise<void> {
  const open = { 'x-key': 'open' }
  t.equal((await app.inject({ url: '/x', headers: open })).body, 'secret', name)
  const hit = await app.inject({ url: '/x', headers: open })
  t.match(cacheStatus(hit), /^hit/, name)
  for (const method of ['GET', 'HEAD'] as const) {
    const refused = await app.inject({ method, url: '/x' })
    t.equal(refused.statusCode, 401, `${name}, ${method}`)
    t.equal(refused.headers.etag, undefined, `${name}, ${method}`)
  }
  await app.close()
}

t.test('a public route is answered before parsing and validation, for everybody', async (t) => {
  const { app } = await cachedApp()
  const seen: string[] = []
  for (const phase of PHASES) app.addHook(phase as 'preHandler', async () => { seen.push(phase) })
  app.get('/x', { config: { cache: { public: true } } }, async () => 'page')
  await app.inject('/x')
  seen.length = 0
  const hit = await app.inject({ url: '/x', headers: { authorization: 'Bearer x', cookie: 'a=b' } })
  t.match(cacheStatus(hit), /^hit/)
  t.equal(hit.body, 'page')
  t.same(seen, ['onRequest'])
  await app.close()
})

/** What a client can tell apart, without what must differ. */
function visible (response: LightMyRequestResponse): unknown {
  const { age, 'cache-status': status, connection, 'transfer-encoding': transfer, 'content-length': length, ...headers } = response.headers
  return { status: response.statusCode, names: Object.keys(headers).sort(), headers, body: response.rawPayload.toString('latin1') }
}

t.test('a hit is the same as the miss, for every kind of response', async (t) => {
  const { app } = await cachedApp()
  const bytes = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256))
  const answers: Record<string, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
    text: () => 'text with ünïcödé ✓',
    json: () => ({ a: [1, null, { b: 'ü' }] }),
    empty: () => '',
    html: (_request, reply) => reply.type('text/html; charset=utf-8').send('<p>'),
    bytes: (_request, reply) => reply.send(bytes),
    typed: (_request, reply) => reply.type('image/png').send(new Uint8Array(bytes)),
    none: (_request, reply) => reply.code(204).send(),
    null: (_request, reply) => reply.code(200).send(null),
    many: (_request, reply) => reply.header('link', ['</a>; rel=x', '</b>; rel=y']).header('x-number', 1).header('X-Case', 'Kept').send('many'),
    odd: (_request, reply) => reply.header('x-flag', true).header('x-null', null).header('x-date', new Date(0)).header('x-list', [1, false]).header('age', ['0', 1]).send('odd'),
    moved: (_request, reply) => reply.redirect('/elsewhere', 301),
    203: (_request, reply) => reply.code(203).send('other'),
    stream: (_request, reply) => reply.type('text/plain').send(Readable.from(['one ', 'two ', Buffer.from('thrée')])),
    'empty-stream': (_request, reply) => reply.type('text/plain').send(Readable.from([])),
    web: (_request, reply) => reply.type('text/plain').send(new Response('web body').body),
    response: () => new Response('web response', { status: 203, headers: { 'x-from': 'web', 'content-type': 'text/x' } }),
    raw: (_request, reply) => { reply.raw.setHeader('X-Raw', 'yes'); return 'raw' },
    sent: (_request, reply) => { reply.send({ sent: true }) }
  }
  for (const [name, answer] of Object.entries(answers)) app.get('/' + encodeURIComponent(name), { config: { cache: true } }, (request, reply) => answer(request, reply))
  for (const name of Object.keys(answers)) {
    const url = '/' + encodeURIComponent(name)
    const miss = await app.inject(url)
    const hit = await app.inject(url)
    t.match(cacheStatus(miss), /stream|^web$|response/.test(name) ? 'fwd=uri-miss;ttl=300' : 'fwd=uri-miss;ttl=300;stored', name)
    t.match(cacheStatus(hit), /^hit;ttl=300/, name)
    const [was, is] = [visible(miss), visible(hit)] as Array<{ headers: Record<string, unknown>, names: string[] }>
    // The tag of a stream is known when it has gone by.
    if (/stream|web$|response/.test(name)) {
      delete is?.headers.etag
      if (is !== undefined) is.names = is.names.filter((other) => other !== 'etag')
    }
    t.same(is, was, name)
    t.equal(hit.headers.age, '0', name)
    const head = await app.inject({ method: 'HEAD', url })
    t.match(cacheStatus(head), /^hit/, name)
    t.equal(head.statusCode, miss.statusCode, name)
    t.equal(head.body, '', name)
    if (miss.statusCode !== 204) t.equal(head.headers['content-length'], String(miss.rawPayload.length), name)
  }
  await app.close()
})

t.test('a hit that nobody else looks at goes out with all that hooks have put onto the reply', async (t) => {
  for (const position of ['handler', 'onRequest'] as const) {
    const { app } = await cachedApp()
    const ended: number[] = []
    const replaced: unknown[] = []
    app.addHook('onRequest', async ({ headers }, reply) => {
      reply.header('x-before', 'hook').header('cache-status', 'nearer;hit').raw.setHeader('x-raw', '1')
      if (headers['x-trailer'] !== undefined) reply.trailer('x-sum', (_reply, _payload, done) => { done(null, '42') })
      if (headers['x-replace'] !== undefined) {
        const { send } = reply
        reply.send = function (payload) {
          replaced.push(payload)
          return send.call(this, payload)
        }
      }
    })
    app.addHook('onResponse', async (_request, reply) => { ended.push(reply.statusCode) })
    app.get('/x', { config: { cache: { ttl: 60, ...position === 'onRequest' && { public: true } } } }, async (_request, reply) => {
      reply.header('x-handler', 'one')
      return { a: 'ä' }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.teardown(async () => { await app.close() })
    const url = `${app.listeningOrigin}/x`
    const miss = await fetch(url)
    const body = await miss.text()
    const hit = await fetch(url)
    t.equal(await hit.text(), body)
    t.match(hit.headers.get('cache-status'), /^nearer;hit, fastify-response-cache;hit;ttl=\d+$/)
    t.same(Object.fromEntries(['x-before', 'x-raw', 'x-handler', 'content-length', 'content-type', 'etag'].map((name) => [name, hit.headers.get(name)])),
      { 'x-before': 'hook', 'x-raw': '1', 'x-handler': 'one', 'content-length': '10', 'content-type': 'application/json; charset=utf-8', etag: miss.headers.get('etag') })
    const trailing = await fetch(url, { headers: { 'x-trailer': '1' } })
    t.equal(trailing.headers.get('trailer'), 'x-sum', 'a trailer is sent with a hit too')
    t.equal(await trailing.text(), body)
    const watched = await fetch(url, { headers: { 'x-replace': '1' } })
    t.equal(await watched.text(), body)
    t.match(watched.headers.get('cache-status'), /hit/)
    t.equal(replaced.length, 1, 'whoever replaces reply.send sees hits too')
    await app.close()
    t.same(ended, [200, 200, 200, 200], 'onResponse is called for each')
  }
})

t.test('conditions are answered from the store, and on the miss that fills it', async (t) => {
  const { app, clock } = await cachedApp()
  app.get('/x', { config: { cache: true } }, async () => 'page')
  app.get('/dated', { config: { cache: true } }, async (_request, reply) => { reply.header('last-modified', 'Tue, 01 Jan 2030 00:00:00 GMT'); return 'page' })
  const { etag } = (await app.inject('/x')).headers
  t.match(etag, /^W\/"/)
  const tag = String(etag)
  const opaque = tag.slice(2)
  for (const [condition, status] of [[tag, 304], [opaque, 304], [`"other", ${tag}`, 304], ['*', 304], ['"other"', 200], ['W/"x", "y"', 200], ['garbage', 200]] as const) {
    const answer = await app.inject({ url: '/x', headers: { 'if-none-match': condition } })
    t.equal(answer.statusCode, status, condition)
    t.match(cacheStatus(answer), /^hit/, condition)
    if (status === 304) {
      t.equal(answer.body, '')
      t.equal(answer.headers.etag, tag)
      t.equal(answer.headers['content-type'], undefined)
      t.ok(answer.headers.date)
    }
  }
  await app.inject('/dated')
  for (const [since, status] of [['Tue, 01 Jan 2030 00:00:00 GMT', 304], ['Mon, 31 Dec 2029 23:59:59 GMT', 200], ['rubbish', 200]] as const) {
    t.equal((await app.inject({ url: '/dated', headers: { 'if-modified-since': since } })).statusCode, status, since)
  }
  t.equal((await app.inject({ url: '/dated', headers: { 'if-modified-since': 'Tue, 01 Jan 2030 00:00:00 GMT', 'if-none-match': '"other"' } })).statusCode, 200, 'the tag wins')
  clock.advance(301_000)
  const miss = await app.inject({ url: '/x', headers: { 'if-none-match': tag } })
  t.equal(miss.statusCode, 304, 'the handler ran, and the client has what it answered')
  t.match(cacheStatus(miss), /stored/)
  t.equal((await app.inject('/x')).body, 'page', 'the whole of it was stored')
  t.match((await app.inject({ url: '/x', headers: { range: 'bytes=1-2' } })), { statusCode: 206, body: 'ag' })
  clock.advance(301_000)
  const was = String((await app.inject('/x')).headers.date)
  await app.cache.invalidate({ paths: ['/x'] })
  for (const what of ['the miss', 'the hit']) t.match(await app.inject({ url: '/x', headers: { 'if-modified-since': was } }), { statusCode: 200, body: 'page' }, `${what} after a purge in the same second`)
  clock.advance(1000)
  t.equal((await app.inject({ url: '/x', headers: { 'if-modified-since': new Date(clock.now()).toUTCString() } })).statusCode, 304, 'a second later it is known to be the same')
  clock.advance(300_000)
  t.match(await app.inject({ method: 'HEAD', url: '/dated', headers: { 'if-modified-since': 'Tue, 01 Jan 2030 00:00:00 GMT' } }), { statusCode: 304, body: '' }, 'so it is with a HEAD, by what the handler says')
  await app.close()
})

t.test('freshness: the handler\'s own Cache-Control counts, else the route\'s ttl; Age and Date tell the truth', async (t) => {
  const { app, clock } = await cachedApp()
  let runs = 0
  app.get('/route', { config: { cache: { ttl: 100 } } }, async () => ++runs)
  app.get('/handler', { config: { cache: { ttl: 100 } } }, async (_request, reply) => { reply.header('cache-control', 'public, max-age=10'); return ++runs })
  app.get('/client', { config: { cache: { ttl: 100, clientTtl: 7 } } }, async () => ++runs)
  app.get('/slow', { config: { cache: { ttl: 1 } } }, async () => { clock.advance(5000); return ++runs })
  app.get('/aged', { config: { cache: { ttl: 1 } } }, async (_request, reply) => { reply.headers({ age: '20', 'cache-control': 'max-age=50' }); return ++runs })
  for (const [path, ttl, control] of [['/route', 100, 'public, no-cache'], ['/handler', 10, 'public, max-age=10'], ['/client', 100, 'public, max-age=7']] as const) {
    const miss = await app.inject(path)
    t.equal(miss.headers['cache-control'], control, path)
    clock.advance((ttl - 1) * 1000)
    const hit = await app.inject(path)
    t.equal(cacheStatus(hit), 'hit;ttl=1', path)
    t.equal(hit.headers.age, String(ttl - 1), path)
    t.equal(hit.headers.date, miss.headers.date, path)
    t.equal(hit.headers['cache-control'], control, path)
    clock.advance(1000)
    t.match(cacheStatus(await app.inject(path)), /^fwd=stale/, path)
  }
  await app.inject('/slow')
  t.match(cacheStatus(await app.inject('/slow')), /^hit/, 'a handler that takes longer than the ttl is cached all the same')
  await app.inject('/aged')
  t.match(await app.inject('/aged'), { headers: { age: '20', 'cache-status': /hit;ttl=30/ } })
  await app.close()
})

t.test('Cache-Status and request.cache tell what happened, and can be switched off', async (t) => {
  const { app } = await cachedApp()
  const told: unknown[] = []
  app.addHook('onResponse', async (request) => { told.push({ ...request.cache }) })
  app.get('/x', { config: { cache: true } }, async () => 'page')
  app.get('/plain', async () => 'page')
  const statuses = []
  for (const options of [{ url: '/x' }, { url: '/x' }, { url: '/x', headers: { authorization: 'x' } }, { url: '/x?a//..', method: 'GET' }, { url: '/plain' }] as const) statuses.push(cacheStatus(await app.inject(options)))
  t.same(statuses, ['fwd=uri-miss;ttl=300;stored', 'hit;ttl=300', 'fwd=bypass;detail=credentials', 'fwd=uri-miss;ttl=300;stored', ''])
  t.same(told, [{ status: 'miss', reason: 'uri-miss' }, { status: 'hit', reason: 'fresh' }, { status: 'bypass', reason: 'credentials' }, { status: 'miss', reason: 'uri-miss' }, { status: 'bypass', reason: 'not-configured' }])
  await app.close()
  const silent = await cachedApp({ cacheStatus: false })
  silent.app.get('/x', { config: { cache: true } }, async () => 'page')
  for (let i = 0; i < 2; i++) t.equal((await silent.app.inject('/x')).headers['cache-status'], undefined)
  await silent.app.close()
  const keyed = await cachedApp({ cacheStatusKey: true })
  keyed.app.get('/x', { config: { cache: { headers: ['x-lang'] } } }, async () => 'x')
  for (const says of [/^fwd=uri-miss;ttl=300;stored;key="([^"]*)"$/, /^hit;ttl=300;key="([^"]*)"$/]) {
    const [, key = ''] = says.exec(cacheStatus(await keyed.app.inject({ url: '/x', headers: { 'x-lang': 'de' } }))) ?? []
    t.match(key, /http:\/\/localhost:80\/x.*x-lang.*de$/)
  }
  await keyed.app.close()
  const named = await cachedApp({ cacheStatus: 'my cache' })
  named.app.addHook('onRequest', async (_request, reply) => { reply.header('cache-status', 'origin;hit') })
  named.app.get('/x', { config: { cache: true } }, async () => 'page')
  await named.app.inject('/x')
  t.equal((await named.app.inject('/x')).headers['cache-status'], 'origin;hit, "my cache";hit;ttl=300')
  await named.app.close()
})

t.test('what an upstream has said in Cache-Status stays in front of what is said here', async (t) => {
  const { app } = await cachedApp()
  let control = 'max-age=300'
  app.addHook('onSend', async (_request, reply) => { reply.header('cache-status', `${reply.getHeader('cache-status')?.toString() ?? ''}, outside`) })
  app.get('/x', { config: { cache: { ttl: 60 } } }, async (_request, reply) => {
    await reply.headers({ 'cache-status': 'origin;hit', 'cache-control': control }).send('page')
  })
  const says = async (url: string, headers = {}): Promise<unknown> => (await app.inject({ url, headers })).headers['cache-status']
  t.equal(await says('/x'), 'origin;hit, fastify-response-cache;fwd=uri-miss;ttl=300;stored, outside')
  t.equal(await says('/x'), 'origin;hit, fastify-response-cache;hit;ttl=300, outside')
  t.equal(await says('/x', { authorization: 'me' }), 'origin;hit, fastify-response-cache;fwd=bypass;detail=credentials, outside')
  control = 'no-store'
  t.equal(await says('/x?1'), 'origin;hit, fastify-response-cache;fwd=uri-miss;detail=no-store, outside')
  await app.close()

  const late = await cachedApp()
  late.app.addHook('onSend', async (_request, reply) => { reply.headers({ 'set-cookie': 'a=1', 'cache-status': `${reply.getHeader('cache-status')?.toString() ?? ''}, outside` }) })
  late.app.get('/x', { config: { cache: { ttl: 60 } } }, async (_request, reply) => { await reply.header('cache-status', 'origin;hit').send('page') })
  t.equal((await late.app.inject('/x')).headers['cache-status'], 'origin;hit, fastify-response-cache;fwd=uri-miss;detail=set-cookie, outside', 'also where a hook has kept the response from being stored')
  await late.app.close()
})

t.test('Cache-Status says so where Redis is away and nothing else keeps the response', async (t) => {
  const { app } = await cachedApp({ strategy: 'redis', redisUrl: 'redis://127.0.0.1:1' })
  app.get('/', { config: { cache: { ttl: 60 } } }, async () => 'x')
  t.equal(cacheStatus(await app.inject('/')), 'fwd=uri-miss;ttl=60;detail=unavailable')
  await app.close()
})

t.test('names that may be given by a function are refused with both forms', async (t) => {
  const { app } = await cachedApp()
  for (const wrong of [{ tags: 'x' }, { invalidates: 5 }]) {
    t.throws(() => app.get('/', { config: { cache: wrong as never } }, async () => 'x'), { code: 'FST_ERR_CACHE_OPTION', message: /must be an array of strings, or a function that answers one$/ })
  }
})

t.test('a target that has come before has another key at another host, and is passed by at a forged one', async (t) => {
  const { app } = await cachedApp()
  app.get('/x', { config: { cache: { ttl: 60 } } }, async ({ host }) => host)
  const status = async (host: string): Promise<string> => cacheStatus(await app.inject({ url: '/x?a', headers: { host } })).replace(/;ttl=.*/, '')
  t.equal(await status('a.example'), 'fwd=uri-miss')
  t.equal(await status('a.example'), 'hit')
  t.equal(await status('b.example'), 'fwd=uri-miss')
  t.equal(await status('A.example'), 'fwd=bypass;detail=invalid-host')
  t.equal(await status('a.example'), 'hit')
  t.equal(await status('b.example'), 'hit')
  for (let i = 0; i < 600; i++) await app.inject({ url: `/x?${i}`, headers: { host: 'a.example' } })
  t.equal(await status('a.example'), 'hit', 'however many came between')
})

t.test('a schema that names all query parameters makes the key indifferent to order, defaults and strangers', async (t) => {
  const { app } = await cachedApp()
  let runs = 0
  const querystring = { type: 'object', additionalProperties: false, properties: { a: { type: 'string' }, page: { type: 'integer', default: 1 }, tags: { type: 'array', items: { type: 'string' } } } }
  app.get('/open', { config: { cache: true } }, async ({ query }) => query)
  for (const [path, config] of [['/handler', {}], ['/early', { public: true }]] as Array<[string, RouteCacheOptions]>) {
    app.get(path, { schema: { querystring }, config: { cache: config } }, async ({ query }) => { runs++; return query })
  }
  for (const path of ['/handler', '/early']) {
    const same = [`${path}?a=1`, `${path}?page=1&a=1`, `${path}?a=1&page=1&utm_source=x`, `${path}?utm=1&a=1`]
    const bodies = []
    for (const url of same) bodies.push((await app.inject(url)).body)
    t.equal(new Set(bodies).size, 1, path)
    t.equal(runs, 1, path)
    const different = [`${path}?a=2`, `${path}?a=1&page=2`, `${path}?a=`, path, `${path}?a=1&tags=x&tags=y`, `${path}?a=1&tags=y&tags=x`, `${path}?a=1&tags=x,y`]
    for (const url of different) t.match(cacheStatus(await app.inject(url)), /^fwd=uri-miss/, url)
    runs = 0
  }
  for (const url of ['/open?a=1&b=2', '/open?b=2&a=1', '/open?a=1&b=2&a=1', '/open?a=%31&b=2', '/open']) t.match(cacheStatus(await app.inject(url)), /^fwd=uri-miss/, url)
  await app.close()
  const lenient = (await cachedApp()).app
  lenient.get('/lenient', { schema: { querystring }, validatorCompiler: () => () => true, config: { cache: true } }, async ({ query }) => query)
  await lenient.inject('/lenient?a=1&evil=1')
  t.equal((await lenient.inject('/lenient?a=1')).body, '{"a":"1"}', 'a validator of the route\'s own may let strangers pass')
  await lenient.close()
})

t.test('a list of credentials that leaves the usual one out is a mistake, and a body has to fit into an entry', async (t) => {
  for (const credentials of [['x-api-key'], []]) await t.rejects(cachedApp({ credentials }), { code: 'FST_ERR_CACHE_OPTION', message: /^Option credentials is .*, must be all headers that tell users apart: "authorization"/ })
  await t.rejects(cachedApp({ maxBodyBytes: 50_000_000 }), { code: 'FST_ERR_CACHE_OPTION_CONFLICT', message: /^Options maxBodyBytes: 50000000 and memoryMaxEntryBytes: 5242880 do not go together/ })
  const { app } = await cachedApp({ memoryMaxEntryBytes: 1000 })
  t.teardown(() => app.close())
  app.get('/large', { config: { cache: true } }, async () => 'x'.repeat(2000))
  t.match(cacheStatus(await app.inject('/large')), /;detail=too-large$/, 'nor is it said to be stored')
})

t.test('what is not stored though it should be is told once for each route', async (t) => {
  const warnings: Array<{ route?: string, reason?: string }> = []
  const { app } = await cachedApp({ maxBodyBytes: 100 }, { logger: { level: 'warn', stream: { write (line: string) { warnings.push(JSON.parse(line) as object) } } } })
  t.teardown(() => app.close())
  app.get('/session', { config: { cache: true } }, async (_request, reply) => reply.header('set-cookie', 'sid=1').send('page'))
  app.get('/large', { config: { cache: true } }, async () => 'x'.repeat(200))
  app.get('/private', { config: { cache: true } }, async (_request, reply) => reply.header('cache-control', 'private').send('page'))
  for (const path of ['/session', '/large', '/private', '/session', '/large']) await app.inject(path)
  t.same(warnings.map(({ route, reason }) => [route, reason]), [['/session', 'set-cookie'], ['/large', 'too-large']])
})

t.test('who asks: credentials, cookies, headers and partitions', async (t) => {
  const { app } = await cachedApp({ credentials: ['Authorization', 'Cookie', 'X-Api-Key'] })
  const route = (path: string, options: RouteCacheOptions): void => {
    let runs = 0
    app.get(path, { config: { cache: options } }, async () => `${path} ${++runs}`)
  }
  route('/plain', {})
  route('/theme', { cookies: ['theme'] })
  route('/header', { headers: ['X-Currency'] })
  route('/user', { partition: ({ headers }) => headers.authorization })
  const status = async (url: string, headers: Record<string, string> = {}): Promise<string> => cacheStatus(await app.inject({ url, headers })).replace(/;ttl=\d+/, '')
  for (const headers of [{ authorization: 'x' }, { cookie: 'a=b' }, { 'x-api-key': '1' }] as Array<Record<string, string>>) t.equal(await status('/plain', headers), 'fwd=bypass;detail=credentials')
  t.equal(await status('/theme', { cookie: 'theme=dark' }), 'fwd=uri-miss;stored')
  t.equal(await status('/theme', { cookie: 'theme=dark' }), 'hit')
  t.equal(await status('/theme', { cookie: 'theme=light' }), 'fwd=uri-miss;stored')
  t.equal(await status('/theme'), 'fwd=uri-miss;stored')
  t.equal(await status('/theme', { cookie: 'theme=dark; other=1' }), 'fwd=bypass;detail=credentials')
  t.equal(await status('/header', { 'x-currency': 'EUR' }), 'fwd=uri-miss;stored')
  t.equal(await status('/header', { 'x-currency': 'USD' }), 'fwd=uri-miss;stored')
  t.equal(await status('/header', { 'x-currency': 'EUR' }), 'hit')
  t.equal(await status('/header'), 'fwd=uri-miss;stored')
  t.equal(await status('/user'), 'fwd=bypass;detail=no-partition')
  t.equal(await status('/user', { authorization: 'a' }), 'fwd=uri-miss;stored')
  t.equal(await status('/user', { authorization: 'b' }), 'fwd=uri-miss;stored')
  t.equal(await status('/user', { authorization: 'a' }), 'hit')
  t.match((await app.inject({ url: '/user', headers: { authorization: 'a' } })).headers['cache-control'], 'private, no-cache')
  await app.close()
})

t.test('a response built from something outside the key is not stored, with one warning a route', async (t) => {
  const warnings: Array<{ route?: string, input?: string, msg?: string }> = []
  const stream = { write (line: string) { warnings.push(JSON.parse(line) as object) } }
  const { app } = await cachedApp({ harmlessHeaders: ['X-Trace'] }, { logger: { level: 'warn', stream } })
  const routes: Record<string, [RouteCacheOptions, (request: FastifyRequest, reply: FastifyReply) => unknown, string]> = {
    '/ip': [{}, ({ ip }) => ip, 'unkeyed-input; @ip'],
    '/agent': [{}, ({ headers }) => headers['user-agent'] ?? '', 'unkeyed-input; user-agent'],
    '/all': [{}, ({ headers }) => ({ ...headers }), 'unkeyed-input; *'],
    '/has': [{}, ({ headers }) => 'x-a' in headers ? 1 : 0, 'unkeyed-input; x-a'],
    '/trace': [{}, ({ headers }) => headers['x-trace'] ?? 'none', ''],
    '/declared': [{ harmlessHeaders: ['X-A'] }, ({ headers }) => headers['x-a'] ?? 'none', ''],
    '/keyed': [{ headers: ['x-a'] }, ({ headers }) => headers['x-a'] ?? 'none', ''],
    '/varied': [{}, ({ headers }, reply) => { reply.header('vary', 'X-A'); return headers['x-a'] ?? 'none' }, ''],
    '/host': [{}, ({ host, hostname, port, protocol, url, headers }) => ({ host, hostname, port, protocol, url, h: headers.host }), ''],
    '/absent': [{}, ({ headers }) => headers.authorization ?? headers.cookie ?? 'nobody', '']
  }
  for (const [path, [options, answer]] of Object.entries(routes)) app.get(path, { config: { cache: options } }, async (request, reply) => await answer(request, reply))
  for (const [path, [, , reason]] of Object.entries(routes)) {
    for (let i = 0; i < 3; i++) {
      const answer = await app.inject(path)
      if (reason !== '') t.match(cacheStatus(answer), `detail="${reason}"`, path)
    }
    if (reason === '') t.match(cacheStatus(await app.inject(path)), /^hit/, path)
  }
  t.same(warnings.map(({ route, input }) => [route, input]), [['/ip', '@ip'], ['/agent', 'user-agent'], ['/all', '*'], ['/has', 'x-a']])
  t.match(warnings.map(({ msg }) => msg), [/address of the client.*config\.cache\.partition/, /"user-agent".*config\.cache\.headers/, /all request headers.*harmlessHeaders: \['\*'\]/, /"x-a"/], 'with a cure that can be had')
  await app.close()
})

t.test('with a trusted proxy, host and protocol are what it says, and they are in the key', async (t) => {
  for (const [trustProxy, stored] of [[true, true], ['127.0.0.1', true], ['10.0.0.1', false]] as Array<[boolean | string, boolean]>) {
    const { app } = await cachedApp({}, { trustProxy })
    app.get('/x', { config: { cache: true } }, async ({ host, protocol }) => `${protocol}://${host}`)
    const forwarded = { 'x-forwarded-host': 'b.example', 'x-forwarded-proto': 'https' }
    const miss = await app.inject({ url: '/x', headers: forwarded })
    t.equal(/;stored/.test(cacheStatus(miss)), stored, String(trustProxy))
    if (stored) t.equal(miss.body, 'https://b.example')
    await app.inject('/x')
    const plain = await app.inject('/x')
    t.match(cacheStatus(plain), /^hit/, `without a proxy, ${String(trustProxy)}`)
    t.equal(plain.body, 'http://localhost:80')
    await app.close()
  }
})

t.test('a hook behind ours that reads the request takes nothing from the response', async (t) => {
  const { app } = await cachedApp()
  app.addHook('onSend', async (request, reply, payload) => { reply.header('x-seen', [request.ip, request.headers['user-agent'], request.originalUrl].join()); return payload })
  app.get('/x', { config: { cache: true } }, async () => 'page')
  await app.inject('/x')
  t.match(cacheStatus(await app.inject('/x')), /^hit/)
  await app.close()
})

t.test('a response that sets a cookie is never stored, however late the cookie comes', async (t) => {
  const late: Record<string, (app: FastifyInstance) => unknown> = {
    'in the handler': (app) => app.get('/x', { config: { cache: true } }, async (_request, reply) => { reply.header('set-cookie', 'a=b'); return 'page' }),
    'in a later onSend hook': (app) => app.addHook('onSend', async (_request, reply, payload) => { reply.header('set-cookie', 'a=b'); return payload }),
    'in a later onSend hook on the raw response': (app) => app.addHook('onSend', async (_request, reply, payload) => { reply.raw.setHeader('Set-Cookie', 'a=b'); return payload }),
    'while the head is written': (app) => app.addHook('onRequest', async (_request, reply) => {
      const { raw } = reply
      const writeHead = raw.writeHead.bind(raw) as (...args: unknown[]) => typeof raw
      raw.writeHead = ((...args: unknown[]) => { raw.setHeader('set-cookie', 'a=b'); return writeHead(...args) }) as typeof raw.writeHead
    }),
    'by the cookie plugin': async (app) => { await app.register(cookie); app.addHook('preHandler', async (_request, reply) => { reply.setCookie('a', 'b') }) }
  }
  for (const [name, add] of Object.entries(late)) {
    for (const streamed of [false, true]) {
      const { app } = await cachedApp()
      await add(app)
      if (!app.hasRoute({ method: 'GET', url: '/x' })) app.get('/x', { config: { cache: true } }, async (_request, reply) => streamed ? await reply.send(Readable.from(['page'])) : 'page')
      for (let i = 0; i < 3; i++) {
        const answer = await app.inject('/x')
        t.match(cacheStatus(answer), /^fwd=uri-miss/, name)
        t.match(answer.headers['set-cookie'], /^a=b/, name)
      }
      await app.close()
    }
  }
})

t.test('what a later hook adds to a list of header lines is heard, and a list that stays as it was is stored', async (t) => {
  for (const streamed of [false, true]) {
    const { app } = await cachedApp({ http: { storeSetCookie: true } })
    t.teardown(() => app.close())
    app.addHook('onSend', async (request, reply) => {
      const lines: unknown = reply.getHeader('cache-control')
      if (request.url === '/private' && Array.isArray(lines)) lines.push('private')
    })
    for (const url of ['/private', '/public']) {
      app.get(url, { config: { cache: true } }, async (_request, reply) => {
        reply.header('cache-control', ['max-age=60', 's-maxage=60']).header('set-cookie', ['a=1', 'b=2'])
        return await reply.send(streamed ? Readable.from(['page']) : 'page')
      })
    }
    for (let i = 0; i < 2; i++) t.match(cacheStatus(await app.inject('/private')), streamed ? /^fwd=uri-miss/ : /^fwd=uri-miss.*detail=private/)
    t.match(cacheStatus(await app.inject('/public')), /^fwd=uri-miss/)
    const hit = await app.inject('/public')
    t.match(cacheStatus(hit), /^hit/)
    t.same(hit.headers['set-cookie'], ['a=1', 'b=2'])
  }
})

t.test('fields that the response withdraws are not stored, however late it says so', async (t) => {
  const withdrawing = 'max-age=60, private="x-user", no-cache="x-token"'
  for (const where of ['handler', 'onSend'] as const) {
    for (const streamed of [false, true]) {
      const { app } = await cachedApp()
      app.get('/', { config: { cache: true }, onSend: async (_request, reply, payload) => { if (where === 'onSend') reply.header('cache-control', withdrawing); return payload } }, async (_request, reply) => {
        reply.headers({ 'x-user': 'ada', 'x-token': '1', 'x-other': '2' })
        if (where === 'handler') reply.header('cache-control', withdrawing)
        return await reply.send(streamed ? Readable.from(['page']) : 'page')
      })
      t.match((await app.inject('/')).headers, { 'x-user': 'ada', 'x-token': '1' }, where)
      const hit = await app.inject('/')
      t.match(cacheStatus(hit), /^hit/, where)
      t.match(hit.headers, { 'x-user': undefined, 'x-token': undefined, 'x-other': '2', 'cache-control': withdrawing }, where)
      await app.close()
    }
  }
})

t.test('fields that belong to the connection are not stored, however late the response says so', async (t) => {
  for (const where of ['handler', 'onSend', 'writeHead'] as const) {
    for (const streamed of [false, true]) {
      const { app } = await cachedApp()
      const say = (place: typeof where, reply: FastifyReply): void => { if (where === place) reply.header('connection', 'x-hop') }
      app.get('/', {
        config: { cache: true },
        onSend: async (_request, reply, payload) => {
          say('onSend', reply)
          return payload
        }
      }, async (_request, reply) => {
        reply.headers({ 'x-hop': 'here', 'x-other': '2' })
        say('handler', reply)
        const { raw } = reply
        const { writeHead } = raw
        if (where === 'writeHead') raw.writeHead = ((status: number, headers: OutgoingHttpHeaders) => writeHead.call(raw, status, { ...headers, connection: 'x-hop' })) as typeof writeHead
        return await reply.send(streamed ? Readable.from(['page']) : 'page')
      })
      t.match((await app.inject('/')).headers, { 'x-hop': 'here', connection: 'x-hop' }, where)
      const hit = await app.inject('/')
      t.match(cacheStatus(hit), /^hit/, where)
      t.match(hit.headers, { 'x-hop': undefined, 'x-other': '2' }, where)
      await app.close()
    }
  }
})

t.test('statuses: what is stored by default, and by choice', async (t) => {
  const { app, clock } = await cachedApp()
  const statuses = [200, 201, 202, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 418, 429, 500, 501, 502, 503]
  app.get('/:status', { config: { cache: true } }, async (request, reply) => await reply.code(Number((request.params as { status: string }).status)).send())
  app.get('/chosen/:status', { config: { cache: { statuses: [200, 302], notFoundTtl: 5 } } }, async (request, reply) => await reply.code(Number((request.params as { status: string }).status)).send())
  const kept: number[] = []
  const chosen: number[] = []
  for (const status of statuses) {
    for (const [path, list] of [[`/${status}`, kept], [`/chosen/${status}`, chosen]] as const) {
      await app.inject(path)
      if (/^hit/.test(cacheStatus(await app.inject(path)))) list.push(status)
    }
  }
  t.same(kept, [200, 203, 204, 301, 308])
  t.same(chosen, [200, 302, 404, 410])
  clock.advance(5000)
  t.match(cacheStatus(await app.inject('/chosen/404')), /^fwd/)
  t.equal((await app.inject('/nowhere/at/all')).statusCode, 404)
  await app.close()
})

t.test('broken, over-long and dishonest bodies pass through and are not stored', async (t) => {
  const { app } = await cachedApp({ maxBodyBytes: 100 })
  let runs = 0
  app.get('/long', { config: { cache: true } }, async () => 'x'.repeat(101))
  app.get('/long-stream', { config: { cache: true } }, async (_request, reply) => await reply.send(Readable.from(['x'.repeat(60), 'x'.repeat(60)])))
  app.get('/broken', { config: { cache: true } }, async (_request, reply) => { runs++; return await reply.send(Readable.from((async function * () { yield 'half'; throw new Error('died') })())) })
  app.get('/destroyed', { config: { cache: true } }, async (_request, reply) => { const stream = new PassThrough(); stream.write('half'); setImmediate(() => stream.destroy()); return await reply.send(stream) })
  app.get('/lying-stream', { config: { cache: true } }, async (_request, reply) => await reply.header('content-length', '50').send(Readable.from(['short'])))
  app.get('/lying', { config: { cache: true } }, async (_request, reply) => { reply.header('content-length', '3'); return 'longer' })
  app.get('/locked', { config: { cache: true } }, async () => { const response = new Response('body'); await response.text(); return 'read' })
  t.equal((await app.inject('/long-stream')).body, 'x'.repeat(120))
  for (const path of ['/long', '/long-stream', '/broken', '/destroyed', '/lying-stream', '/lying']) {
    for (let i = 0; i < 3; i++) {
      const answer = await app.inject(path).catch(() => undefined)
      if (answer !== undefined) t.match(cacheStatus(answer), /^fwd=uri-miss/, path)
    }
  }
  t.equal(runs, 3)
  t.equal(app.cache.getStats().entries, 0)
  await app.close()
})

/* Beside the plugins that everybody uses, before and after ours: a client cannot tell hits from misses. */

const neighbours: Record<string, (app: FastifyInstance) => unknown> = {
  cors: (app) => app.register(cors, { origin: ['https://a.example', 'https://b.example'], credentials: true }),
  'cors for all': (app) => app.register(cors),
  helmet: (app) => app.register(helmet),
  compress: (app) => app.register(compress, { threshold: 100 }),
  etag: (app) => app.register(etag),
  'weak etag': (app) => app.register(etag, { weak: true }),
  cookie: (app) => app.register(cookie),
  swagger: (app) => app.register(swagger)
}

for (const [name, add] of Object.entries(neighbours)) {
  for (const order of ['before', 'after'] as const) {
    t.test(`@fastify/${name}, registered ${order} the cache`, async (t) => {
      const app = Fastify()
      const options: CachePluginOptions = { clock: fakeClock(), random: () => 0, metrics: false, exposeStats: false }
      if (order === 'before') await add(app)
      await app.register(cache, options)
      if (order === 'after') await add(app)
      const text = JSON.stringify({ text: 'x'.repeat(2000) })
      app.get('/x', { config: { cache: true } }, async (_request, reply) => await reply.type('application/json').send(text))
      app.get('/stream', { config: { cache: true } }, async (_request, reply) => await reply.type('application/json').send(Readable.from([text])))
      await app.ready()
      for (const url of ['/x', '/stream']) {
        for (const headers of [{}, { origin: 'https://a.example' }, { origin: 'https://b.example' }, { 'accept-encoding': 'gzip' }, { 'accept-encoding': 'br, gzip', origin: 'https://a.example' }] as Array<Record<string, string>>) {
          const fresh = await app.inject({ url, headers })
          const hit = await app.inject({ url, headers })
          t.match(cacheStatus(hit), /^hit/, `${url} ${JSON.stringify(headers)}: ${cacheStatus(fresh)}`)
          const [was, is] = [visible(fresh), visible(hit)] as Array<{ headers: Record<string, unknown>, names: string[] }>
          for (const each of [was, is]) {
            if (each === undefined || url !== '/stream') continue
            delete each.headers.etag
            each.names = each.names.filter((other) => other !== 'etag')
          }
          t.same(is, was, `${url} ${JSON.stringify(headers)}`)
          const coded = hit.headers['content-encoding'] === 'gzip' ? gunzipSync(hit.rawPayload).toString() : hit.headers['content-encoding'] === undefined ? hit.body : text
          t.equal(coded, text)
        }
      }
      const { etag: tag } = (await app.inject('/x')).headers
      t.equal((await app.inject({ url: '/x', headers: { 'if-none-match': String(tag) } })).statusCode, 304)
      await app.close()
    })
  }
}

t.test('several caches in one app, prefixes, and a second context', async (t) => {
  const clock = fakeClock()
  const app = Fastify()
  const common = { clock, random: () => 0, metrics: false, exposeStats: false } as const
  await app.register(cache, common)
  await app.register(cache, { ...common, name: 'assets', cacheStatus: 'assets' })
  const { assets } = app as unknown as { assets: typeof app.cache }
  t.not(assets, app.cache)
  app.get('/a', { config: { cache: true } }, async () => 'a')
  app.get('/b', { config: { assets: { ttl: 5 } } as object }, async () => 'b')
  app.put('/a', { config: { cache: { invalidates: ['one'] }, assets: { invalidates: ['two'] } } as object }, async () => 'changed')
  await app.register(async (child) => {
    child.get('/', { config: { cache: true } }, async () => 'root of v1')
    child.get('/c', { config: { cache: true } }, async () => 'c')
  }, { prefix: '/v1' })
  for (const url of ['/a', '/b', '/v1', '/v1/', '/v1/c']) {
    await app.inject(url)
    t.match((await app.inject(url)).headers['cache-status'], /;hit/, url)
  }
  t.equal(app.cache.getStats().entries, 4)
  t.equal(assets.getStats().entries, 1)
  await app.cache.set('x', 1, { tags: ['one'] })
  await assets.set('x', 1, { tags: ['two'] })
  await app.inject({ method: 'PUT', url: '/a' })
  t.equal(await app.cache.get('x'), undefined)
  t.equal(await assets.get('x'), undefined)
  await app.close()

  for (const name of ['cache', 'inject', 'assets']) {
    const taken = Fastify()
    await taken.register(cache, { ...common, name: name === 'inject' ? 'other' : name })
    await t.rejects(async () => await taken.register(cache, { ...common, name }), { code: 'FST_ERR_CACHE_OPTION', message: `Option name is "${name}", must be one that nothing on the app has yet; a second cache needs a name of its own` })
    await taken.close().catch(() => {})
  }

  const split = Fastify()
  for (const prefix of ['/one', '/two']) {
    await split.register(async (child) => {
      await child.register(cache, common)
      child.get('/x', { config: { cache: true } }, async () => prefix)
    }, { prefix })
  }
  for (const prefix of ['/one', '/two']) for (let i = 0; i < 2; i++) t.equal((await split.inject(prefix + '/x')).body, prefix)
  t.equal((split as Partial<FastifyInstance>).cache, undefined)
  await split.close()
})

t.test('names that no header can have, and entities that are no object, are refused when they are given', async (t) => {
  const { app } = await cachedApp()
  t.teardown(async () => { await app.close() })
  const refused = (cache: unknown, message: string): void => {
    t.throws(() => { app.get('/refused', { config: { cache: cache as true } }, async () => 'x') }, { code: 'FST_ERR_CACHE_OPTION', message })
  }
  refused({ headers: ['x-ok', 'bad header'] }, 'Option config.cache.headers is ["x-ok","bad header"], must be an array of header names')
  refused({ harmlessHeaders: [''] }, 'Option config.cache.harmlessHeaders is [""], must be an array of header names')
  for (const entities of ['x', ['id'], null, 5]) refused({ entities }, `Option config.cache.entities is ${JSON.stringify(entities)}, must be an object such as { product: "items[].id" }`)
  for (const option of ['credentials', 'harmlessHeaders'] as const) await t.rejects(cachedApp({ [option]: ['a:b'] }), { code: 'FST_ERR_CACHE_OPTION', message: `Option ${option} is ["a:b"], must be an array of header names` })
})

t.test('the debug log says why, too', async (t) => {
  const lines: Array<Record<string, unknown>> = []
  const { app } = await cachedApp({}, { logger: { level: 'debug', stream: { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } } } })
  app.get('/x', { config: { cache: true } }, async (_request, reply) => await reply.header('cache-control', 'private').send('page'))
  await app.inject('/x')
  await app.inject({ url: '/x', headers: { cookie: 'a=1' } })
  t.match(lines.filter(({ msg }) => String(msg).startsWith('cache: the re')), [
    { msg: 'cache: the response is not stored', route: '/x', reason: 'private' },
    { msg: 'cache: the request passes by', route: '/x', reason: 'credentials' }
  ])
  await app.close()
})

t.test('contexts whose caches would have the same routes are told which option to set', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const one = async (options: CachePluginOptions): Promise<void> => { await app.register(async (child) => { await child.register(cache, { strategy: 'memory', ...options }) }) }
  await one({})
  await one({ prefix: '/other' })
  await t.rejects(one({}), { code: 'FST_ERR_CACHE_OPTION', message: /^Option prefix is "\/cache", must be a place where the app has no route; it has GET \/cache\/stats/ })
})
