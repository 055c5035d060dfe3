/*
 * A server to be measured, in a process of its own. Tells its port to the parent, and on `cpu` the CPU time it has used.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import compress from '@fastify/compress'
import { createCache } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { Cacheable } from 'cacheable'
import cache, { type RouteCacheOptions } from 'fastify-response-cache'
import { large, product, productSchema } from './product.ts'

type Variant = (app: FastifyInstance) => void | Promise<void>

const cachedRoute = (options: RouteCacheOptions, plugin = {}): Variant => async (app) => {
  await app.register(cache, { strategy: 'memory', ...plugin })
  app.get('/product', { schema: productSchema, config: { cache: options } }, async () => product)
}

const off = { metrics: false, monitor: false, enableStats: false, trackDependencies: false, cacheStatus: false } as const

const { headers, body } = JSON.parse(process.env['RAW_RESPONSE'] ?? '{"headers":{},"body":""}') as { headers: Record<string, string>, body: string }
const bytes = Buffer.from(body)

/** What a hit sends, as it was sent once. */
function writePrepared (response: ServerResponse): void {
  response.writeHead(200, headers)
  response.end(bytes)
}

const variants: Record<string, Variant> = {
  hook: (app) => { app.get('/product', { onRequest (_request, reply) { writePrepared(reply.hijack().raw) } }, async () => product) },
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
  }
}

async function listen (name: string): Promise<number> {
  if (name === 'raw') {
    const server = createServer((_request, response) => { writePrepared(response) })
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
process.send?.({ ports: [port] })
