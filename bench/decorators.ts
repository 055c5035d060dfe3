/*
 * What does a decorator add to the call that it decorates? A hit of a method with `@cached` beside `getOrSet` with the same
 * key written by hand, a change with `@cacheInvalidate` beside `invalidate`, and the bare method. Ratios are of the same run.
 *
 *   npm run build && node --import=tsx bench/decorators.ts
 */
import { cached, cacheInvalidate, CacheManager } from 'fastify-response-cache'
import { nanosPerCall } from './support/cpu.ts'
import { median } from './support/load.ts'
import { product } from './support/product.ts'

const CALLS = 50_000
const ROUNDS = 5
const PRODUCTS = 500

class Service {
  readonly cache = new CacheManager({ strategy: 'memory', memoryMaxSize: 2 * PRODUCTS })

  async bare (_id: number): Promise<typeof product> { return product }

  @cached({ key: 'product:{id}', ttl: 3600 })
  async templated (id: number): Promise<typeof product> { return await this.bare(id) }

  @cached({ ttl: 3600 })
  async byArguments (id: number): Promise<typeof product> { return await this.bare(id) }

  async byHand (id: number): Promise<typeof product | undefined> {
    return await this.cache.getOrSet(`product:${id}`, async () => await this.bare(id), { ttl: 3600 })
  }

  @cacheInvalidate({ keys: ['stock:{id}'] })
  async change (id: number): Promise<typeof product> { return await this.bare(id) }

  async changeByHand (id: number): Promise<typeof product> {
    const changed = await this.bare(id)
    await this.cache.invalidate({ keys: [`stock:${id}`] })
    return changed
  }
}

const service = new Service()
const subjects: ReadonlyArray<readonly [name: string, call: (id: number) => Promise<unknown>, beside: string]> = [
  ['the bare method', async (id) => await service.bare(id), 'the bare method'],
  ['getOrSet by hand, a hit', async (id) => await service.byHand(id), 'getOrSet by hand, a hit'],
  ['@cached with a key, a hit', async (id) => await service.templated(id), 'getOrSet by hand, a hit'],
  ['@cached by its arguments, a hit', async (id) => await service.byArguments(id), 'getOrSet by hand, a hit'],
  ['invalidate by hand', async (id) => await service.changeByHand(id), 'invalidate by hand'],
  ['@cacheInvalidate', async (id) => await service.change(id), 'invalidate by hand']
]
const samples = new Map<string, number[]>(subjects.map(([name]) => [name, []]))
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, call] of subjects) {
    const nanos = await nanosPerCall((n) => call(n % PRODUCTS), CALLS)
    // The first round warms up.
    if (round > 0) samples.get(name)?.push(nanos)
  }
}
const figure = (name: string): number => median(samples.get(name) ?? [])
for (const [name, , beside] of subjects) console.log(`${name.padEnd(32)} ${figure(name).toFixed(0).padStart(6)} ns CPU a call  ${(figure(name) / figure(beside)).toFixed(2)} × ${beside}`)
await service.cache.close()
