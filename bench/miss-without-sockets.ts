/*
 * What does the program of a miss cost, without the kernel and the parser? CPU time per request, no two alike, of what runs
 * between a parsed request and a written response, beside the same route without a cache.
 *
 *   npm run build && node --import=tsx bench/miss-without-sockets.ts
 */
import Fastify, { type FastifyInstance } from 'fastify'
import cache, { type CachePluginOptions } from 'fastify-response-cache'
import { median } from './support/load.ts'
import { product, productSchema } from './support/product.ts'
import { askWithoutSockets, type Handler } from './support/without-sockets.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 20)
const REQUESTS = 4000

async function handlerOf (options: CachePluginOptions | undefined, config: unknown = { ttl: 3600 }): Promise<Handler> {
  const app: FastifyInstance = Fastify()
  if (options !== undefined) await app.register(cache, { strategy: 'memory', memoryMaxSize: 1000, ...options })
  app.get('/product', { schema: productSchema, config: options === undefined ? {} : { cache: config as true } }, async () => product)
  await app.ready()
  return (request, response) => { app.routing(request, response) }
}
const off = { metrics: false, monitor: false, enableStats: false, trackDependencies: false, cacheStatus: false } as const
const handlers: Record<string, Handler> = {
  uncached: await handlerOf(undefined),
  'cached, everything on': await handlerOf({}),
  'no deps': await handlerOf({ trackDependencies: false }),
  'no monitor': await handlerOf({ monitor: false }),
  'no metrics': await handlerOf({ metrics: false }),
  'all off': await handlerOf(off),
  'not stored': await handlerOf({}, { ttl: 3600, statuses: [203] }),
  bypass: await handlerOf({}, false)
}
const only = process.argv[2]
const costs = new Map<string, number[]>(Object.keys(handlers).map((name) => [name, []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, handler] of Object.entries(handlers)) {
    if (only !== undefined && only !== name) continue
    const start = process.cpuUsage()
    await askWithoutSockets(handler, REQUESTS)
    const { user, system } = process.cpuUsage(start)
    if (round >= ROUNDS / 4) costs.get(name)?.push((user + system) / REQUESTS)
  }
}
for (const [name, samples] of costs) console.log(`${name.padEnd(42)} ${median(samples).toFixed(2).padStart(6)} µs`)
process.exit(0)
