import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import swagger from '@fastify/swagger'
import { Registry } from 'prom-client'
import cache from '../../plugins/index.ts'
import type { CachePluginOptions } from '../../plugins/index.ts'
import { METRIC_NAMES } from '../../lib/engine/metrics.ts'
import { isCrossOrigin } from '../../routes/same-origin.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { familiesOf, valueOf } from '../support/exposition.ts'

const token = 'token-of-this-test'
const authorization = `Bearer ${token}`

type Document = Record<string, Record<string, { tags?: string[], summary?: string, responses: Record<string, unknown> }>>

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

/** A key and a certificate that nobody else trusts. */
function selfSigned (t: Test): { key: Buffer, cert: Buffer } {
  const folder = t.testdir()
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')], { stdio: 'ignore' })
  return { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) }
}

/** An app with a cache and a few routes that count their runs. */
async function appOf (t: Test, options: CachePluginOptions = {}, prepare: (app: FastifyInstance) => void | Promise<void> = () => {}): Promise<{ app: FastifyInstance, runs: Record<string, number> }> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await prepare(app)
  await app.register(cache, { ttlJitter: 0, staleIfError: 0, ...options })
  const runs: Record<string, number> = {}
  const answer = (name: string) => async () => {
    runs[name] = (runs[name] ?? 0) + 1
    return { name, run: runs[name] }
  }
  app.get('/products/:id', { config: { cache: { ttl: 60, staleWhileRevalidate: 30, tags: (request) => [`product:${request.params['id'] ?? ''}`] } } }, answer('product'))
  app.get('/public', { config: { cache: { ttl: 60, public: true, headers: ['x-tenant'] } } }, answer('public'))
  app.get('/failing-first', { config: { cache: { ttl: 10, staleIfError: 100 } } }, answer('failing'))
  app.get('/list', { config: { cache: true }, schema: { querystring: { type: 'object', additionalProperties: false, properties: { page: { type: 'integer', default: 1 } } } } }, answer('list'))
  app.get('/mine', { config: { cache: { partition: () => undefined } } }, answer('mine'))
  app.get('/never', { config: { cache: true } }, async (_request, reply) => await reply.header('cache-control', 'no-store').send('x'))
  app.get('/varied', { config: { cache: { ttl: 60 } } }, async (request, reply) => await reply.header('vary', 'accept-language').send(request.headers['accept-language'] ?? 'none'))
  app.get('/uncached', answer('uncached'))
  app.get('/refused', { config: { cache: true }, onRequest: async (_request, reply) => await reply.code(401).send() }, answer('refused'))
  return { app, runs }
}

const asAdmin = async (app: FastifyInstance, request: InjectOptions): Promise<LightMyRequestResponse> => await app.inject({ ...request, headers: { authorization, ...request.headers } })
const post = async (app: FastifyInstance, url: string, payload: object): Promise<LightMyRequestResponse> => await asAdmin(app, { method: 'POST', url, payload })

t.test('the figures', async (t) => {
  t.test('are there by default, and name nothing that is stored', async (t) => {
    const { app } = await appOf(t)
    await app.inject('/products/1')
    await app.inject('/products/1')
    const stats = await app.inject('/cache/stats')
    t.equal(stats.headers['cache-control'], 'no-store')
    t.match(stats.json(), { hits: 1, misses: 1, hitRate: 0.5, totalRequests: 2, entries: 1, tiers: [{ tier: 'memory', entries: 1, maxEntries: 1000, evictions: { purged: 0 } }] })
    t.notMatch(stats.body, /product|localhost/)
    const metrics = await app.inject('/metrics')
    t.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    t.equal(metrics.headers['cache-control'], 'no-store')
    const families = familiesOf(metrics.body)
    t.same([...families.keys()], METRIC_NAMES)
    t.equal(valueOf(families, 'fastify_cache_lookups_total{cache="cache",route="/products/:id",result="hit"}'), 1)
    t.equal((await app.inject({ method: 'HEAD', url: '/cache/stats' })).body, '')
  })

  t.test('can be elsewhere, and not at all', async (t) => {
    const { app } = await appOf(t, { prefix: '/internal/cache', metrics: '/internal/metrics' })
    t.equal((await app.inject('/internal/cache/stats')).statusCode, 200)
    t.equal((await app.inject('/internal/metrics')).statusCode, 200)
    t.equal((await app.inject('/cache/stats')).statusCode, 404)
    t.equal((await app.inject('/metrics')).statusCode, 404)
    const { app: silent } = await appOf(t, { exposeStats: false, metrics: false, monitor: false })
    t.equal((await silent.inject('/cache/stats')).statusCode, 404)
    t.equal((await silent.inject('/metrics')).statusCode, 404)
    t.notOk(silent.cache.parts.events.heard('lookup'), 'what nobody can see is not counted')
  })

  t.test('go into the registry of the app, also where there is no route', async (t) => {
    const registry = new Registry()
    const { app } = await appOf(t, { registry, metrics: false })
    await app.inject('/products/1')
    t.match(await registry.metrics(), 'fastify_cache_lookups_total{cache="cache",route="/products/:id",result="miss"} 1')
    await app.close()
    t.equal((await registry.metrics()).trim(), '', 'closed is gone')
  })

  t.test('of two apps in one process are apart', async (t) => {
    const [{ app: one }, { app: other }] = [await appOf(t), await appOf(t)]
    await one.inject('/products/1')
    t.match((await one.inject('/metrics')).body, 'route="/products/:id"')
    t.notMatch((await other.inject('/metrics')).body, 'route="/products/:id"')
  })

  t.test('of two caches in one app share a scrape', async (t) => {
    const { app } = await appOf(t, {}, async (app) => { await app.register(cache, { name: 'assets' }) })
    await app.inject('/products/1')
    const { body } = await app.inject('/metrics')
    familiesOf(body)
    t.match(body, 'fastify_cache_lookups_total{cache="cache",route="/products/:id",result="miss"} 1')
    t.match(body, 'fastify_cache_entries{cache="assets",tier="memory"} 0')
    t.equal((await app.inject('/assets/stats')).json<{ misses: number }>().misses, 0)
  })

  t.test('of a cache in a context with a prefix are below that prefix', async (t) => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(async (v1) => { await v1.register(cache) }, { prefix: '/v1' })
    await app.register(async (v2) => { await v2.register(cache) }, { prefix: '/v2' })
    for (const url of ['/v1/metrics', '/v2/metrics', '/v1/cache/stats']) t.equal((await app.inject(url)).statusCode, 200, url)
  })

  t.test('are guarded by what the app puts in front of all its routes, however late', async (t) => {
    const { app } = await appOf(t)
    app.addHook('onRequest', async (_request, reply) => await reply.code(401).send())
    for (const url of ['/cache/stats', '/metrics']) t.equal((await app.inject(url)).statusCode, 401, url)
  })

  t.test('do not grow with what clients send', async (t) => {
    const { app } = await appOf(t)
    for (let i = 0; i < 300; i++) await app.inject({ url: `/products/${i}`, headers: { host: `h${i}.example`, 'user-agent': `u${i}` } })
    const { body } = await app.inject('/metrics')
    t.ok(body.split('\n').length < 400)
    t.notMatch(body, /\.example|u17/)
  })
})

const guarded: ReadonlyArray<InjectOptions & { url: string }> = [
  { method: 'POST', url: '/cache/invalidate', payload: { tags: ['product:1'] } },
  { method: 'POST', url: '/cache/flush', payload: {} },
  { method: 'GET', url: '/cache/entries' },
  { method: 'GET', url: '/cache/entries/x' },
  { method: 'GET', url: '/cache/entries/x/y' },
  { method: 'DELETE', url: '/cache/entries/x' },
  { method: 'DELETE', url: '/cache/entries/x/y' },
  { method: 'GET', url: '/cache/explain?url=/products/1' }
]

t.test('the guard', async (t) => {
  t.test('is needed: without one there are no guarded routes', async (t) => {
    for (const options of [{}, { admin: { token: undefined } }]) {
      const { app } = await appOf(t, options)
      for (const request of guarded) t.equal((await asAdmin(app, request)).statusCode, 404, `${request.method ?? ''} ${request.url}`)
    }
    for (const useless of ['', 'fifteen-letters', 'with a space in it', 'mit-ümlaut-darin-12']) await t.rejects(appOf(t, { admin: { token: useless } }), { code: 'FST_ERR_CACHE_OPTION', message: /admin\.token.*visible ASCII/ })
    await t.rejects(appOf(t, { admin: {} }), { code: 'FST_ERR_CACHE_OPTION', message: 'Option admin is {}, must be an object with token, onRequest or both' })
    const misspelt: object = { tokn: token }
    await t.rejects(appOf(t, { admin: misspelt }), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /admin\.tokn/ })
  })

  t.test('refuses a missing and a wrong token alike, on every route and in every spelling of it', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    await app.inject('/products/1')
    const wrong = [undefined, '', 'Bearer', 'Bearer ', `Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`, `Bearer ${token} x`, token, `Basic ${token}`, `Bearer ${token.toUpperCase()}`]
    for (const request of guarded) {
      for (const shown of wrong) {
        const response = await app.inject({ ...request, headers: shown === undefined ? {} : { authorization: shown } })
        t.equal(response.statusCode, 401, `${request.method ?? ''} ${request.url} with ${String(shown)}`)
        t.match(response.headers['www-authenticate'], /^Bearer realm="cache"/)
        t.equal(response.headers['cache-control'], 'no-store')
        t.same(response.json(), { statusCode: 401, code: 'FST_ERR_CACHE_UNAUTHORIZED', error: 'Unauthorized', message: 'This route of the cache needs its bearer token' })
      }
      if (request.method === 'GET') t.equal((await app.inject({ ...request, method: 'HEAD' })).statusCode, 401)
    }
    t.equal((await app.inject('/cache/entries')).headers['www-authenticate'], 'Bearer realm="cache"', 'RFC 6750 §3.1: no error where nothing was shown')
    for (const url of ['/%63ache/entries', '/cache/%65ntries', '/cache/entries/%70roduct']) t.equal((await app.inject(url)).statusCode, 401, url)
    t.match((await app.inject('/products/1')).headers['cache-status'], /;hit/, 'and nothing happened')
    t.equal((await app.inject({ url: '/cache/entries', headers: { authorization: `bearer  ${token}` } })).statusCode, 200, 'the scheme has no case')
  })

  t.test('can be a hook of the app, alone or behind the token', async (t) => {
    const onRequest: NonNullable<CachePluginOptions['admin']>['onRequest'] = (request, reply, done) => {
      if (request.headers['x-role'] === 'operator') done()
      else reply.code(403).send({ who: 'the app' })
    }
    const { app } = await appOf(t, { admin: { onRequest } })
    t.same((await app.inject('/cache/entries')).json(), { who: 'the app' })
    t.equal((await app.inject({ url: '/cache/entries', headers: { 'x-role': 'operator' } })).statusCode, 200)
    const { app: strict } = await appOf(t, { admin: { onRequest, token } })
    t.equal((await asAdmin(strict, { url: '/cache/entries' })).statusCode, 403)
    t.equal((await strict.inject({ url: '/cache/entries', headers: { 'x-role': 'operator' } })).statusCode, 401)
    t.equal((await asAdmin(strict, { url: '/cache/entries', headers: { 'x-role': 'operator' } })).statusCode, 200)
  })

  t.test('lets no page of another origin use somebody who may', async (t) => {
    const { app } = await appOf(t, { admin: { onRequest: (_request, _reply, done) => { done() } } })
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://evil.example' }, { origin: 'null' }, { origin: 'http://localhost:81', host: 'localhost:80' }]) {
      for (const request of guarded) {
        const response = await app.inject({ ...request, headers })
        t.equal(response.statusCode, 403, `${request.url} ${JSON.stringify(headers)}`)
        t.match(response.json(), { code: 'FST_ERR_CACHE_CROSS_ORIGIN' })
      }
    }
    for (const headers of [{}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }, { origin: 'http://shop.example', host: 'SHOP.example' }]) {
      t.equal((await app.inject({ url: '/cache/entries', headers })).statusCode, 200, JSON.stringify(headers))
    }
    t.equal(isCrossOrigin({ origin: 'http://a.example', 'sec-fetch-site': 'same-origin' }, 'proxied.example'), false, 'the browser knows best')
  })

  t.test('takes nothing that a form could send', async (t) => {
    const { app } = await appOf(t, { admin: { token } }, (app) => {
      app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, JSON.parse(body as string)) })
    })
    await app.inject('/products/1')
    for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain; application/json', 'application/jsonp']) {
      for (const url of ['/cache/invalidate', '/cache/flush']) {
        const response = await asAdmin(app, { method: 'POST', url, payload: '{"everything":true}', headers: type === undefined ? {} : { 'content-type': type } })
        t.equal(response.statusCode, 415, `${url} ${String(type)}`)
        t.match(response.json(), { code: 'FST_ERR_CACHE_MEDIA_TYPE' })
      }
    }
    t.match((await app.inject('/products/1')).headers['cache-status'], /;hit/)
    t.equal((await asAdmin(app, { method: 'POST', url: '/cache/invalidate', payload: '{"everything":true}', headers: { 'content-type': 'Application/JSON ; charset=utf-8' } })).statusCode, 200)
  })
})

t.test('a purge over HTTP', async (t) => {
  t.test('takes what it names, and says how far it got', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    const reload = async (): Promise<void> => { for (const url of ['/products/1', '/products/2']) await app.inject(url) }
    const isHit = async (url: string): Promise<boolean> => /;hit/.test(String((await app.inject(url)).headers['cache-status']))
    for (const purge of [{ tags: ['product:1'] }, { keys: ['response:http://localhost:80/products/1'] }, { patterns: ['response:*/products/1'] }, { paths: ['/products/1'] }]) {
      await reload()
      const response = await post(app, '/cache/invalidate', purge)
      t.same([response.statusCode, response.json(), response.headers['cache-control']], [200, { reach: 'everywhere' }, 'no-store'], JSON.stringify(purge))
      t.equal(await isHit('/products/2'), true)
      t.equal(await isHit('/products/1'), false)
    }
    await reload()
    t.same((await post(app, '/cache/invalidate', { tags: ['product:1'], soft: true })).json(), { reach: 'everywhere' })
    t.match((await app.inject('/products/1')).headers['cache-status'], /stale-while-revalidate/)
    await reload()
    t.same((await post(app, '/cache/flush', {})).json(), { reach: 'everywhere' })
    t.equal(app.cache.getStats().entries, 0, 'memory is free at once')
    t.equal(await isHit('/products/2'), false)
  })

  t.test('can be tried first', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    await app.inject('/products/1')
    await app.inject('/products/2')
    const before = app.cache.getStats().invalidations
    t.same((await post(app, '/cache/invalidate', { tags: ['product:1'], dryRun: true })).json(), { touched: 1, keys: ['response:http://localhost:80/products/1'] })
    t.equal((await post(app, '/cache/invalidate', { everything: true, dryRun: true })).json<{ touched: number }>().touched, 2)
    t.match((await app.inject('/products/1')).headers['cache-status'], /;hit/)
    t.equal(app.cache.getStats().invalidations, before, 'asking is not purging')
  })

  t.test('that cannot be understood does nothing, and says why', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    await app.inject('/products/1')
    const wrong: ReadonlyArray<readonly [body: unknown, code: string, message?: RegExp]> = [
      [{}, 'FST_ERR_CACHE_PURGE_EMPTY'],
      [{ tags: [] }, 'FST_ERR_CACHE_PURGE_EMPTY'],
      [{ everything: false }, 'FST_ERR_CACHE_PURGE_EMPTY'],
      [{ everything: true, dryrun: true }, 'FST_ERR_CACHE_REQUEST'],
      [{ tag: ['a'] }, 'FST_ERR_CACHE_REQUEST'],
      [{ everything: 'yes' }, 'FST_ERR_CACHE_REQUEST'],
      [{ tags: ['a'], soft: 'true' }, 'FST_ERR_CACHE_REQUEST'],
      [{ tags: ['a'], dryRun: 1 }, 'FST_ERR_CACHE_REQUEST'],
      [{ tags: 'a' }, 'FST_ERR_CACHE_REQUEST', /^In the request, tags is "a", must be an array of strings$/],
      [{ tags: [1] }, 'FST_ERR_CACHE_TAG'],
      [{ keys: [''] }, 'FST_ERR_CACHE_KEY'],
      [{ patterns: ['[a'] }, 'FST_ERR_CACHE_PATTERN'],
      [{ patterns: [7] }, 'FST_ERR_CACHE_PATTERN'],
      [{ patterns: ['x'.repeat(2000)] }, 'FST_ERR_CACHE_PATTERN'],
      [{ paths: ['products'] }, 'FST_ERR_CACHE_REQUEST', /^In the request, paths is "products"/],
      [[], 'FST_ERR_CACHE_REQUEST'],
      [null, 'FST_ERR_CACHE_REQUEST'],
      ['x', 'FST_ERR_CACHE_REQUEST']
    ]
    for (const [body, code, message = /./] of wrong) {
      const response = await asAdmin(app, { method: 'POST', url: '/cache/invalidate', payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
      t.equal(response.statusCode, 400, JSON.stringify(body))
      t.match(response.json(), { statusCode: 400, code, error: 'Bad Request', message })
      t.equal(response.headers['cache-control'], 'no-store')
    }
    const broken = await asAdmin(app, { method: 'POST', url: '/cache/invalidate', payload: '{"tags":', headers: { 'content-type': 'application/json' } })
    t.equal(broken.statusCode, 400)
    t.match((await post(app, '/cache/flush', { tags: ['a'] })).json(), { statusCode: 400, code: 'FST_ERR_CACHE_REQUEST', message: /tags is unknown, must be left out$/ })
    const large = await post(app, '/cache/invalidate', { tags: ['x'.repeat(70_000)] })
    t.equal(large.statusCode, 413)
    t.match((await app.inject('/products/1')).headers['cache-status'], /;hit/)
  })
})

interface Page { entries: Array<{ key: string }>, cursor?: string }

t.test('the entries', async (t) => {
  t.test('come page by page, each once', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    for (let i = 0; i < 25; i++) await app.cache.set(`product:${i}`, i, { tags: ['catalog'] })
    await app.cache.set('other', 1)
    const seen: string[] = []
    let url = '/cache/entries?pattern=product:*&limit=10'
    for (let pages = 0; url !== ''; pages++) {
      t.ok(pages < 30)
      const page = (await asAdmin(app, { url })).json<Page>()
      t.ok(page.entries.length <= 10)
      seen.push(...page.entries.map(({ key }) => key))
      url = page.cursor === undefined ? '' : `/cache/entries?pattern=product:*&limit=10&cursor=${encodeURIComponent(page.cursor)}`
    }
    t.same(seen.sort(), Array.from({ length: 25 }, (_, i) => `product:${i}`).sort())
    const all = (await asAdmin(app, { url: '/cache/entries' })).json<Page>()
    t.equal(all.entries.length, 26)
    t.notOk('cursor' in all)
    t.match(all.entries.find(({ key }) => key === 'product:3'), { kind: 'data', fresh: true, tags: ['catalog'], builtFrom: [] })
    t.notOk(all.entries.some((entry) => 'value' in entry), 'values are not shown')
    t.same((await asAdmin(app, { url: '/cache/entries?pattern=nothing*' })).json(), { entries: [] })
  })

  t.test('are found in a store in which almost nothing matches', async (t) => {
    const { app } = await appOf(t, { admin: { token }, memoryMaxSize: 20_000 })
    await app.cache.setMany(Array.from({ length: 15_000 }, (_, i) => [i === 14_000 ? 'needle' : `hay:${i}`, i] as const))
    const first = (await asAdmin(app, { url: '/cache/entries?pattern=needle' })).json<Page>()
    t.same(first.entries, [], 'a page does not walk through everything')
    const second = (await asAdmin(app, { url: `/cache/entries?pattern=needle&cursor=${first.cursor ?? ''}` })).json<Page>()
    t.same(second.entries.map(({ key }) => key), ['needle'])
  })

  t.test('refuse what makes no sense', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    for (const query of ['limit=0', 'limit=-1', 'limit=1e3', 'limit=1001', 'limit=x', 'limit=1&limit=2', 'pattern=', 'pattern=[', 'cursor=', 'cursor=nonsense', `cursor=${'1'.repeat(600)}`, 'patern=*']) {
      const response = await asAdmin(app, { url: `/cache/entries?${query}` })
      t.equal(response.statusCode, 400, query)
      t.match(response.json(), { code: /^FST_ERR_CACHE_(?:REQUEST|PATTERN|CURSOR)$/ })
    }
  })

  t.test('tell one by one why they are fresh or stale', async (t) => {
    const clock = fakeClock()
    const { app } = await appOf(t, { admin: { token }, clock })
    await app.cache.getOrSet('page', async () => await app.cache.getOrSet('product:1', () => 1, { tags: ['a'] }), { ttl: 60, staleWhileRevalidate: 30, staleIfError: 100, tags: ['b', 'c'] })
    await app.cache.set('plain', 1, { ttl: 60, staleIfError: 0 })
    const report = async (key: string): Promise<{ state: string, why: string }> => (await asAdmin(app, { url: `/cache/entries/${encodeURIComponent(key)}` })).json()
    t.match(await report('page'), { key: 'page', kind: 'data', state: 'fresh', tags: ['b', 'c', 'a'], builtFrom: ['product:1'], why: 'Fresh for 60 s more: no purge since it was stored has named its key, nor any of the 3 tags that it carries, nor the key that it was built from' })
    t.equal((await report('plain')).why, 'Fresh for 60 s more: no purge since it was stored has named its key')
    clock.advance(70_000)
    t.match(await report('page'), { state: 'stale', why: 'Stale for 10 s: its time is over, or a soft purge has ended it; served while one refresh runs, for 20 s more; served when the load fails, for 90 s more' })
    clock.advance(60_000)
    t.match(await report('page'), { why: /ended it; served when the load fails, for 30 s more$/ })

    const missing = await asAdmin(app, { url: '/cache/entries/nothing%20here' })
    t.same([missing.statusCode, missing.json()], [404, { statusCode: 404, code: 'FST_ERR_CACHE_NOT_STORED', error: 'Not Found', message: 'Nothing valid is stored under nothing here' }])
    t.equal((await asAdmin(app, { url: `/cache/entries/${'k'.repeat(1025)}` })).statusCode, 400)
  })

  t.test('can be deleted, with all variants of a URL', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    await app.cache.set('x', 1)
    t.same((await asAdmin(app, { method: 'DELETE', url: '/cache/entries/x' })).json(), { existed: true, reach: 'everywhere' })
    t.equal(await app.cache.get('x'), undefined)
    t.same((await asAdmin(app, { method: 'DELETE', url: '/cache/entries/x' })).json(), { existed: false, reach: 'everywhere' })

    const varied = async (language: string): Promise<string> => String((await app.inject({ url: '/varied', headers: { 'accept-language': language } })).headers['cache-status'])
    for (const language of ['de', 'en']) await varied(language)
    t.match(await varied('de'), /;hit/)
    const key = 'response:http://localhost:80/varied'
    t.match((await asAdmin(app, { url: `/cache/entries/${encodeURIComponent(key)}` })).json(), { kind: 'variants', variants: { on: ['accept-language'], keys: [/^response:.*#/, /^response:.*#/] } })
    t.same((await asAdmin(app, { method: 'DELETE', url: `/cache/entries/${key}` })).json(), { existed: true, reach: 'everywhere' }, 'the key may stand there as it is')
    t.notMatch(await varied('en'), /;hit/)
    t.notMatch(await varied('de'), /;hit/, 'the other variant does not come back with the list')
  })

  t.test('with long keys have an address as well', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    const url = `/list?page=1&${'x'.repeat(150)}=1`
    await app.inject({ url, headers: { host: 'a-host-of-some-length.example' } })
    const key = 'response:http://a-host-of-some-length.example/list?page=1'
    t.equal((await asAdmin(app, { url: `/cache/entries/${encodeURIComponent(key)}` })).json<{ key: string }>().key, key)
    const long = 'k'.repeat(900)
    await app.cache.set(long, 1)
    t.equal((await asAdmin(app, { url: `/cache/entries/${long}` })).statusCode, 200)
    t.match((await asAdmin(app, { method: 'DELETE', url: `/cache/entries/${long}` })).json(), { existed: true })
  })
})

t.test('explain', async (t) => {
  type Told = { verdict: string, reason: string, why: string, key?: string, inputs?: object, entry?: object, route?: string, policy?: string }
  const explain = async (app: FastifyInstance, url: string, headers: Record<string, string> = {}): Promise<Told> => {
    const response = await asAdmin(app, { url: `/cache/explain?url=${encodeURIComponent(url)}`, headers })
    t.equal(response.statusCode, 200, url)
    return response.json<Told>()
  }

  t.test('tells what the lookup would do, and changes nothing', async (t) => {
    const clock = fakeClock()
    const { app, runs } = await appOf(t, { admin: { token }, clock })
    t.match(await explain(app, '/products/1'), { url: '/products/1', verdict: 'miss', reason: 'uri-miss', route: '/products/:id', key: 'response:http://localhost:80/products/1', inputs: { scheme: 'http', host: 'localhost:80', target: '/products/1' }, policy: /^Fresh for 60 s .*then served stale for 30 s while one refresh runs/ })
    t.same(runs, {}, 'no handler has run')
    const before = app.cache.getStats()
    await app.inject('/products/1')
    t.match(await explain(app, '/products/1'), { verdict: 'fresh', entry: { kind: 'response', state: 'fresh', tags: ['product:1'] } })
    clock.advance(70_000)
    t.match(await explain(app, '/products/1'), { verdict: 'stale', reason: 'stale-while-revalidate' })
    await app.inject('/failing-first')
    clock.advance(20_000)
    t.match(await explain(app, '/failing-first'), { verdict: 'stale', reason: 'stale-if-error' })
    t.same(runs, { product: 1, failing: 1 })
    const { hits, misses, bypasses } = app.cache.getStats()
    t.same({ hits, misses, bypasses }, { hits: before.hits, misses: before.misses + 2, bypasses: before.bypasses }, 'questions are no lookups')
    await app.cache.invalidate({ tags: ['product:1'] })
    t.match(await explain(app, '/products/1'), { verdict: 'miss', reason: 'uri-miss' })
    t.match((await asAdmin(app, { url: '/cache/explain?url=/products/1', headers: { authorization } })).headers, { 'cache-control': 'no-store' })
  })

  t.test('knows every reason', async (t) => {
    const { app, runs } = await appOf(t, { admin: { token } })
    t.match(await explain(app, '/uncached'), { verdict: 'bypass', reason: 'not-configured', route: '/uncached' })
    t.match(await explain(app, '/nowhere'), { verdict: 'bypass', reason: 'no-route' })
    t.match(await explain(app, '/mine'), { verdict: 'bypass', reason: 'no-partition', route: '/mine' })
    t.match(await explain(app, '/refused'), { verdict: 'bypass', reason: 'answered-before; 401' })
    t.match(await explain(app, '/list?page=x'), { verdict: 'bypass', reason: 'answered-before; 400' })
    t.match(await explain(app, '/cache/stats'), { verdict: 'bypass', reason: 'not-configured' })
    t.same(runs, {})
    await app.inject('/never')
    t.match(await explain(app, '/never'), { verdict: 'miss', reason: 'hit-for-miss' })
    await app.inject({ url: '/varied', headers: { 'accept-language': 'de' } })
    t.match(await explain(app, '/varied', { 'accept-language': 'fr' }), { verdict: 'miss', reason: 'vary-miss' })
    t.match(await explain(app, '/varied', { 'accept-language': 'de' }), { verdict: 'fresh', key: /#/ })
    await app.inject('/varied')
    t.match(await explain(app, '/varied', { 'accept-language': '*' }), { verdict: 'fresh' }, 'what fetch says where nobody has said anything')
  })

  t.test('shows what is in the key', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    t.match(await explain(app, '/list?other=1'), { inputs: { target: '/list?page=1' }, key: 'response:http://localhost:80/list?page=1', policy: /of the query count page/ })
    t.match(await explain(app, '/public', { 'x-tenant': 'a', host: 'shop.example' }), { inputs: { host: 'shop.example', 'header x-tenant': 'a' }, policy: /the same for everybody; served before parsing/ })
    t.match(await explain(app, '/public'), { inputs: { 'header x-tenant': null } })
  })

  t.test('asks as the client that sends it would, without its credentials', async (t) => {
    const seen: unknown[] = []
    const app = Fastify({ trustProxy: true })
    t.teardown(async () => { await app.close() })
    await app.register(cache, { admin: { token } })
    app.get('/x', { config: { cache: true }, onRequest: async (request) => { seen.push([request.headers.authorization, request.headers.cookie, request.ip]) } }, async () => 'x')
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example', 'x-forwarded-for': '192.0.2.7', cookie: 'a=b', 'content-type': 'text/plain' }
    t.match(await explain(app, '/x', headers), { verdict: 'miss', key: 'response:https://shop.example/x' })
    t.same(seen, [[undefined, undefined, '192.0.2.7']])
  })

  t.test('knows TLS, and HTTP/2', { skip: hasOpenssl ? false : 'openssl is needed to make a certificate' }, async (t) => {
    const { key, cert } = selfSigned(t)
    const app = Fastify({ http2: true, https: { key, cert } })
    t.teardown(async () => { await app.close() })
    await app.register(cache, { admin: { token } })
    app.get('/x', { config: { cache: true } }, async () => 'x')
    const origin = await app.listen({ host: '127.0.0.1', port: 0 })
    const session = connect(origin, { rejectUnauthorized: false })
    t.teardown(() => { session.destroy() })
    const stream = session.request({ ':path': '/cache/explain?url=/x', authorization })
    let body = ''
    for await (const text of stream.setEncoding('utf8') as AsyncIterable<string>) body += text
    t.match(JSON.parse(body), { verdict: 'miss', key: `response:${origin}/x`, inputs: { scheme: 'https' } })
  })

  t.test('goes nowhere but to paths of this app', async (t) => {
    const { app, runs } = await appOf(t, { admin: { token } })
    for (const url of ['http://evil.example/', 'evil', '', 'file:///etc/passwd', '?a', '\\\\evil']) {
      const response = await asAdmin(app, { url: `/cache/explain?url=${encodeURIComponent(url)}` })
      t.equal(response.statusCode, 400, url)
      t.match(response.json(), { code: 'FST_ERR_CACHE_REQUEST' })
    }
    for (const query of ['', '?url=/a&url=/b', '?uri=/a', `?url=/${'a'.repeat(9000)}`]) t.equal((await asAdmin(app, { url: `/cache/explain${query}` })).statusCode, 400, query.slice(0, 20))
    for (const url of ['//evil.example/x', '/\\evil.example/x', '/../uncached', '/a/%2e%2e/uncached', '/uncached\r\nX: 1', '/uncached#x', '/ü']) t.match(await explain(app, url), { verdict: 'bypass', reason: 'unclean-target' }, url)
    t.match(await explain(app, '/cache/explain?url=/uncached'), { verdict: 'bypass' }, 'not even to itself')
    t.same(runs, {})
  })

  t.test('of one request is not the answer to another', async (t) => {
    const { app, runs } = await appOf(t, { admin: { token } }, (app) => {
      app.addHook('onRequest', async () => { await new Promise((resolve) => { setImmediate(resolve) }) })
    })
    const [told, page] = await Promise.all([explain(app, '/products/7'), app.inject('/products/7')])
    t.match(told, { verdict: /^(?:miss|fresh)$/, route: '/products/:id' })
    t.same([page.statusCode, page.json()], [200, { name: 'product', run: 1 }])
    t.same(runs, { product: 1 })
  })
})

t.test('the routes', async (t) => {
  t.test('are documented by @fastify/swagger, and say what they answer', async (t) => {
    const { app } = await appOf(t, { admin: { token } }, async (app) => { await app.register(swagger, { openapi: {} }) })
    await app.ready()
    const { paths = {} } = app.swagger() as { paths?: Document }
    const own = Object.entries(paths).filter(([path]) => path.startsWith('/cache') || path === '/metrics')
    t.same(own.flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`)).sort(), [
      'delete /cache/entries/{key}', 'delete /cache/warm/{id}', 'get /cache/dashboard', 'get /cache/entries', 'get /cache/entries/{key}', 'get /cache/explain', 'get /cache/report', 'get /cache/report/events', 'get /cache/stats', 'get /cache/warm', 'get /cache/warm/{id}', 'get /cache/warm/{id}/events', 'get /metrics', 'post /cache/flush', 'post /cache/invalidate', 'post /cache/warm'
    ])
    for (const [path, methods] of own) {
      for (const { tags, summary, responses } of Object.values(methods)) {
        t.same(tags, ['cache'], path)
        t.match(summary, /\w/)
        t.same(Object.keys(responses).includes('401'), !['/metrics', '/cache/stats', '/cache/dashboard'].includes(path))
      }
    }
  })

  t.test('answer and accept what their schemas say', async (t) => {
    const schemas = new Map<string, { response?: Record<string, object>, body?: object }>()
    const { app } = await appOf(t, { admin: { token } }, (app) => {
      app.addHook('onRoute', ({ method, url, schema }) => { if (schema !== undefined && method !== 'HEAD') schemas.set(`${String(method)} ${url}`, schema as object) })
    })
    const judge = Fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false, strict: false } } })
    let validate: ((schema: object, data: unknown) => boolean) | undefined
    judge.get('/', async (request) => { validate = (schema, data) => request.compileValidationSchema(schema)(data) })
    await judge.inject('/')
    await app.inject('/products/1')
    await app.inject('/varied')
    const long = encodeURIComponent('response:http://localhost:80/varied')
    const asked: ReadonlyArray<readonly [route: string, request: InjectOptions]> = [
      ['GET /cache/stats', { url: '/cache/stats' }],
      ['GET /cache/entries', { url: '/cache/entries?limit=1' }],
      ['GET /cache/entries', { url: '/cache/entries?limit=0' }],
      ['GET /cache/entries/:key', { url: `/cache/entries/${long}` }],
      ['GET /cache/entries/:key', { url: '/cache/entries/missing' }],
      ['GET /cache/explain', { url: '/cache/explain?url=/products/1' }],
      ['GET /cache/explain', { url: '/cache/explain?url=/mine' }],
      ['GET /cache/explain', { url: '/cache/explain', headers: { authorization: 'x' } }],
      ['GET /cache/explain', { url: '/cache/explain', headers: { origin: 'null' } }],
      ['POST /cache/invalidate', { method: 'POST', url: '/cache/invalidate', payload: { tags: ['x'], dryRun: true } }],
      ['POST /cache/invalidate', { method: 'POST', url: '/cache/invalidate', payload: { keys: ['a'], tags: ['x'], patterns: ['y*'], paths: ['/z'], soft: true } }],
      ['POST /cache/invalidate', { method: 'POST', url: '/cache/invalidate', payload: {} }],
      ['DELETE /cache/entries/:key', { method: 'DELETE', url: '/cache/entries/x' }],
      ['POST /cache/flush', { method: 'POST', url: '/cache/flush', payload: {} }],
      ['POST /cache/warm', { method: 'POST', url: '/cache/warm', payload: { learned: true } }],
      ['POST /cache/warm', { method: 'POST', url: '/cache/warm', payload: { paths: ['/nowhere'], host: 'shop.example' } }],
      ['POST /cache/warm', { method: 'POST', url: '/cache/warm', payload: { paths: ['//x'] } }],
      ['GET /cache/warm', { url: '/cache/warm' }],
      ['GET /cache/warm/:id', { url: '/cache/warm/missing' }]
    ]
    for (const [route, request] of asked) {
      const response = await asAdmin(app, request)
      const schema = schemas.get(route)
      t.equal(validate?.(schema?.response?.[response.statusCode] ?? {}, response.json()), true, `${route} ${response.statusCode}`)
      t.ok(schema?.response?.[response.statusCode] !== undefined, `${route} documents ${response.statusCode}`)
      if (schema?.body !== undefined) t.equal(validate?.(schema.body, request.payload), true)
    }
    t.equal(validate?.(schemas.get('GET /cache/stats')?.response?.[200] ?? {}, { hits: 1 }), false, 'a wrong answer would be found')
    await judge.close()
  })

  t.test('do not depend on the compilers and the Ajv of the app', async (t) => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    app.setValidatorCompiler(() => { throw new Error('this is no schema of mine') })
    app.setSerializerCompiler(() => { throw new Error('this is no schema of mine') })
    await app.register(cache, { admin: { token } })
    t.equal((await asAdmin(app, { url: '/cache/entries?limit=5' })).statusCode, 200)
    t.same((await post(app, '/cache/invalidate', { tags: ['x'] })).json(), { reach: 'everywhere' })
    t.equal((await app.inject('/cache/stats')).statusCode, 200)
  })

  t.test('are never cached', async (t) => {
    const { app } = await appOf(t, { admin: { token } }, (app) => {
      // An app may well set a default for all its routes.
      app.addHook('onRoute', (route) => { if (route.url.startsWith('/cache') || route.url === '/metrics') route.config = { ...route.config, cache: { ttl: 60, public: true } } })
    })
    for (const url of ['/cache/stats', '/metrics', '/cache/entries', '/cache/explain?url=/mine']) {
      await asAdmin(app, { url })
      t.notMatch((await asAdmin(app, { url })).headers['cache-status'] ?? '', /;hit/, `${url}, not even when the app says so`)
    }
    t.equal(app.cache.getStats().entries, 0)
  })

  t.test('keep their promises on a socket', async (t) => {
    const { app } = await appOf(t, { admin: { token } })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const send = async (path: string, headers: Record<string, string | string[]>, body?: string): Promise<number> => await new Promise((resolve, reject) => {
      const sent = httpRequest({ host: '127.0.0.1', port, path, method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
        response.resume().once('end', () => { resolve(response.statusCode ?? 0) })
      }).once('error', reject)
      sent.end(body)
    })
    const json = { authorization, 'content-type': 'application/json' }
    t.equal(await send('/cache/invalidate', json, '{"tags":["a"]}'), 200)
    t.equal(await send('/cache/invalidate', { ...json, 'transfer-encoding': 'chunked' }, JSON.stringify({ tags: ['x'.repeat(70_000)] })), 413)
    t.equal(await send('/cache/flush', json, ''), 400)
    t.equal(await send('/cache/flush', { ...json, 'content-type': 'text/plain' }, '{}'), 415)
    t.equal(await send('/cache/entries', { authorization: ['Bearer wrong-token-of-length', authorization] }), 401)
    t.equal(await send('/cache/entries', { authorization }), 200)
    t.equal(await send('/cache/explain?url=/products/1', { authorization }), 200)
    t.equal(await send('//cache/entries', {}), 404)
  })
})
