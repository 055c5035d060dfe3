/*
 * Does the price of a purge depend on how many entries it reaches in Redis? One tag on 1, 1 000 and 1 000 000 entries;
 * the time until `invalidate` says "everywhere", the CPU time of Redis for it, and that the entries are gone indeed.
 *
 *   node --import=tsx --conditions=@fastify-response-cache/source bench/redis-purge.ts
 */
import { CacheManager } from 'fastify-response-cache'
import { Redis } from 'ioredis'
import { startRedis } from '../test/support/redis-server.ts'

const ENTRIES = Number(process.env['ENTRIES'] ?? 1_000_000)
const PURGES = Number(process.env['PURGES'] ?? 300)
const BATCH = 5000

const server = await startRedis()
const admin = new Redis(server.port)
const cache = await new CacheManager({ strategy: 'redis', redisUrl: server.url, redisTimeout: 30, enableCompression: false }).initialize()

const cpuMs = async (): Promise<number> => {
  const info = await admin.info('cpu')
  return 1000 * (Number(/used_cpu_sys:([\d.]+)/.exec(info)?.[1]) + Number(/used_cpu_user:([\d.]+)/.exec(info)?.[1]))
}

const reaches = [1, 1000, ENTRIES]
for (let from = 0; from < ENTRIES; from += BATCH) {
  const items = Array.from({ length: Math.min(BATCH, ENTRIES - from) }, (_, n) => [`k${from + n}`, from + n] as const)
  // Entry 0 carries all three tags, the first thousand two, the rest one.
  if (from > 0) await cache.setMany(items, { ttl: 3600, tags: [`reach ${ENTRIES}`] })
  else for (const [key, value] of items) await cache.set(key, value, { ttl: 3600, tags: reaches.filter((reach) => value < reach).map((reach) => `reach ${reach}`) })
}
console.log(`${await admin.dbsize()} keys in Redis, ${(await admin.info('memory')).match(/used_memory_human:(\S+)/)?.[1] ?? '?'}`)

// What no tag touches, so that what the purges themselves cost is told from what the entries cost.
const samples = [0, ...reaches].map((reach) => ({ reach, times: [] as number[], cpu: 0 }))
for (let round = 0; round < 10; round++) {
  for (const sample of samples) {
    const cpuBefore = await cpuMs()
    for (let n = 0; n < PURGES / 10; n++) {
      const startedAt = performance.now()
      const { reach } = await cache.invalidate({ tags: [`reach ${sample.reach}`] })
      sample.times.push(performance.now() - startedAt)
      if (reach !== 'everywhere') throw new Error('Redis was too slow for a measurement')
    }
    sample.cpu += await cpuMs() - cpuBefore
  }
}
for (const { reach, times, cpu } of samples) {
  times.sort((a, b) => a - b)
  const at = (part: number): string => ((times[Math.floor(part * times.length)] ?? NaN) * 1000).toFixed(0)
  console.log(`a tag of ${String(reach).padStart(7)} entries: p50 ${at(0.5)} µs, p99 ${at(0.99)} µs, Redis ${(1000 * cpu / times.length).toFixed(0)} µs CPU a purge`)
}
const left = (await cache.getMany(['k0', 'k999', `k${ENTRIES - 1}`])).filter((value) => value !== undefined)
console.log(`of three of the entries ${left.length} are left`)
await cache.close()
admin.disconnect()
await server.stop()
