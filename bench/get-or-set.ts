/*
 * What does a hit of `getOrSet` in memory cost, beside other caches and the bare lru-cache?
 *
 *   npm run build && node --import=tsx bench/get-or-set.ts
 */
import { createCache } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { Cacheable } from 'cacheable'
import { LRUCache } from 'lru-cache'
import { CacheManager } from 'fastify-response-cache'
import { nanosPerCall } from './support/cpu.ts'
import { median } from './support/load.ts'
import { product } from './support/product.ts'

const OPERATIONS = 100_000
const ROUNDS = 5
const keys = Array.from({ length: 500 }, (_, n) => `product:${n}`)

const lru = new LRUCache<string, typeof product>({ max: 1000 })
const manager = new CacheManager({ strategy: 'memory', memoryMaxSize: 1000 })
const bento = new BentoCache({ default: 'memory', stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: 1000 })) } })
const cacheable = new Cacheable()
const dedupe = createCache({ ttl: 3600, storage: { type: 'memory', options: { size: 1000 } } }).define('product', async (_id: string) => product)
for (const key of keys) lru.set(key, product)

const subjects: Record<string, (key: string) => unknown> = {
  'lru-cache, bare': (key) => lru.get(key),
  'fastify-response-cache': async (key) => await manager.getOrSet(key, () => product, { ttl: 3600 }),
  bentocache: async (key) => await bento.getOrSet({ key, ttl: '1h', factory: () => product }),
  cacheable: async (key) => await cacheable.getOrSet(key, async () => product, { ttl: '1h' }),
  'async-cache-dedupe': async (key) => await dedupe.product(key)
}

const run = async (subject: (key: string) => unknown): Promise<number> => await nanosPerCall((n) => subject(keys[n % keys.length] ?? ''), OPERATIONS)

const samples = new Map<string, number[]>()
for (const subject of Object.values(subjects)) await run(subject)
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, subject] of Object.entries(subjects)) samples.set(name, [...samples.get(name) ?? [], await run(subject)])
}
const own = median(samples.get('fastify-response-cache') ?? [])
for (const [name, values] of samples) {
  const ns = median(values)
  console.log(`${name.padEnd(24)} ${ns.toFixed(0).padStart(7)} ns CPU per hit  ${(1e9 / ns).toFixed(0).padStart(9)} a second  ${(ns / own).toFixed(2)} × ours`)
}
await manager.close()
await bento.disconnectAll()
process.exit(0)
