/*
 * What does a miss leave in memory? Bytes of the heap that outlive a collection of its young part, for each of many requests
 * of which no two are alike, and bytes that a stored response keeps there beside its body.
 *
 *   npm run build && node --expose-gc --import=tsx bench/miss-memory.ts
 */
import { Session } from 'node:inspector/promises'
import Fastify from 'fastify'
import cache from 'fastify-response-cache'
import { product, productSchema } from './support/product.ts'
import { askWithoutSockets, type Handler } from './support/without-sockets.ts'

const REQUESTS = Number(process.env['REQUESTS'] ?? 20_000)

interface Sampled { readonly selfSize: number, readonly children: readonly Sampled[] }
const sum = ({ selfSize, children }: Sampled): number => children.reduce((total, child) => total + sum(child), selfSize)

async function serving (memoryMaxSize: number | undefined): Promise<Handler> {
  const app = Fastify()
  if (memoryMaxSize !== undefined) await app.register(cache, { strategy: 'memory', memoryMaxSize })
  app.get('/product', { schema: productSchema, config: { cache: { ttl: 3600 } } }, async () => product)
  await app.ready()
  return (request, response) => { app.routing(request, response) }
}

/** What outlives a scavenge, dead or alive: the engine has to copy it, and later to find out that it is garbage. */
async function survivors (handler: Handler): Promise<number> {
  await askWithoutSockets(handler, REQUESTS)
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.startSampling', { samplingInterval: 4096, includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: false })
  await askWithoutSockets(handler, REQUESTS)
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  return sum(profile.head) / REQUESTS
}

function heap (): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

/** As many as fit into the memory of the cache. */
const STORED = 10_000

async function kept (handler: Handler): Promise<number> {
  await askWithoutSockets(handler, STORED)
  const before = heap()
  await askWithoutSockets(handler, STORED)
  return (heap() - before) / STORED
}

const uncached = await survivors(await serving(undefined))
const missed = await survivors(await serving(1000))
console.log(`outlive a scavenge: ${uncached.toFixed(0)} bytes of a request without a cache, ${missed.toFixed(0)} bytes of a miss`)
console.log(`kept for a response: ${(await kept(await serving(2 * STORED))).toFixed(0)} bytes of the heap`)
process.exit(0)
