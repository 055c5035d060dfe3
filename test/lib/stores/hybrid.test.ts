import t from 'tap'

import { systemClock } from '../../../lib/clock.ts'
import type { Entry } from '../../../lib/entry.ts'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { tagMark } from '../../../lib/keyspace/mark.ts'
import { createRedisKeys } from '../../../lib/keyspace/redis-key.ts'
import { storeContract } from '../../../lib/ports/contract/store-contract.ts'
import type { InvalidationLog } from '../../../lib/ports/invalidation-log.ts'
import type { RedisClient } from '../../../lib/ports/redis-client.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { HybridCache } from '../../../lib/stores/hybrid.ts'
import type { HybridCacheOptions } from '../../../lib/stores/hybrid-options.ts'
import { MemoryCache } from '../../../lib/stores/memory.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { turns } from '../../support/cached-app.ts'
import { entryOf, type EntryShape } from '../../support/entries.ts'
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { startRedis } from '../../support/redis-server.ts'
import { tapTest } from '../../support/tap-test.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { unhurried } from '../../support/unhurried-redis.ts'
import { until } from '../../support/until.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

const server = await startRedis()
// A machine that is busy is no silent Redis.
const client = openRedis(server.url, { deadlineMs: 20_000 })
t.teardown(async () => { await client.close(); await server.stop() })
await until('Redis answers', () => client.ready)

let stores = 0

interface Bench { store: HybridCache, memory: MemoryCache, redis: RedisCache, log: InvalidationLog, clock: FakeClock, prefix: string, entry: (shape: Partial<EntryShape> & { value: unknown }) => Entry }

function bench (options: Partial<HybridCacheOptions> & { prefix?: string, client?: RedisClient, maxEntryBytes?: number, memoryEntryBytes?: number, clock?: FakeClock } = {}): Bench {
  const clock = options.clock ?? fakeClock()
  const log = options.log ?? createLocalLog({ clock })
  const prefix = options.prefix ?? `h${++stores}:`
  const maxEntryBytes = options.maxEntryBytes ?? 1_000_000
  const strict = options.strict ?? false
  const memory = new MemoryCache({ log, clock, maxEntries: 1000, maxEntryBytes: options.memoryEntryBytes ?? maxEntryBytes })
  const redis = new RedisCache({ client: unhurried(options.client ?? client), log, clock, prefix, maxEntryBytes, strict, sharedNow: () => clock.now() })
  const store = new HybridCache({ memory, redis, log, clock, ...options })
  return { store, memory, redis, log, clock, prefix, entry: (shape) => entryOf({ ticket: log.ticket(), clock, ...shape }) }
}

for (const writes of ['through', 'back'] as const) {
  storeContract(tapTest(t), `HybridCache, write-${writes},`, ({ clock, maxEntryBytes }) => {
    const { store, log } = bench({ clock, maxEntryBytes, writes })
    return { store, log, close: async () => { await store.close() } }
  }, { schedules: 50 })
}

t.test('what memory holds is answered at once, what it lacks comes from Redis and stays', async (t) => {
  const prefix = `h${++stores}:`
  const one = bench({ prefix })
  const two = bench({ prefix })
  await one.store.write('k', one.entry({ value: 'v' }), one.log.ticket())
  t.notOk(one.store.read('k') instanceof Promise)
  const first = two.store.read('k')
  t.ok(first instanceof Promise)
  t.equal((await first)?.value, 'v')
  const second = two.store.read('k')
  t.notOk(second instanceof Promise)
  t.same((await second)?.freshUntilMs, (await first)?.freshUntilMs, 'with the life it has everywhere')
  await one.store.writeMany([['a', one.entry({ value: 1 }), one.log.ticket()], ['b', one.entry({ value: 2 }), one.log.ticket()]])
  t.same((await two.store.readMany(['b', 'k', 'none', 'a', 'b'])).map((entry) => entry?.value), [2, 'v', undefined, 1, 2])
  t.notOk(two.store.readMany(['a', 'b']) instanceof Promise)
})

t.test('a copy in memory is used for memoryTtl, then Redis is asked again', async (t) => {
  const prefix = `h${++stores}:`
  const clock = fakeClock()
  const one = bench({ prefix, clock })
  const two = bench({ prefix, clock, memoryTtl: 10 })
  await one.store.write('k', one.entry({ value: 'old' }), one.log.ticket())
  t.equal((await two.store.read('k'))?.value, 'old')
  await one.store.write('k', one.entry({ value: 'new' }), one.log.ticket())
  clock.advance(9999)
  t.equal((await two.store.read('k'))?.value, 'old')
  clock.advance(1)
  t.equal((await two.store.read('k'))?.value, 'new')
})

t.test('a copy in memory that has grown stale does not hide what another instance has renewed', async (t) => {
  const prefix = `h${++stores}:`
  const clock = fakeClock()
  const one = bench({ prefix, clock })
  const two = bench({ prefix, clock, memoryTtl: 60 })
  const write = async (value: string, ttlMs: number): Promise<void> => {
    await one.store.write('k', one.entry({ value, freshMs: ttlMs, staleIfErrorMs: 100_000 }), one.log.ticket())
  }
  await write('old', 1000)
  t.equal((await two.store.readFresh('k'))?.value, 'old')
  clock.advance(1000)
  t.equal(await two.store.readFresh('k'), undefined)
  t.equal((await two.store.read('k'))?.value, 'old', 'which may still stand in')
  await write('new', 1000)
  t.equal((await two.store.readFresh('k', false))?.value, 'new')
  clock.advance(1000)
  await write('newer', 1000)
  t.same((await two.store.readManyFresh(['none', 'k'])).map((entry) => entry?.value), [undefined, 'newer'])
  clock.advance(1000)
  await write('newest', 1000)
  t.equal(await two.store.exists('k'), true)
  t.equal(await two.store.get('k'), 'newest')
})

t.test('many copies that have grown stale are looked up together', async (t) => {
  const prefix = `h${++stores}:`
  const clock = fakeClock()
  const trips = { single: 0, together: 0 }
  const counting: RedisClient = {
    ...unhurried(client),
    ready: true,
    callBuffer: async (...args) => { trips.single++; return await client.callBuffer(...args) },
    batch: async (...args) => { trips.together++; return await client.batch(...args) }
  }
  const one = bench({ prefix, clock })
  const two = bench({ prefix, clock, memoryTtl: 60, client: counting })
  const keys = Array.from({ length: 20 }, (_, n) => `k${n}`)
  const write = async (key: string, value: string): Promise<void> => {
    await one.store.write(key, one.entry({ value, freshMs: 1000, staleIfErrorMs: 100_000 }), one.log.ticket())
  }
  for (const key of keys) await write(key, 'old')
  await two.store.readMany(keys)
  clock.advance(1000)
  for (const key of keys.slice(0, 10)) await write(key, 'new')
  Object.assign(trips, { single: 0, together: 0 })
  const found = await two.store.readManyFresh([...keys, 'k0', 'none'])
  t.same(found.map((entry) => entry?.value), [...keys.map((_key, n) => n < 10 ? 'new' : undefined), 'new', undefined])
  t.same(trips, { single: 0, together: 2 }, 'once for what memory lacks, once for what may have been renewed')
})

t.test('a purge between the question to Redis and its answer takes the answer', async (t) => {
  const prefix = `h${++stores}:`
  const one = bench({ prefix })
  await one.store.write('k', one.entry({ value: 'old', marks: [tagMark('a')] }), one.log.ticket())
  const two = bench({ prefix })
  const asked = two.store.read('k')
  await two.log.append({ marks: [tagMark('a')] })
  t.equal(await asked, undefined)
  t.equal(await two.store.read('k'), undefined)
})

t.test('an entry too large for memory lives in Redis alone', async (t) => {
  const { store, memory, log, entry } = bench({ memoryEntryBytes: 1000 })
  t.same(await store.write('k', entry({ value: 'x'.repeat(5000), bytes: 5000 }), log.ticket()), { stored: true })
  t.equal(memory.read('k'), undefined)
  t.equal((await store.read('k'))?.value, 'x'.repeat(5000))
})

t.test('removing counts a key once, wherever it is', async (t) => {
  const { store, memory, redis, log, entry } = bench()
  await store.write('both', entry({ value: 1 }), log.ticket())
  memory.write('near', entry({ value: 1 }), log.ticket())
  await redis.write('far', entry({ value: 1 }), log.ticket())
  t.equal(await store.remove(['both', 'near', 'far', 'none']), 3)
})

t.test('write-back sends many at once, a moment later', async (t) => {
  const { store, redis, log, clock, entry } = bench({ writes: 'back' })
  for (let n = 0; n < 250; n++) await store.write(`k${n}`, entry({ value: n }), log.ticket())
  await store.write('k0', entry({ value: 'newer' }), log.ticket())
  t.match(store.writeBack, { entries: 250, dropped: 0 })
  t.equal(await redis.read('k1'), undefined)
  clock.advance(10)
  await until('all are sent', async () => store.writeBack.entries === 0 && await redis.read('k0') !== undefined)
  t.equal((await redis.read('k249'))?.value, 249)
  t.equal((await redis.read('k0'))?.value, 'newer')
  t.equal(store.writeBack.bytes, 0)
})

t.test('a purge cancels what waits to be written back', async (t) => {
  const prefix = `h${++stores}:`
  const { store, log, entry } = bench({ prefix, writes: 'back' })
  for (const key of ['key', 'tag', 'kept']) await store.write(key, entry({ value: key, marks: [tagMark(key)] }), log.ticket())
  await log.append({ keys: ['key'] })
  await store.remove(['key'])
  t.equal(store.writeBack.entries, 2)
  await log.append({ marks: [tagMark('tag')] })
  await store.close()
  const names = createRedisKeys(prefix)
  t.same(await Promise.all(['key', 'tag', 'kept'].map(async (key) => await client.call(['EXISTS', names.entry(key)]))), [0, 0, 1])
})

t.test('closing drains what waits, within its time', async (t) => {
  const prefix = `h${++stores}:`
  const { store, log, entry } = bench({ prefix, writes: 'back', drainMs: 20_000, clock: { ...fakeClock(), ...systemClock, advance: () => {} } })
  for (let n = 0; n < 1000; n++) await store.write(`k${n}`, entry({ value: n }), log.ticket())
  await log.append({ marks: [tagMark('x')] })
  await store.close()
  const names = createRedisKeys(prefix)
  t.equal(await client.call(['EXISTS', names.entry('k0')]), 1)
  t.equal(await client.call(['EXISTS', names.entry('k999')]), 1)
  await store.close()
})

t.test('the queue is bounded by number and by bytes; the oldest make room', async (t) => {
  const { store, log, entry } = bench({ writes: 'back', writeBackMaxEntries: 3, writeBackMaxBytes: 1000 })
  for (let n = 0; n < 5; n++) await store.write(`k${n}`, entry({ value: n, bytes: 10 }), log.ticket())
  t.same(store.writeBack, { entries: 3, bytes: 30, dropped: 2 })
  await store.write('large', entry({ value: 'x', bytes: 990 }), log.ticket())
  t.same(store.writeBack, { entries: 2, bytes: 1000, dropped: 4 })
  await store.write('larger', entry({ value: 'x', bytes: 2000 }), log.ticket())
  t.same(store.writeBack, { entries: 0, bytes: 0, dropped: 7 })
  await store.wipe()
})

t.test('while Redis is away memory goes on alone, and queued fills wait for it', async (t) => {
  const dying = await startRedis()
  const redis = openRedis(dying.url)
  t.teardown(async () => { await redis.close(); await dying.stop() })
  await until('Redis answers', () => redis.ready)
  const through = bench({ client: redis })
  const clock = { ...fakeClock(), ...systemClock, advance: () => {} }
  const back = bench({ client: redis, writes: 'back', clock })
  await through.store.write('before', through.entry({ value: 1 }), through.log.ticket())
  await dying.kill()
  await until('the connection is lost', () => !redis.ready)
  t.equal((await through.store.read('before'))?.value, 1)
  t.same(await through.store.write('during', through.entry({ value: 2 }), through.log.ticket()), { stored: true })
  const hit = through.store.read('during')
  t.notOk(hit instanceof Promise)
  t.notOk(through.store.read('none') instanceof Promise, 'a miss costs nothing either')
  t.same((await through.store.scan(undefined, 10)).entries.map(([key]) => key).sort(), ['before', 'during'])
  await back.store.write('queued', back.entry({ value: 3 }), back.log.ticket())
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(back.store.writeBack.entries, 1)
  await dying.restart()
  await until('what was queued is sent', async () => back.store.writeBack.entries === 0 && await back.redis.read('queued') !== undefined)
  t.pass('and arrive when it is back')
  await back.store.close()
})

t.test('strict or behind, nothing is served before the log has caught up', async (t) => {
  const clock = fakeClock()
  const local = createLocalLog({ clock })
  let state: InvalidationLog['state'] = 'current'
  let reached = true
  const unseen: string[] = []
  const log: InvalidationLog = {
    get state () { return state },
    queued: 0,
    get tip () { return local.tip },
    ticket: () => local.ticket(),
    judge: (...args) => local.judge(...args),
    judgeShared: (...args) => local.judgeShared(...args),
    softPurgedAtMs: (...args) => local.softPurgedAtMs(...args),
    append: (record) => local.append(record),
    forget: () => {},
    close: () => {},
    sync: async () => {
      if (reached) for (const key of unseen.splice(0)) await local.append({ keys: [key] })
      return reached
    }
  }
  const relaxed = bench({ log, clock })
  const strict = bench({ log, clock, strict: true })
  for (const { store, entry } of [relaxed, strict]) await store.writeMany(['a', 'b', 'c'].map((key) => [key, entry({ value: key }), log.ticket()] as const))

  unseen.push('a')
  t.equal((await relaxed.store.read('a'))?.value, 'a', 'nobody knows yet')
  state = 'behind'
  t.equal(await relaxed.store.read('a'), undefined)
  t.same((await relaxed.store.readMany(['a', 'b'])).map((entry) => entry?.value), [undefined, 'b'])
  state = 'current'
  unseen.push('b')
  t.equal(await strict.store.read('b'), undefined, 'strict asks although nothing is amiss')
  t.same((await strict.store.readMany(['b', 'c'])).map((entry) => entry?.value), [undefined, 'c'])

  reached = false
  t.equal(await strict.store.read('c'), undefined, 'strict rather serves nothing')
  t.same(await strict.store.readMany(['c']), [undefined])
  state = 'alone'
  t.equal((await relaxed.store.read('c'))?.value, 'c', 'bounded staleness is what was asked for')
  t.equal(await strict.store.read('c'), undefined)
})

t.test('a read that has waited for the log leaves Redis what remains of its patience', async (t) => {
  const clock = fakeClock()
  const local = createLocalLog({ clock })
  const log = Object.create(local, {
    state: { value: 'behind' },
    sync: {
      value: async () => {
        clock.advance(150)
        await local.append({ keys: ['a'] })
        return true
      }
    }
  }) as InvalidationLog
  const { store, redis, entry } = bench({ log, clock, patienceMs: 200 })
  for (const [read, found] of [[async () => await store.read('a'), undefined], [async () => (await store.readMany(['a', 'b'])).map((each) => each?.value), [undefined, 'b']]] as const) {
    await store.writeMany(['a', 'b'].map((key) => [key, entry({ value: key }), log.ticket()] as const))
    redis.read = async () => await new Promise(() => {})
    redis.readMany = async () => await new Promise(() => {})
    let over = false
    const answer = read().finally(() => { over = true })
    await turns()
    clock.advance(49)
    await turns()
    t.equal(over, false)
    clock.advance(1)
    t.same(await answer, found)
  }
})

t.test('strict, a read of many keys has the patience of one for every thousand', async (t) => {
  const proxy = await startTcpProxy(server.port)
  const slow = openRedis(proxy.url, { deadlineMs: 20_000 })
  t.teardown(async () => { await slow.close(); await proxy.close() })
  await until('Redis answers', () => slow.ready)
  const clock = fakeClock()
  const prefix = `h${++stores}:`
  const writer = bench({ clock, prefix })
  const keys = Array.from({ length: 1001 }, (_, n) => `k${n}`)
  await writer.store.writeMany(keys.map((key) => [key, writer.entry({ value: key }), writer.log.ticket()] as const))
  for (const [asked, patienceMs] of [[1000, 200], [1001, 400]] as const) {
    const { store } = bench({ clock, prefix, client: slow, strict: true, patienceMs: 200 })
    proxy.mode = 'hold'
    let over = false
    const answer = Promise.resolve(store.readMany(keys.slice(0, asked))).finally(() => { over = true })
    await turns(50)
    clock.advance(patienceMs - 1)
    await turns()
    t.notOk(over, `${asked} keys are waited for`)
    clock.advance(1)
    t.ok((await answer).every((entry) => entry === undefined))
    proxy.mode = 'pass'
  }
  const { store } = bench({ clock, prefix, client: slow, strict: true, patienceMs: 200 })
  proxy.mode = 'hold'
  const answer = Promise.resolve(store.readMany(keys))
  await turns(50)
  clock.advance(399)
  proxy.mode = 'pass'
  t.same((await answer).map((entry) => entry?.value), keys)
})

t.test('options that make no sense are refused', async (t) => {
  for (const wrong of [{ memoryTtl: 0 }, { memoryTtl: NaN }, { writes: 'around' as never }, { writeBackMaxEntries: 0 }, { writeBackMaxBytes: 1.5 }]) {
    t.throws(() => bench(wrong), { code: 'FST_ERR_CACHE_OPTION', message: new RegExp(Object.keys(wrong)[0] ?? '') })
  }
})
