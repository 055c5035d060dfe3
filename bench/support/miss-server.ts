/*
 * One handler in several servers of one process: without a cache, behind a cache by hand, and behind ours. Tells their ports to
 * the parent, and on `cpu` the CPU time that the process has used. A request for `warm` gets an answer that was made before, so
 * that the program can be run until the compiler has nothing more to do, however long the handler takes.
 */
import { hash } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import cache, { type CachePluginOptions } from 'fastify-response-cache'
import { LRUCache } from 'lru-cache'
import { ownCatalogue, readCatalogue } from '../../example-app/catalogue.ts'
import { ProductDatabase } from '../../example-app/database.ts'
import { product, productSchema } from './product.ts'

const productsFile = process.env['PRODUCTS_FILE'] ?? fileURLToPath(new URL('../../../shared/data/products.json', import.meta.url))

/** What a list of the example costs: two queries on an embedded SQL database. */
async function listOfTwenty (): Promise<() => unknown> {
  const database = new ProductDatabase(await readCatalogue(ownCatalogue))
  return () => {
    const { ids, total } = database.page({ page: 1, pageSize: 20, sort: 'price' })
    return { total, items: database.findMany(ids) }
  }
}

/** What a search costs in so many times 194 products: the text of every one is looked at. `PRODUCTS_FILE` names others. */
async function searchIn (times: number): Promise<() => unknown> {
  const products = await readCatalogue(existsSync(productsFile) ? productsFile : ownCatalogue)
  const shop = new ProductDatabase(Array.from({ length: times }, (_, part) => products.map((one) => ({ ...one, id: one.id + part * 100_000 }))).flat())
  return () => ({ items: shop.search('phone', 20) })
}

const handlers: Readonly<Record<string, () => Promise<() => unknown>>> = {
  nothing: async () => () => product,
  list: listOfTwenty,
  'search in 970': async () => await searchIn(5),
  'search in 1940': async () => await searchIn(10),
  'search in 3880': async () => await searchIn(20)
}

/** The least that a cache of responses does: it looks, and keeps body and headers under an entity-tag. It purges nothing, watches nothing. */
function byHand (app: FastifyInstance): void {
  const kept = new LRUCache<string, { readonly headers: unknown, readonly body: Buffer, readonly storedAt: number }>({ max: 1000 })
  const keyOf = (request: FastifyRequest): string => 'http://' + request.host + (request.raw.url ?? '')
  app.addHook('onSend', (request, reply, payload, done) => {
    const body = Buffer.from(payload as string)
    reply.header('etag', `W/"${hash('sha256', body, 'base64url')}"`)
    kept.set(keyOf(request), { headers: reply.getHeaders(), body, storedAt: Date.now() })
    done(null, payload)
  })
  app.addHook('onRequest', (request, reply, done) => {
    const found = kept.get(keyOf(request))
    if (found === undefined) done()
    else reply.send(found.body)
  })
}

/** Behind the plugin, with these options. */
const cached: Readonly<Record<string, CachePluginOptions>> = {
  missed: {},
  'missed, dependencies followed': {},
  'missed, no dependencies': { trackDependencies: false },
  'missed, all off': { metrics: false, monitor: false, enableStats: false, trackDependencies: false, cacheStatus: false }
}

const [name = 'nothing', ...ways] = process.argv.slice(2)
const work = await handlers[name]?.()
if (work === undefined) throw new Error(`no such handler: ${name}`)
const ready = work()
const ports: number[] = []
for (const way of ways) {
  const app = Fastify()
  if (way === 'by hand') byHand(app)
  else if (way !== 'uncached') await app.register(cache, { strategy: 'memory', ...cached[way] })
  app.get<{ Querystring: { warm?: string } }>('/product', {
    schema: name === 'nothing' ? productSchema : {},
    config: way in cached ? { cache: { ttl: 3600, tags: ['catalog'] } } : {}
  }, async ({ query }) => query.warm === undefined ? work() : ready)
  if (way === 'missed, dependencies followed') {
    // They are, from the first time that a handler reads through the cache.
    app.get('/reads', { config: { cache: true } }, async () => await app.cache.getOrSet('x', () => 1))
    await app.inject('/reads')
  }
  await app.listen({ port: 0, host: '127.0.0.1' })
  ports.push((app.server.address() as AddressInfo).port)
}
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMicros: user + system })
})
process.on('disconnect', () => { process.exit(0) })
process.send?.({ ports })
