/*
 * What does a hit in Redis cost? CPU time of this process per read of an entry, beside the bare ioredis GET of the same
 * bytes; the same for 100 keys at once beside one pipeline of 100 GETs; and the envelope alone.
 *
 *   node --import=tsx bench/redis-hit.ts
 */
import { Redis } from 'ioredis'

import { systemClock } from '../lib/clock.ts'
import { createCompression, type CompressionOptions } from '../lib/codec/compression.ts'
import { createEntryCodec } from '../lib/codec/entry-codec.ts'
import { jsonSerializer } from '../lib/codec/serializer.ts'
import type { Entry } from '../lib/entry.ts'
import { createRedisKeys } from '../lib/keyspace/redis-key.ts'
import { stillLog } from '../lib/ports/still-log.ts'
import { openRedis } from '../lib/redis/open.ts'
import { RedisCache } from '../lib/stores/redis.ts'
import { startRedis } from '../test/support/redis-server.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 7)

const server = await startRedis()
const client = openRedis(server.url)
const bare = new Redis(server.port, server.host)
await client.opened({ withinMs: 5000, required: true })

/** Median CPU time of one run of each task, in microseconds; the tasks take turns, so that all see the same machine. */
async function cpuMicros (runs: number, tasks: Record<string, () => unknown>): Promise<Record<string, number>> {
  const samples = new Map<string, number[]>()
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, task] of Object.entries(tasks)) {
      const before = process.cpuUsage()
      for (let run = 0; run < runs; run++) await task()
      const { user, system } = process.cpuUsage(before)
      if (round > 0) samples.set(name, [...samples.get(name) ?? [], (user + system) / runs])
    }
  }
  return Object.fromEntries([...samples].map(([name, list]) => [name, list.sort((a, b) => a - b)[list.length >> 1] ?? NaN]))
}

function print (title: string, results: Record<string, number>): void {
  const [unit = NaN] = Object.values(results)
  console.log(`\n${title}`)
  for (const [name, micros] of Object.entries(results)) console.log(`  ${name.padEnd(34)} ${micros.toFixed(1).padStart(9)} µs CPU  ${(micros / unit).toFixed(2)} ×`)
}

/** JSON text like that of a shop, of about `bytes` bytes. */
function products (bytes: number): unknown {
  return Array.from({ length: Math.ceil(bytes / 200) }, (_, id) => ({ id, name: `Product ${id * 7919 % 10007}`, price: id * 31 % 997 / 10, stock: id % 13, description: `A thing of quality, number ${id * 104729 % 99991}, made with care and sold with pride`, tags: ['new', `group-${id % 7}`] }))
}

for (const [size, bytes] of [['2 KB', 2048], ['100 KB', 100_000]] as const) {
  const { value, bytes: memoryBytes } = jsonSerializer.normalise(products(bytes))
  const nowMs = Date.now()
  const untilMs = nowMs + 3_600_000
  const data: Entry = { kind: 'data', value, storedAtMs: nowMs, freshUntilMs: untilMs, staleWhileRevalidateUntilMs: untilMs, staleIfErrorUntilMs: untilMs, marks: ['t:product', 'k:list'], asOf: { epoch: 0, seq: 0 }, bytes: memoryBytes, loadMs: 3 }
  const body = jsonSerializer.encode(value)
  const response: Entry = { ...data, kind: 'response', value: { status: 200, headers: [['content-type', 'application/json'], ['etag', '"0123456789"'], ['cache-control', 'max-age=60']], body } }
  const at = { localMs: nowMs, sharedMs: nowMs }
  const reads = bytes > 10_000 ? 200 : 1000

  for (const codec of ['none', 'brotli'] satisfies Array<CompressionOptions['codec']>) {
    const prefix = `${codec}:${bytes}:`
    const store = new RedisCache({ client, log: stillLog, clock: systemClock, prefix, compression: { codec } })
    const keys = Array.from({ length: 100 }, (_, index) => `key:${index}`)
    const names = keys.map(createRedisKeys(prefix).entry)
    const [name = '', key = ''] = [names[0], keys[0]]
    await store.writeMany(keys.map((each) => [each, data, stillLog.ticket()] as const))
    await store.write('response', response, stillLog.ticket())
    print(`read, ${size}, ${codec}`, await cpuMicros(reads, {
      'ioredis GET': async () => await bare.getBuffer(name),
      'ioredis GET and JSON.parse': async () => JSON.parse((await bare.getBuffer(name), body.toString())),
      'RedisCache.read, a value': async () => await store.read(key),
      'RedisCache.read, a response': async () => await store.read('response')
    }))
    print(`read 100 keys, ${size}, ${codec}`, await cpuMicros(bytes > 10_000 ? 5 : 30, {
      'ioredis pipeline of 100 GET': async () => { const pipeline = bare.pipeline(); for (const each of names) pipeline.getBuffer(each); await pipeline.exec() },
      'RedisCache.readMany': async () => await store.readMany(keys)
    }))
    const envelope = createEntryCodec({ serializer: jsonSerializer, compression: createCompression({ codec }), maxBytes: 10_000_000 })
    const stored = { data: await envelope.encode('k', data, at), response: await envelope.encode('k', response, at) }
    print(`envelope, ${size}, ${codec}: ${body.length} bytes become ${stored.data.length}`, await cpuMicros(reads, {
      'JSON.stringify': () => JSON.stringify(value),
      'encode a value': async () => await envelope.encode('k', data, at),
      'decode a value': async () => await envelope.decode('k', stored.data, at),
      'encode a response': async () => await envelope.encode('k', response, at),
      'decode a response': async () => await envelope.decode('k', stored.response, at)
    }))
  }
}

bare.disconnect()
await client.close()
await server.stop()
