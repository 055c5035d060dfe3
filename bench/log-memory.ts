/*
 * What does a full log cost? 100 000 records of one tag or key each: bytes in Redis, bytes in a process that knows
 * them all, and how long a new process takes to read them. Run with --expose-gc.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { systemClock } from '../lib/clock.ts'
import { createRedisLog } from '../lib/invalidation/redis-log.ts'
import { scopeOf } from '../lib/invalidation/purge-scope.ts'
import { encodeRecord } from '../lib/invalidation/wire-record.ts'
import { openRedis } from '../lib/redis/open.ts'
import { startRedis } from '../test/support/redis-server.ts'

const RECORDS = Number(process.env.RECORDS ?? 100_000)
const megabytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1) + ' MB'
const heap = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const server = await startRedis()
const redis = new Redis(server.port)
const epoch = Date.now()
for (let i = 1; i <= RECORDS;) {
  const pipeline = redis.pipeline()
  for (let k = 0; k < 1000 && i <= RECORDS; k++, i++) pipeline.xadd('bench:log', `${epoch}-${i}`, 'r', encodeRecord('benchmark123', i, [scopeOf({ keys: [`product:${i}`] })]))
  await pipeline.exec()
}
console.log(`in Redis: ${megabytes(await redis.memory('USAGE', 'bench:log', 'SAMPLES', 0) ?? NaN)}`)

const client = openRedis({ url: server.url })
await client.opened({ withinMs: 5000 })
const before = heap()
const startMs = performance.now()
const log = createRedisLog({ client, clock: systemClock, prefix: 'bench:' })
while (log.state !== 'current') await sleep(1)
console.log(`read by a new process in ${Math.round(performance.now() - startMs)} ms`)
console.log(`in the process: ${megabytes(heap() - before)}${globalThis.gc === undefined ? ' (with garbage: run with --expose-gc)' : ''}, names remembered ${log.health().remembered}`)
redis.disconnect()
await log.close()
await client.close()
await server.stop()
