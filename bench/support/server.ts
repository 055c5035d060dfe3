/*
 * A server to be measured, in a process of its own. Tells its port to the parent, and on `cpu` the CPU time it has used.
 */
import { hash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import compress from '@fastify/compress'
import { createCache } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { Cacheable } from 'cacheable'
import cache, { type CachePluginOptions, type RouteCacheOptions } from 'fastify-response-cache'
import { LRUCache } from 'lru-cache'
import { ownCatalogue, readCatalogue } from '../../example-app/catalogue.ts'
import { ProductDatabase } from '../../example-app/database.ts'
import { large, product, productSchema } from './product.ts'

const productsFile = process.env['PRODUCTS_FILE'] ?? fileURLToPath(new URL('../../../shared/data/products.json', import.meta.url))

type Variant = (app: FastifyInstance) => void | Promise<void>

/** What a list of the example costs: two queries on an embedded SQL database. */
const database = new ProductDatabase(await readCatalogue(ownCatalogue))
function list (): unknown {
  const { ids, total } = database.page({ page: 1, pageSize: 20, sort: 'price' })
  return { total, items: database.findMany(ids) }
}

/** What a search costs in a catalogue of some size: text of every product is looked at. `PRODUCTS_FILE` names another. */
const products = await readCatalogue(existsSync(productsFile) ? productsFile : ownCatalogue)
function searchIn (times: number): () => unknown {
  const shop = new ProductDatabase(Array.from({ length: times }, (_, part) => products.map((one) => ({ ...one, id: one.id + part * 100_000 }))).flat())
  return () => ({ items: shop.search('phone', 20) })
}

const cachedRoute = (options: RouteCacheOptions, plugin = {}): Variant => async (app) => {
  await app.register(cache, { strategy: 'memory', ...plugin })
  app.get('/product', { schema: productSchema, config: { cache: options } }, async () => product)
}

function uncachedSearch (times: number): Variant {
  return (app) => {
    const search = searchIn(times)
    app.get('/product', async () => search())
  }
}

function missedSearch (times: number, plugin: CachePluginOptions = {}): Variant {
  return async (app) => {
    const search = searchIn(times)
    await app.register(cache, { strategy: 'memory', ...plugin })
    app.get('/product', { config: { cache: { ttl: 3600, tags: ['catalog'] } } }, async () => search())
  }
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

const off = { metrics: false, monitor: false, enableStats: false, trackDependencies: false, cacheStatus: false } as const

const variants: Record<string, Variant> = {
  bare: (app) => { app.get('/product', { schema: productSchema }, async () => product) },
  public: cachedRoute({ ttl: 3600, public: true }),
  guarded: cachedRoute({ ttl: 3600 }),
  'public, no metrics': cachedRoute({ ttl: 3600, public: true }, { metrics: false }),
  'public, no monitor': cachedRoute({ ttl: 3600, public: true }, { monitor: false }),
  'public, no Cache-Status': cachedRoute({ ttl: 3600, public: true }, { cacheStatus: false }),
  'public, nothing else': cachedRoute({ ttl: 3600, public: true }, off),
  'async-cache-dedupe': (app) => {
    const dedupe = createCache({ ttl: 3600, storage: { type: 'memory' } }).define('product', async () => product)
    app.get('/product', { schema: productSchema }, async () => await dedupe.product())
  },
  bentocache: (app) => {
    const bento = new BentoCache({ default: 'memory', stores: { memory: bentostore().useL1Layer(memoryDriver()) } })
    app.get('/product', { schema: productSchema }, async () => await bento.getOrSet({ key: 'product', ttl: '1h', factory: () => product }))
  },
  cacheable: (app) => {
    const cacheable = new Cacheable({ ttl: '1h' })
    app.get('/product', { schema: productSchema }, async () => {
      const found = await cacheable.get<typeof product>('product')
      if (found !== undefined) return found
      await cacheable.set('product', product)
      return product
    })
  },
  'list, uncached': (app) => {
    app.get('/product', async () => list())
  },
  'list, missed': async (app) => {
    await app.register(cache, { strategy: 'memory' })
    app.get('/product', { config: { cache: { ttl: 3600, tags: ['catalog'] } } }, async () => list())
  },
  'list, missed, no dependencies': async (app) => {
    await app.register(cache, { strategy: 'memory', trackDependencies: false })
    app.get('/product', { config: { cache: { ttl: 3600, tags: ['catalog'] } } }, async () => list())
  },
  'search, uncached': uncachedSearch(1),
  'search, missed': missedSearch(1),
  'search in ten times as many, uncached': uncachedSearch(10),
  'search in ten times as many, missed': missedSearch(10),
  'search in ten times as many, missed, all off': missedSearch(10, off),
  'search in ten times as many, by hand': async (app) => {
    byHand(app)
    await uncachedSearch(10)(app)
  },
  'search in twenty times as many, uncached': uncachedSearch(20),
  'search in twenty times as many, missed': missedSearch(20),
  'large, bare': async (app) => {
    app.get('/product', async () => large)
  },
  'large, compressed': async (app) => {
    await app.register(compress)
    app.get('/product', async () => large)
  },
  'large, cached and compressed': async (app) => {
    await app.register(compress)
    await app.register(cache)
    app.get('/product', { config: { cache: { ttl: 3600 } } }, async () => large)
  },
  'large, precompressed': async (app) => {
    await app.register(compress)
    await app.register(cache, { precompress: ['br', 'gzip'] })
    app.get('/product', { config: { cache: { ttl: 3600 } } }, async () => large)
  },
  'nothing, uncached': (app) => {
    app.get('/product', { schema: productSchema }, async () => product)
  },
  'nothing, missed, all off': cachedRoute({ ttl: 3600 }, off),
  'nothing, missed': cachedRoute({ ttl: 3600 })
}

async function listen (name: string): Promise<number> {
  if (name === 'raw') {
    const { headers, body } = JSON.parse(process.env['RAW_RESPONSE'] ?? '{}') as { headers: Record<string, string>, body: string }
    const bytes = Buffer.from(body)
    const server = createServer((_request, response) => {
      response.writeHead(200, headers)
      response.end(bytes)
    })
    return await new Promise((resolve) => server.listen(0, '127.0.0.1', () => { resolve((server.address() as AddressInfo).port) }))
  }
  const variant = variants[name]
  if (variant === undefined) throw new Error(`no such server: ${name}`)
  const app = Fastify()
  await variant(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

const port = await listen(process.argv[2] ?? 'bare')
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMicros: user + system })
})
process.on('disconnect', () => { process.exit(0) })
process.send?.({ port })
