/*
 * What does the default cost a process that is alone? CPU time of `hybrid` where nobody listens, beside `memory`.
 *
 *   node --import=tsx --conditions=@fastify-response-cache/source bench/without-redis.ts
 */
import Fastify, { type FastifyInstance } from 'fastify'
import cache, { type CachePluginOptions } from 'fastify-response-cache'

const ROUNDS = Number(process.env['ROUNDS'] ?? 9)

async function start (options: CachePluginOptions): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(cache, { metrics: false, monitor: false, ...options })
  app.get('/product/:id', { config: { cache: { ttl: 60 } } }, async () => ({ price: 1 }))
  await app.ready()
  return app
}

const apps = { memory: await start({ strategy: 'memory' }), 'hybrid, alone': await start({ strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1' }) }
let fresh = 0
const tasks: Record<string, { readonly runs: number, readonly run: (app: FastifyInstance) => Promise<unknown> }> = {
  'request, hit': { runs: 3000, run: async (app) => await app.inject('/product/1') },
  'request, miss': { runs: 1500, run: async (app) => await app.inject(`/product/new${fresh++}`) },
  'getOrSet, hit': { runs: 20_000, run: async (app) => await app.cache.getOrSet('product:1', () => 1) },
  'getOrSet, miss': { runs: 5000, run: async (app) => await app.cache.getOrSet(`product:new${fresh++}`, () => 1) }
}

for (const [title, { runs, run }] of Object.entries(tasks)) {
  const samples = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, app] of Object.entries(apps)) {
      const before = process.cpuUsage()
      for (let n = 0; n < runs; n++) await run(app)
      const { user, system } = process.cpuUsage(before)
      if (round > 1) samples.set(name, [...samples.get(name) ?? [], (user + system) / runs])
    }
  }
  const [memory = NaN, alone = NaN] = [...samples.values()].map((list) => list.sort((a, b) => a - b)[list.length >> 1])
  console.log(`${title.padEnd(16)} memory ${memory.toFixed(2)} µs CPU, hybrid alone ${alone.toFixed(2)} µs  ${(alone / memory).toFixed(2)} ×`)
}
for (const app of Object.values(apps)) await app.close()
