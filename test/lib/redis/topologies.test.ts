import { spawn } from 'node:child_process'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'

import { systemClock } from '../../../lib/clock.ts'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { createRedisKeys } from '../../../lib/keyspace/redis-key.ts'
import { createRedisLeases } from '../../../lib/leases/redis-leases.ts'
import { storeContract } from '../../../lib/ports/contract/store-contract.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { entryOf } from '../../support/entries.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { startCluster } from '../../support/redis-cluster.ts'
import { tapTest } from '../../support/tap-test.ts'
import { freePort } from '../../support/redis-server.ts'
import { unhurried } from '../../support/unhurried-redis.ts'
import { programRoot, scriptArgs } from '../../support/program.ts'
import { holds, until } from '../../support/until.ts'

// Most of the time is spent waiting for servers to agree.
t.jobs = 4

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

/** For what is not about time, of a connection or of one call: a machine that is busy is no silent Redis. */
const PATIENT = { deadlineMs: 10_000 }

t.test('Cluster', async (t) => {
  const cluster = await startCluster()
  const redis = openRedis({ cluster: cluster.nodes }, PATIENT)
  t.teardown(async () => { await redis.close(); await cluster.stop() })
  t.equal(await redis.opened({ withinMs: 60_000 }), true)
  t.equal(redis.clustered, true)

  let prefixes = 0
  storeContract(tapTest(t), 'RedisCache on a Cluster', ({ clock, maxEntryBytes }) => {
    const log = createLocalLog({ clock })
    const store = new RedisCache({ client: unhurried(redis), clock, log, maxEntryBytes, prefix: `c${++prefixes}:`, sharedNow: () => clock.now() })
    return { store, log, close: () => { store.close() } }
  }, { schedules: 10 })

  await t.test('a batch goes to every node, a scan through every master, a lease stays beside its entry', async (t) => {
    const log = createLocalLog({ clock: systemClock })
    const prefix = 'many:'
    const store = new RedisCache({ client: redis, log, prefix })
    const ticket = log.ticket()
    const entry = entryOf({ value: 1, ticket, clock: systemClock })
    const keys = Array.from({ length: 300 }, (_, index) => `k${index}`)
    t.ok((await store.writeMany(keys.map((key) => [key, entry, ticket] as const))).every(({ stored }) => stored))
    t.ok((await store.readMany(keys)).every((found) => found?.value === 1))
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await store.scan(cursor, 50)
      seen.push(...page.entries.map(([key]) => key))
      cursor = page.cursor
    } while (cursor !== undefined)
    t.same([...new Set(seen)].sort(), keys.sort())

    const leases = createRedisLeases({ client: redis, clock: fakeClock(), prefix })
    for (const key of ['plain', '{a}b', '}{', '}', '', 'a}b{c}']) {
      const lease = await leases.acquire(key)
      if (typeof lease === 'string') throw new Error(lease)
      t.same(await store.write(key, entry, { ...ticket, lease: lease.token }), { stored: true }, key)
      t.equal((await store.read(key))?.value, 1)
    }
    t.equal(await store.remove(keys), 300)
    await store.wipe()
    t.same((await store.scan(undefined, 1000)).entries, [])
  })

  await t.test('a client of the program is used and left open', async (t) => {
    const theirs = new Cluster([...cluster.nodes], { redisOptions: { keyPrefix: 'theirs:' } })
    const plain = new Cluster([...cluster.nodes])
    t.teardown(() => { theirs.disconnect(); plain.disconnect() })
    for (const client of [theirs, plain]) {
      const guarded = openRedis(client, PATIENT)
      t.equal(await guarded.opened({ withinMs: 60_000 }), true)
      await guarded.call(['SET', 'shared', 'v'])
      t.same((await guarded.batch([['GET', 'shared'], ['GET', 'a'], ['GET', 'b'], ['GET', 'c']])).map(({ ok }) => ok), [true, true, true, true])
      await holds(() => client.status === 'ready')
      await guarded.close()
      t.equal(client.status, 'ready')
    }
    t.equal(await plain.get('shared'), 'v')
  })

  await t.test('a program that closes its caches while they ask who has which slots ends by itself', async (t) => {
    const program = `
      const { CacheManager } = await import('fastify-response-cache')
      const caches = Array.from({ length: 10 }, () => new CacheManager({ strategy: 'redis', redisRequired: true }, { redis: { cluster: ${JSON.stringify(cluster.nodes)}, options: { slotsRefreshInterval: 1 } } }))
      await Promise.all(caches.map((cache) => cache.initialize()))
      await new Promise((resolve) => setTimeout(resolve, 20))
      await Promise.all(caches.map((cache) => cache.close()))`
    const child = spawn(process.execPath, scriptArgs(program), { cwd: programRoot, stdio: ['ignore', 'ignore', 'inherit'] })
    t.teardown(() => { child.kill('SIGKILL') })
    await until('the program ends', () => child.exitCode !== null)
    t.equal(child.exitCode, 0)
  })

  await t.test('messages published on any node arrive, and a lost node is a gap that is told', async (t) => {
    const heard: string[] = []
    let subscribed = 0
    const subscriber = redis.subscriber()
    subscriber.start(['news'], { message: (_channel, message) => heard.push(message.toString()), subscribed: () => { subscribed++ }, lost: () => {} })
    await holds(() => subscribed === 1)
    await holds(async () => { await redis.call(['PUBLISH', 'news', 'hello']); return heard.length > 0 })
    subscriber.reconnect()
    await holds(() => subscribed === 2)
    await subscriber.close()
  })

  await t.test('a master that hangs does not take the rest of a batch with it', async (t) => {
    // Slot 0 to 5460 belong to the first master; `b` lies there, `c` does not.
    const [first] = cluster.masters
    await redis.batch([['SET', 'b', 1], ['SET', 'c', 1]])
    first?.freeze()
    const outcomes = await redis.batch([['GET', 'b'], ['GET', 'c']], { deadlineMs: 1000 })
    t.same(outcomes.map(({ ok }) => ok), [false, true])
    first?.thaw()
  })
})

t.test('Cluster: while a slot moves (ASK) and after it has moved (MOVED) it is read and written as before', async (t) => {
  const cluster = await startCluster()
  const redis = openRedis({ cluster: cluster.nodes }, PATIENT)
  const [, from, to] = cluster.masters.map(({ port }) => new Redis(port, { lazyConnect: true }))
  t.teardown(async () => { await redis.close(); from?.disconnect(); to?.disconnect(); await cluster.stop() })
  if (from === undefined || to === undefined) throw new Error('a cluster has three masters')
  t.equal(await redis.opened({ withinMs: 60_000 }), true)
  const log = createLocalLog({ clock: systemClock })
  const store = new RedisCache({ client: redis, log, prefix: 'moving:' })
  const leases = createRedisLeases({ client: redis, clock: systemClock, prefix: 'moving:' })
  const names = createRedisKeys('moving:')
  const write = async (key: string, value: unknown, lease?: string): Promise<boolean> => {
    const ticket = log.ticket()
    return (await store.write(key, entryOf({ value, ticket, clock: systemClock }), { ...ticket, ...lease !== undefined && { lease } })).stored
  }
  // A key of the second master; its entry and its lease share the slot.
  let key = 'k'
  while (!await owns(from, names.entry(key))) key += 'k'
  const slot = await from.cluster('KEYSLOT', names.entry(key))
  t.equal(await write(key, 'before'), true)
  const [source, target] = [String(await from.call('CLUSTER', 'MYID')), String(await to.call('CLUSTER', 'MYID'))]
  await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source)
  await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target)

  t.equal((await store.read(key))?.value, 'before', 'what has not moved yet is read where it is')
  await from.migrate('127.0.0.1', to.options.port ?? 0, names.entry(key), 0, 5000)
  await until('what has moved already is asked for there', async () => (await store.read(key))?.value === 'before')
  t.equal((await store.readMany([key, 'none']))[0]?.value, 'before')
  t.equal(await write(key, 'meanwhile'), true)
  const lease = await leases.acquire(key)
  t.type(lease, 'object', 'the lease is taken where the slot goes')
  // A script on an entry and a lease of which one is still here and the other there may be refused; it never fails its caller.
  if (typeof lease === 'object') await write(key, 'leased', lease.token)
  t.match((await store.read(key))?.value, /meanwhile|leased/)

  for (const node of [to, from]) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', target)
  t.equal(await write(key, 'after'), true)
  t.equal((await store.read(key))?.value, 'after')
  t.equal(redis.ready, true)
  t.equal(await owns(to, names.entry(key)), true)
})

/** Whether the node answers for the key itself. */
async function owns (node: Redis, name: string): Promise<boolean> {
  return await node.exists(name).then(() => true, () => false)
}

t.test('a Cluster that is not there blocks nobody', async (t) => {
  const redis = openRedis({ cluster: [{ host: '127.0.0.1', port: await freePort() }] })
  t.equal(await redis.opened({ withinMs: 50 }), false)
  await t.rejects(redis.call(['GET', 'k']), { code: 'FST_ERR_CACHE_REDIS_UNAVAILABLE' })
  await redis.close()
})
