import t from 'tap'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'

/** What a query builder is: each `then` runs the query anew. */
function builder<T> (run: () => T | Promise<T>): PromiseLike<T> {
  return { then: async (answered, failed) => await (async () => await run())().then(answered, failed) }
}

t.test('a query that a handler returns is run once, whether it reads or changes', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  const runs: string[] = []
  const query = (name: string) => () => builder(() => { runs.push(name); return { name } })
  app.get('/cached', { config: { cache: true } }, query('cached'))
  app.get('/uncached', query('uncached'))
  app.post('/cached', query('insert'))
  app.route({ method: ['GET', 'PATCH'], url: '/both', config: { cache: true }, handler: query('both') })
  for (const [method, url] of [['GET', '/cached'], ['GET', '/uncached'], ['POST', '/cached'], ['PATCH', '/both']] as const) t.equal((await app.inject({ method, url })).statusCode, 200)
  t.same(runs, ['cached', 'uncached', 'insert', 'both'])
})

t.test('what such a query reads through the cache is part of the response, in the first one and in later ones', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let left = 3
  app.get('/lazy/:n', { config: { cache: true } }, () => builder(async () => await app.cache.getOrSet('stock', () => ({ left }))))
  for (const url of ['/lazy/1', '/lazy/2']) {
    await app.inject(url)
    t.match(cacheStatus(await app.inject(url)), /^hit/)
    left--
    await app.cache.invalidate({ keys: ['stock'] })
    t.same((await app.inject(url)).json(), { left })
  }
})

t.test('hooks of a public route that read through the cache are followed', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let name = 'old'
  app.decorateRequest('shop', '')
  app.get('/shop', {
    config: { cache: { public: true } },
    onRequest: async (request) => { (request as unknown as { shop: string }).shop = await app.cache.getOrSet('shop', () => name) }
  }, async (request) => ({ shop: (request as unknown as { shop: string }).shop }))
  for (const next of ['new', 'newer']) {
    await app.inject('/shop')
    t.match(cacheStatus(await app.inject('/shop')), /^hit/)
    name = next
    await app.cache.invalidate({ keys: ['shop'] })
    t.same((await app.inject('/shop')).json(), { shop: next })
  }
})

t.test('a change that is made after the answer purges again, and one that ends with it does not', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let stock = 3
  let change = (): void => {}
  app.get('/stock', { config: { cache: true } }, async () => ({ stock }))
  app.post('/stock', async (_request, reply) => {
    reply.code(202).send('accepted')
    await new Promise<void>((resolve) => { change = resolve })
    stock--
  })
  app.put('/stock', async (_request, reply) => {
    stock--
    return await reply.send('done')
  })
  await app.inject('/stock')
  await app.inject({ method: 'POST', url: '/stock' })
  await new Promise(setImmediate)
  t.same((await app.inject('/stock')).json(), { stock: 3 })
  change()
  await new Promise(setImmediate)
  t.same((await app.inject('/stock')).json(), { stock: 2 })

  const { invalidations } = app.cache.getStats()
  await app.inject({ method: 'PUT', url: '/stock' })
  await new Promise(setImmediate)
  t.equal(app.cache.getStats().invalidations, invalidations + 1)
})
