import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import cache, { type CachePluginOptions, type Finding, type RouteCacheOptions } from '../../plugins/index.ts'
import { startRedis } from '../support/redis-server.ts'

interface Audited { findings: Finding[], lines: Array<{ level: number, finding?: string, msg: string }>, app: FastifyInstance }

/** What is found in an app; `early` and `late` register routes before and after the cache. */
async function audited (late: (app: FastifyInstance) => void, { early = () => {}, ...options }: CachePluginOptions & { early?: (app: FastifyInstance) => void } = {}): Promise<Audited> {
  const lines: Audited['lines'] = []
  const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => { lines.push(JSON.parse(line) as Audited['lines'][number]) } } } })
  early(app)
  await app.register(cache, options)
  late(app)
  await app.ready()
  for (const url of ['/early', '/early', '/unasked']) await app.inject(url)
  const findings = app.cacheMonitor?.getPerformanceReport().findings ?? []
  await app.close()
  return { findings, lines: lines.filter(({ finding }) => finding !== undefined), app }
}

const querystring = { type: 'object', properties: { page: { type: 'integer' } }, additionalProperties: false }
const page = async (): Promise<string> => 'page'

t.test('an app in which all is well hears nothing', async (t) => {
  const { findings, lines } = await audited((app) => {
    app.addHook('onRequest', async function session () {})
    app.addHook('preHandler', async function requireUser () {})
    app.get('/products', { schema: { querystring }, config: { cache: { ttl: 60, entities: { product: 'items[].id' } } } }, page)
    app.get('/products/:id', { schema: { querystring }, config: { cache: { ttl: 60, headers: ['accept-language'], cookies: ['theme'] } } }, page)
    app.post('/products/:id/views', page)
    app.get('/shops/:shop/products', { schema: { querystring }, config: { cache: { ttl: 60, tags: ['products'] } } }, page)
    app.patch('/shops/:shop/products/:id', page)
    app.get('/nfts/:tokenId', { schema: { querystring: { ...querystring, properties: { pageToken: {}, next_token: {}, session: {}, author: {}, key: {} } } }, config: { cache: { ttl: 60 } } }, page)
    app.get('/news', { schema: { querystring }, config: { cache: { ttl: 60, public: true, serveFrom: 'handler' } } }, page)
    app.put('/products/:id', { config: { cache: { invalidates: ['x'] } } }, page)
    app.delete('/users/:id', page)
    app.get('/live', page)
    app.get('/files/*', page)
    app.get('/Reports/:year/', page)
  }, { admin: { token: 'token-of-this-test' } })
  t.same(findings, [])
  t.same(lines, [])
})

t.test('a tag that is spelled in two ways is found, and one that is only another is not', async (t) => {
  const { findings, lines } = await audited((app) => {
    const tagged = (url: string, tags: string[]): void => { app.get(url, { schema: { querystring }, config: { cache: { ttl: 60, tags } } }, page) }
    tagged('/a', ['catalog', 'page1', 'brands', 'shop'])
    tagged('/b', ['catalog', 'price-list', 'rating'])
    app.put('/a', { config: { cache: { invalidates: ['catalogue', 'page2', 'brand', 'shops'] } } }, page)
    app.post('/a', { config: { cache: { invalidates: ['pricelist', 'brands', 'stock'] } } }, page)
    app.delete('/a', { config: { cache: { invalidates: () => ['ratings'] } } }, page)
  })
  t.same(findings.map(({ kind, routes, message }) => [kind, routes, message]), [
    ['misspelt-tag', ['GET /a', 'GET /b', 'PUT /a'], 'GET /a, GET /b, PUT /a have tags that look alike: nothing invalidates catalog, and no response has catalogue'],
    ['misspelt-tag', ['GET /a', 'PUT /a'], 'GET /a, PUT /a have tags that look alike: nothing invalidates shop, and no response has shops'],
    ['misspelt-tag', ['GET /b', 'POST /a'], 'GET /b, POST /a have tags that look alike: nothing invalidates price-list, and no response has pricelist']
  ], 'brand is none: brands is invalidated')
  t.match(lines, [{ level: 30, finding: 'misspelt-tag' }, { level: 30 }, { level: 30 }])
})

t.test('names that nothing names, and patterns that stand for names, are found', async (t) => {
  const list = (app: FastifyInstance): void => {
    app.get('/products', { schema: { querystring }, config: { cache: { ttl: 60, entities: { product: 'items[].id' } } } }, page)
    app.get('/paths', { schema: { querystring }, config: { cache: { ttl: 60, tags: ['/paths'] } } }, page)
  }
  const kinds = ({ findings }: Audited): unknown[] => findings.map(({ kind, routes }) => [kind, routes])
  t.same(kinds(await audited(list)), [])
  t.same(kinds(await audited((app) => {
    list(app)
    app.patch('/products/:id', page)
  })), [['unpurged-list', ['GET /products']]])
  const { findings, lines } = await audited((app) => {
    list(app)
    app.patch('/products/:id', { config: { cache: { invalidates: ['product:*', '/products', '/paths'] } } }, page)
    app.delete('/products/:id', { config: { cache: { invalidates: ['product:*'] } } }, page)
  })
  t.same(findings.map(({ kind, message }) => [kind, message]), [
    ['pattern-as-name', 'PATCH /products/:id, DELETE /products/:id invalidate product:* as a name, which nothing has: neither patterns nor paths belong there'],
    ['pattern-as-name', 'PATCH /products/:id invalidates /products as a name, which nothing has: neither patterns nor paths belong there']
  ])
  t.match(lines, [{ level: 40 }, { level: 40 }], 'a change does not reach what it should')
})

t.test('hits of a public route pass hooks by, wherever those were added', async (t) => {
  const { findings, lines } = await audited((app) => {
    app.addHook('preHandler', async function requireUser () {})
    app.get('/open', { schema: { querystring }, config: { cache: { ttl: 60, public: true } } }, page)
    app.register(async (inner) => {
      inner.addHook('preValidation', async function checkTenant () {})
      inner.get('/users/:id/page', { schema: { querystring }, preHandler: async function audit () {}, config: { cache: { ttl: 60, public: true } } }, page)
    }, { prefix: '/v1' })
  })
  t.same(findings.map(({ kind, routes, message }) => [kind, routes, message]), [
    ['guard-passed-by', ['GET /open'], 'GET /open is public: its hits pass requireUser() by'],
    ['guard-passed-by', ['GET /v1/users/:id/page'], 'GET /v1/users/:id/page is public: its hits pass checkTenant(), requireUser(), audit() by']
  ])
  t.match(lines, [{ level: 40, finding: 'guard-passed-by', msg: /^cache: GET \/open is public.*; if one of them is a guard, take public away or say serveFrom: 'handler'$/ }, { level: 40 }])
})

t.test('each of the other mistakes is found, with its cure', async (t) => {
  const { findings, lines } = await audited((app) => {
    app.get('/products', { schema: { querystring }, config: { cache: { ttl: 60 } } }, page)
    app.patch('/products/:id', page)
    app.delete('/products/:id/reviews/:review', page)
    app.post('/products', page)
    app.get('/search', { config: { cache: { ttl: 60 } } }, page)
    app.get('/me', { schema: { querystring }, config: { cache: { ttl: 60, headers: ['Authorization'], cookies: ['session_id'] } } }, page)
    app.get('/tenant', { schema: { querystring }, config: { cache: { ttl: 60, headers: ['x-account'] } } }, page)
    app.get('/archive', { schema: { querystring }, config: { cache: { ttl: 86_400 } } }, page)
  }, {
    credentials: ['authorization', 'x-account'],
    early: (app) => {
      app.get('/early', { config: { cache: true } }, page)
      app.get('/unasked', page)
    }
  })
  t.same(findings.map(({ kind, routes }) => [kind, routes]), [
    ['secret-in-key', ['GET /me']],
    ['secret-in-key', ['GET /tenant']],
    ['unpurged-list', ['GET /products']],
    ['open-query', ['GET /search']],
    ['purges-unheard', ['GET /archive']],
    ['before-plugin', ['GET /early']]
  ], 'a route that was there before the plugin at its first request')
  t.match(findings[0]?.message, 'authorization, session_id in its key')
  t.match(findings[3]?.message, /^GET \/search takes any query string/)
  t.match(findings[2]?.message, 'PATCH /products/:id, DELETE /products/:id/reviews/:review name nothing to invalidate')
  t.ok(findings.every(({ cure }) => cure !== ''))
  t.same(lines.map(({ level }) => level), [40, 40, 30, 30, 30, 40], 'what may harm others than the hit rate is a warning')
})

t.test('secrets in the URL are in the key, by whatever name', async (t) => {
  const { findings, lines } = await audited((app) => {
    const query = (...names: string[]): object => ({ schema: { querystring: { type: 'object', properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])), additionalProperties: false } }, config: { cache: { ttl: 60 } } })
    app.get('/feed', query('access_token', 'page'), page)
    app.get('/reset/:token', query(), page)
    app.get('/files/:id', query('apiKey', 'sid'), page)
    app.get('/mine', { schema: { querystring }, config: { cache: { ttl: 60, cookies: ['sid'] } } }, page)
  })
  t.same(findings.map(({ kind, message }) => [kind, message.replace(/ in its key.*/, '')]), [
    ['secret-in-key', 'GET /feed has access_token of its URL'],
    ['secret-in-key', 'GET /reset/:token has token of its URL'],
    ['secret-in-key', 'GET /files/:id has apiKey, sid of its URL'],
    ['secret-in-key', 'GET /mine has sid']
  ])
  t.same(lines.map(({ level }) => level), [40, 40, 40, 40])
})

t.test('a route with parameters is looked at like any other', async (t) => {
  const { findings } = await audited((app) => {
    app.get('/p/:id', { config: { cache: { ttl: 60 } } }, page)
    app.get('/files/*', { config: { cache: { ttl: 60 } } }, page)
    app.get('/shops/:s/products', { schema: { querystring }, config: { cache: { ttl: 60 } } }, page)
    app.patch('/shops/:shop/products/:id', page)
    app.delete('/shops/:s', page)
  })
  t.same(findings.map(({ kind, message }) => [kind, message.replace(/(?:nothing|any query).*/, '')]), [
    ['unpurged-list', 'GET /shops/:s/products has neither tags nor entities, and PATCH /shops/:shop/products/:id names '],
    ['open-query', 'GET /p/:id, GET /files/* take ']
  ])
})

t.test('what a route asks for and can never have is told, unless another method of it has it', async (t) => {
  const { findings, lines } = await audited((app) => {
    const route = (method: string | string[], url: string, given: RouteCacheOptions | true): void => { app.route({ method, url, schema: { querystring }, config: { cache: given }, handler: page }) }
    route('GET', '/reads', { ttl: 60, invalidates: ['a'] })
    route('POST', '/writes', { ttl: 60 })
    route(['PUT', 'DELETE'], '/changes', true)
    route('POST', '/answers', { ttl: 60, http: { storePost: true } })
    route(['GET', 'DELETE'], '/both', { ttl: 60, invalidates: ['a'] })
    route('PUT', '/shared', { ttl: 60, invalidates: ['a'] })
  })
  t.same(findings.map(({ kind, routes }) => [kind, routes]), [
    ['no-effect', ['POST /writes', 'PUT /changes', 'DELETE /changes']],
    ['no-effect', ['GET /reads']]
  ])
  t.same(lines.map(({ level }) => level), [30, 30])
})

t.test('with a log that instances share, no purge goes unheard', async (t) => {
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  const { findings } = await audited((app) => {
    app.get('/archive', { schema: { querystring }, config: { cache: { ttl: 86_400 } } }, page)
  }, { strategy: 'hybrid', redisUrl: redis.url, redisRequired: true, redisTimeout: 10 })
  t.same(findings, [])
})

t.test('findings that are meant so are left out, and the whole can be switched off', async (t) => {
  const routes = (app: FastifyInstance): void => {
    app.get('/search', { config: { cache: { ttl: 86_400 } } }, page)
  }
  t.same((await audited(routes, { audit: { ignore: ['open-query'] } })).findings.map(({ kind }) => kind), ['purges-unheard'])
  t.same((await audited(routes, { audit: true, monitor: false })).lines.map(({ finding }) => finding), ['open-query', 'purges-unheard'], 'without a monitor there are the lines')
  const off = await audited(routes, { audit: false })
  t.same([off.findings, off.lines], [[], []])
  for (const audit of [0, { ignore: ['all'] }, { ignored: [] }]) await t.rejects(audited(routes, { audit: audit as never }), { code: /^FST_ERR_CACHE_OPTION/, message: /audit/ })
})
