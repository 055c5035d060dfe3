/*
 * What does the program of a hit cost, without the kernel and the parser, which cost more than it and differ from run to run?
 * CPU time per request of what runs between a parsed request and a written response, beside a raw handler that writes the
 * same bytes and headers, and the bare Fastify route.
 *
 *   npm run build && node --import=tsx bench/hit-without-sockets.ts
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import cache, { type CachePluginOptions, type RouteCacheOptions } from 'fastify-response-cache'
import { median } from './support/load.ts'
import { product, productSchema } from './support/product.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 60)
const REQUESTS = 4000

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Takes what is written, and is never full. */
class Sink extends Socket {
  override write (): boolean { return true }
  override cork (): void {}
  override uncork (): void {}
}

const sink = new Sink()
const target = Buffer.from('/product?page=1')

function ask (handler: Handler): void {
  const request = new IncomingMessage(sink)
  // A text of its own, as a parser makes one.
  Object.assign(request, { method: 'GET', url: target.toString('latin1'), httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1, headers: { host: 'localhost' }, rawHeaders: ['Host', 'localhost'], complete: true })
  const response = new ServerResponse(request)
  response.assignSocket(sink)
  response.shouldKeepAlive = true
  handler(request, response)
  response.detachSocket(sink)
  response.emit('close')
}

async function handlerOf (route: (app: FastifyInstance) => void, options?: CachePluginOptions): Promise<Handler> {
  const app = Fastify()
  if (options !== undefined) await app.register(cache, { strategy: 'memory', ...options })
  route(app)
  await app.ready()
  await app.inject({ url: '/product?page=1', headers: { host: 'localhost' } })
  return (request, response) => { app.routing(request, response) }
}

const cachedRoute = (options: RouteCacheOptions) => (app: FastifyInstance): void => { app.get('/product', { schema: productSchema, config: { cache: { ttl: 86_400, ...options } } }, async () => product) }

const model = Fastify()
await model.register(cache, { strategy: 'memory' })
cachedRoute({ public: true })(model)
await model.inject('/product')
const { headers, rawPayload } = await model.inject('/product')
await model.close()

const handlers: Record<string, Handler> = {
  raw: (_request, response) => {
    response.writeHead(200, headers)
    response.end(rawPayload)
  },
  'Fastify, an onRequest hook that hijacks': await handlerOf((app) => {
    app.get('/product', {
      onRequest (_request, reply) {
        reply.hijack().raw.writeHead(200, headers)
        reply.raw.end(rawPayload)
      }
    }, async () => product)
  }),
  public: await handlerOf(cachedRoute({ public: true }), {}),
  guarded: await handlerOf(cachedRoute({}), {}),
  'public, nothing else': await handlerOf(cachedRoute({ public: true }), { metrics: false, monitor: false, enableStats: false, trackDependencies: false, cacheStatus: false }),
  'public, with an onSend hook': await handlerOf((app) => {
    app.addHook('onSend', (_request, _reply, payload, done) => { done(null, payload) })
    cachedRoute({ public: true })(app)
  }, {}),
  bare: await handlerOf((app) => { app.get('/product', { schema: productSchema }, async () => product) })
}

const costs = new Map<string, number[]>(Object.keys(handlers).map((name) => [name, []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, handler] of Object.entries(handlers)) {
    const start = process.cpuUsage()
    for (let done = 0; done < REQUESTS; done += 100) {
      for (let i = 0; i < 100; i++) ask(handler)
      await new Promise(setImmediate)
    }
    const { user, system } = process.cpuUsage(start)
    if (round >= ROUNDS / 4) costs.get(name)?.push((user + system) / REQUESTS)
  }
}
for (const [name, samples] of costs) console.log(`${name.padEnd(42)} ${median(samples).toFixed(2).padStart(6)} µs`)
process.exit(0)
