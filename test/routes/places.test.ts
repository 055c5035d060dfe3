import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import cache, { type CachePluginOptions } from '../../plugins/index.ts'

const answer = async (): Promise<string> => 'mine'
const admin = { token: 'a-token-of-twenty-letters' }

t.test('a route of the app at a place of ours is told which option moves ours, whichever comes first', async (t) => {
  const metrics = 'Option metrics is "/metrics", must be false, or a path where the app has no route; it has GET '
  const prefix = 'Option prefix is "/cache", must be a place where the app has no route; it has '
  const places: Array<[method: 'GET' | 'POST' | 'HEAD', url: string, options: CachePluginOptions, message?: string]> = [
    ['GET', '/metrics', {}, `${metrics}/metrics`],
    ['GET', '/metrics', { metrics: '/elsewhere' }],
    ['GET', '/metrics', { metrics: false }],
    ['POST', '/metrics', {}],
    ['GET', '/cache/stats', {}, `${prefix}GET /cache/stats`],
    ['GET', '/cache/stats', { exposeStats: false }],
    ['GET', '/cache/stats', { prefix: '/elsewhere' }],
    ['POST', '/cache/invalidate', {}],
    ['POST', '/cache/invalidate', { admin }, `${prefix}POST /cache/invalidate`],
    ['GET', '/cache/:id', { admin }],
    ['GET', '/*', { admin }]
  ]
  for (const [method, url, options, message] of places) {
    const theirs = (app: FastifyInstance): void => { app.route({ method, url, handler: answer }) }
    const orders: Record<string, (app: FastifyInstance) => Promise<void>> = {
      before: async (app) => { theirs(app); await app.register(cache, { strategy: 'memory', ...options }) },
      after: async (app) => { await app.register(cache, { strategy: 'memory', ...options }); theirs(app) },
      'after, in a context': async (app) => { await app.register(cache, { strategy: 'memory', ...options }); await app.register(async (child) => { theirs(child) }) },
      'while it loads': async (app) => { app.register(cache, { strategy: 'memory', ...options }).after(() => {}); theirs(app) }
    }
    for (const [order, build] of Object.entries(orders)) {
      const app = Fastify()
      t.teardown(() => app.close())
      const built = (async () => { await build(app); await app.ready() })()
      const name = `${method} ${url} ${order} ${JSON.stringify(options)}`
      if (message === undefined) await t.resolves(built, name)
      else await t.rejects(built, { code: 'FST_ERR_CACHE_OPTION', message }, name)
    }
  }
})

t.test('a place is what the whole of it says: prefix, host, and whose it is', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cache, { strategy: 'memory' })
  await app.register(cache, { name: 'assets', strategy: 'memory' })
  app.get('/metrics', { constraints: { host: 'shop.example' } }, answer)
  await app.register(async (child) => {
    child.get('/metrics', answer)
    await child.register(cache, { name: 'inner', strategy: 'memory', metrics: '/figures' })
  }, { prefix: '/v1' })
  await app.ready()
  t.equal((await app.inject({ url: '/metrics', headers: { host: 'shop.example' } })).body, 'mine')
  t.match((await app.inject('/metrics')).body, /fastify_cache_/)
  t.match((await app.inject('/assets/stats')).json(), { hits: 0 })
})

t.test('in a context the place is told with its prefix', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const built = app.register(async (child) => {
    child.get('/metrics', answer)
    await child.register(cache, { strategy: 'memory' })
  }, { prefix: '/v1' }).ready()
  await t.rejects(async () => await built, { message: /^Option metrics is "\/metrics", .* it has GET \/v1\/metrics$/ })
})
