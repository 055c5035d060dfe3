import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import { createRedisKeys } from '../../lib/keyspace/redis-key.ts'
import { loopMs } from '../support/loop-time.ts'
import { startRedis } from '../support/redis-server.ts'
import { onRedis, until } from '../support/until.ts'
import { NewerBuild } from './support/newer-build.ts'
import { startApp } from './support/outage.ts'
import { VersionTable } from './support/race.ts'

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => { unhandled.push(error) })

t.test('F41 a rolling deploy: two builds with different envelopes on one Redis', async (t) => {
  const server = await startRedis()
  const admin = new Redis(server.port)
  const newerClient = new NewerBuild(server.port)
  const table = new VersionTable()
  const older = await startApp(table, { redisUrl: server.url, redisPrefix: 'frc:', redisTimeout: 10, memoryTtl: 0.001 })
  const newer = await startApp(table, { redis: newerClient, redisPrefix: 'frc:', redisTimeout: 10, memoryTtl: 0.001 })
  t.teardown(async () => {
    await older.close()
    await newer.close()
    admin.disconnect()
    newerClient.disconnect()
    await server.stop()
  })
  await onRedis(older.cache, newer.cache)
  const loads = (): number => older.cache.getStats().loads + newer.cache.getStats().loads
  const versions = async (): Promise<unknown[]> => {
    const names = await admin.keys('frc:e{*')
    return await Promise.all(names.map(async (name) => (await admin.getBuffer(name))?.[3]))
  }
  let slowestMs = 0
  const ask = async (build: typeof older): Promise<string> => {
    // What memory keeps, it keeps for a millisecond.
    await sleep(5)
    const before = build.cache.getStats().sets
    const askedAt = loopMs()
    const response = await build.inject('/value/product')
    slowestMs = Math.max(slowestMs, loopMs() - askedAt)
    t.equal(response.statusCode, 200)
    const status = String(response.headers['cache-status'])
    // Redis has it a moment after its client.
    while (status.includes('stored') && build.cache.getStats().sets === before) await sleep(1)
    return status
  }

  t.match(await ask(newer), /stored/)
  t.match(await ask(newer), /hit/)
  t.same(await versions(), [2])
  t.match(await ask(older), /stored/, 'the older build cannot read it, and says so by a miss')
  t.same(await versions(), [1])
  const before = loads()
  for (let round = 0; round < 5; round++) {
    t.match(await ask(newer), /hit/)
    t.match(await ask(older), /hit/)
  }
  t.comment(`slowest ${slowestMs} ms`)
  t.equal(loads(), before, 'both live on what the older wrote: nobody overwrites anybody for ever')

  const next = table.update('product')
  t.equal((await newer.cache.invalidate({ tags: ['product'] })).reach, 'everywhere')
  t.equal(await older.cache.parts.log.sync(), true)
  for (const build of [older, newer]) t.equal((await build.inject('/value/product')).json<{ version: number }>().version, next, 'a purge by one build holds in the other')

  // A value that only the newer build can read must not be deleted by looking at it.
  const name = createRedisKeys('frc:').entry('only newer')
  await admin.set(name, Buffer.from('FRC\x02whatever that may mean'), 'EX', 60)
  t.equal(await older.cache.get('only newer'), undefined)
  t.equal(await admin.exists(name), 1)
})

t.test('F48 an app that closes while it refreshes in the background leaves nothing behind', async (t) => {
  const server = await startRedis()
  const app = await startApp(new VersionTable(), { redisUrl: server.url, redisTimeout: 10 })
  const late = await startApp(new VersionTable(), { redisUrl: server.url, redisTimeout: 10 })
  t.teardown(async () => {
    await late.close()
    await server.stop()
  })
  await onRedis(app.cache)
  await app.cache.getOrSet('k', () => 1, { ttl: 60, staleWhileRevalidate: 60 })
  await app.cache.invalidate({ keys: ['k'], soft: true })
  const begun: string[] = []
  const endless = async ({ key }: { key: string }): Promise<number> => {
    begun.push(key)
    return await new Promise(() => {})
  }
  t.equal(await app.cache.getOrSet('k', endless, { staleWhileRevalidate: 60 }), 1)
  await until('the refresh has begun', () => begun.length > 0)
  const admin = new Redis(server.port)
  t.equal((await admin.keys('*:l{*')).length, 1, 'a lease is held')
  const startedAt = loopMs()
  await app.close()
  t.ok(loopMs() - startedAt < 5000)
  t.same(await admin.keys('*:l{*'), [], 'the lease is given back')
  admin.disconnect()
  t.same(unhandled, [])
})
