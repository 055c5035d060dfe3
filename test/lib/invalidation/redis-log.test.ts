import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Clock } from '../../../lib/clock.ts'
import type { Position } from '../../../lib/entry.ts'
import { createRedisLog, type RedisLog, type RedisLogOptions } from '../../../lib/invalidation/redis-log.ts'
import { keyMark, tagMark } from '../../../lib/keyspace/mark.ts'
import type { LogState } from '../../../lib/ports/invalidation-log.ts'
import type { RedisClient, RedisSubscriber } from '../../../lib/ports/redis-client.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import type { RedisSource } from '../../../lib/redis/source.ts'
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { startCluster } from '../../support/redis-cluster.ts'
import { freePort, startRedis, type TestRedis } from '../../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

/*
 * The Redis of a test runs in real time; what the log does by the clock, its clock decides. A busy machine must not look
 * like a broken Redis: whatever deadline the log has by its clock, Redis itself is given all the time that it needs.
 */
const PATIENT_MS = 20_000

interface Instance { readonly log: RedisLog, readonly clock: FakeClock, readonly client: RedisClient, /** How many of its own echoes it has heard. */ echoes: number }

function boot (t: Test, url: string, options: Partial<RedisLogOptions> = {}, listenAt?: string): Instance {
  return bootOn(t, { url }, options, listenAt)
}

function bootOn (t: Test, source: RedisSource, options: Partial<RedisLogOptions> = {}, listenAt?: string): Instance {
  const connection = openRedis(source, { deadlineMs: PATIENT_MS })
  t.teardown(async () => { await connection.close() })
  const listening = listenAt === undefined ? connection : openRedis({ url: listenAt }, { deadlineMs: PATIENT_MS })
  if (listening !== connection) t.teardown(async () => { await listening.close() })
  const client = patient(connection, () => {
    const subscriber = listening.subscriber()
    return {
      start (channels, on) {
        subscriber.start(channels, {
          ...on,
          message (channel, message) {
            on.message(channel, message)
            if (channel.includes(':echo:')) instance.echoes++
          }
        })
      },
      reconnect () { subscriber.reconnect() },
      close: async () => { await subscriber.close() }
    }
  })
  const clock = fakeClock()
  const log = createRedisLog({ client, clock, prefix: 'test:', deadlineMs: PATIENT_MS, ...options })
  t.teardown(async () => {
    const closed = log.close()
    clock.advance(PATIENT_MS)
    await closed
  })
  const instance: Instance = { log, clock, client, echoes: 0 }
  return instance
}

function patient (client: RedisClient, subscriber: () => RedisSubscriber): RedisClient {
  return {
    get ready () { return client.ready },
    get state () { return client.state },
    clustered: client.clustered,
    call: async (...args) => await client.call(...args),
    callBuffer: async (...args) => await client.callBuffer(...args),
    batch: async (...args) => await client.batch(...args),
    script: async (source, keys, args) => await client.script(source, keys, args),
    scan: async (...args) => await client.scan(...args),
    subscriber,
    onChange: (listener) => client.onChange(listener),
    now: () => client.now()
  }
}

/** Each says something to itself and hears it, and all that it has asked Redis before is answered. */
async function hearThemselves (instances: readonly Instance[]): Promise<void> {
  const before = instances.map(({ echoes }) => echoes)
  for (const { clock } of instances) clock.advance(1000)
  await until('all have heard themselves', () => instances.every(({ echoes }, n) => echoes > (before[n] ?? 0)))
  for (const { log } of instances) await log.sync()
}

const isCurrent = async (...instances: Instance[]): Promise<void> => {
  await until('everybody is current', () => instances.every(({ log }) => log.state === 'current'))
}

async function setUp (t: Test, args: readonly string[] = []): Promise<{ server: TestRedis, redis: Redis }> {
  const server = await startRedis(args)
  const redis = new Redis(server.port, { maxRetriesPerRequest: null })
  redis.on('error', () => {})
  t.teardown(async () => {
    redis.disconnect()
    await server.stop()
  })
  return { server, redis }
}

async function withProxy (t: Test, server: TestRedis): Promise<TcpProxy> {
  const proxy = await startTcpProxy(server.port)
  t.teardown(async () => { await proxy.close() })
  return proxy
}

t.test('a purge in one process holds in the others', async (t) => {
  const { server } = await setUp(t)
  const a = boot(t, server.url)
  const b = boot(t, server.url)
  await isCurrent(a, b)
  const before = b.log.ticket()

  t.equal(await a.log.append({ keys: ['one'], marks: [tagMark('catalog')], patterns: ['product:*', 'user:?:name'], markPrefixes: ['p:/products/'] }), 'everywhere')
  await until('b has heard of it', () => b.log.tip > before.at)

  const reached: ReadonlyArray<readonly [key: string, marks: string[]]> = [
    ['one', []], ['x', [keyMark('one')]], ['x', [tagMark('catalog')]], ['product:1', []], ['user:1:name', []], ['x', ['p:/products/1']]
  ]
  for (const { log } of [a, b]) {
    for (const [key, marks] of reached) {
      t.equal(log.judge(key, marks, before.at), 'purged')
      t.equal(log.judgeShared(key, marks, before.asOf), 'purged')
    }
    t.equal(log.judge('other', [tagMark('other')], before.at), 'valid')
    t.equal(log.judgeShared('other', [tagMark('other')], before.asOf), 'valid')
  }
  const after = b.log.ticket()
  t.same(after.asOf, a.log.ticket().asOf)
  t.equal(a.log.judgeShared('one', [], after.asOf), 'valid', 'what is loaded afterwards is good everywhere')

  await a.log.append({ marks: [tagMark('catalog')], soft: true })
  await until('b has heard of the soft purge', () => b.log.tip > after.at)
  t.equal(b.log.judge('x', [tagMark('catalog')], after.at), 'soft')
  t.equal(b.log.judgeShared('x', [tagMark('catalog')], after.asOf), 'soft')
  t.equal(b.log.softPurgedAtMs('x', [tagMark('catalog')], after.at), b.clock.now())
})

t.test('a purge holds here before Redis has heard of it, also for entries from Redis', async (t) => {
  const { server } = await setUp(t)
  const a = boot(t, server.url)
  await isCurrent(a)
  const before = a.log.ticket()
  const reach = a.log.append({ keys: ['one'] })
  t.equal(a.log.judge('one', [], before.at), 'purged')
  t.equal(a.log.judgeShared('one', [], before.asOf), 'purged')
  t.equal(a.log.judgeShared('two', [], before.asOf), 'valid')
  const { at } = a.log.ticket()
  t.equal(await reach, 'everywhere')
  t.equal(a.log.judge('one', [], at), 'valid', 'what was loaded after the purge outlives its arrival in Redis')
  t.equal(a.log.judgeShared('one', [], a.log.ticket().asOf), 'valid')
})

t.test('purges of one turn share a record, and a flood arrives complete', async (t) => {
  const { server, redis } = await setUp(t)
  const a = boot(t, server.url)
  const b = boot(t, server.url)
  await isCurrent(a, b)
  const before = await redis.xlen('test:log')
  const since = b.log.ticket()
  await Promise.all(Array.from({ length: 100 }, async (_, i) => await a.log.append({ keys: [`turn${i}`] })))
  t.ok(await redis.xlen('test:log') - before <= 2, 'a hundred purges, one or two records')
  for (let round = 0; round < 20; round++) {
    for (const { log } of [a, b]) for (let i = 0; i < 50; i++) log.append({ keys: [`flood:${round}:${i}`] })
    await sleep(1)
  }
  await until('all is sent', () => a.log.health().queued === 0 && b.log.health().queued === 0)
  t.ok(await b.log.sync() && await a.log.sync())
  let lost = 0
  for (const { log } of [a, b]) for (let round = 0; round < 20; round++) for (let i = 0; i < 50; i++) if (log.judgeShared(`flood:${round}:${i}`, [], since.asOf) !== 'purged') lost++
  t.equal(lost, 0)
  t.same(a.log.ticket().asOf, b.log.ticket().asOf)
})

t.test('whoever is told that a purge is written down has heard of all before it', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, server.url)
  const slow = boot(t, server.url, {}, proxy.url)
  await isCurrent(a, slow)
  proxy.mode = 'hold'
  const since = slow.log.ticket()
  for (let i = 0; i < 20; i++) await a.log.append({ keys: [`k${i}`] })
  t.equal(slow.log.judge('k19', [], since.at), 'valid', 'the news are slow')
  t.equal(await slow.log.append({ keys: ['mine'] }), 'everywhere')
  t.equal(slow.log.judge('k19', [], since.at), 'purged')
  const { asOf } = slow.log.ticket()
  await a.log.sync()
  t.same(a.log.ticket().asOf, asOf)
  t.equal(a.log.judgeShared('mine', [], asOf), 'valid', 'what it stores now is good for the others')
  t.equal(slow.log.state, 'current')
  proxy.mode = 'pass'
  await until('the slow news have come', () => slow.log.health().duplicates >= 20)
  t.equal(slow.log.health().distrusts, 1)
})

t.test('a new process learns the whole log before it trusts an entry from Redis', async (t) => {
  const { server } = await setUp(t)
  const a = boot(t, server.url)
  await isCurrent(a)
  const first = a.log.ticket().asOf
  for (let i = 0; i < 2500; i++) await a.log.append({ keys: [`k${i}`] })
  const b = boot(t, server.url)
  t.equal(b.log.state === 'current', false)
  t.equal(b.log.judgeShared('unpurged', [], first), 'purged')
  await isCurrent(b)
  t.same(b.log.ticket().asOf, a.log.ticket().asOf)
  t.equal(b.log.judgeShared('k0', [], first), 'purged')
  t.equal(b.log.judgeShared('unpurged', [], first), 'valid')
})

t.test('nothing is lost when the connection for news is killed, cut, or refused for a while', async (t) => {
  const { server, redis } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, server.url)
  const lapses: LogState[] = []
  const b = boot(t, server.url, { onState: (state) => { if (state !== 'current') lapses.push(state) } }, proxy.url)
  await isCurrent(a, b)
  const faults: Record<string, () => Promise<void>> = {
    killed: async () => { await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub') },
    cut: async () => { proxy.cut() },
    refused: async () => { proxy.mode = 'refuse' }
  }
  for (const [name, fault] of Object.entries(faults)) {
    const since = b.log.ticket()
    lapses.length = 0
    await fault()
    // It may be over before anybody looks.
    await until('b knows that it is cut off', () => lapses.length > 0)
    for (let i = 0; i < 50; i++) await a.log.append({ keys: [`${name}${i}`] })
    proxy.mode = 'pass'
    await isCurrent(a, b)
    // Who came back in the middle hears of the last ones by the news, like everybody, and nobody asks for them here.
    await until(`${name}: b is where a is`, () => b.log.ticket().asOf.seq === a.log.ticket().asOf.seq)
    const lost = Array.from({ length: 50 }, (_, i) => `${name}${i}`).filter((key) => b.log.judge(key, [], since.at) !== 'purged' || b.log.judgeShared(key, [], since.asOf) !== 'purged')
    t.same(lost, [], name)
    t.equal(b.log.judge('unpurged', [], since.at), 'valid', 'and nothing was thrown away')
    t.equal(b.log.judgeShared('unpurged', [], since.asOf), 'valid')
  }
})

t.test('without its news a process can still ask', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, server.url)
  const b = boot(t, server.url, {}, proxy.url)
  await isCurrent(a, b)
  proxy.mode = 'refuse'
  await until('b has lost its news', () => b.log.state === 'behind')
  const since = b.log.ticket()
  await a.log.append({ keys: ['one'] })
  t.equal(b.log.judge('one', [], since.at), 'valid')
  t.equal(await b.log.sync(), true)
  t.equal(b.log.judge('one', [], since.at), 'purged')
  t.equal(b.log.state, 'behind')
})

t.test('a half-open connection is found out by its silence', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, server.url)
  const b = boot(t, server.url, {}, proxy.url)
  await isCurrent(a, b)
  const since = b.log.ticket()
  proxy.mode = 'blackhole'
  await a.log.append({ keys: ['one'] })
  const states: string[] = []
  for (let second = 1; second <= 4; second++) {
    b.clock.advance(1000)
    await b.log.sync()
    states.push(b.log.state)
  }
  t.same(states, ['current', 'current', 'current', 'behind'])
  proxy.mode = 'pass'
  await isCurrent(b)
  t.equal(b.log.judge('one', [], since.at), 'purged')
  for (let second = 1; second <= 6; second++) {
    const { position } = b.log.health()
    b.clock.advance(1000)
    await until('the echo', async () => await b.log.sync() && b.log.state === 'current')
    t.same(b.log.health().position, position)
  }
})

t.test('a process that stood still looks at the log before it serves', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, server.url)
  let frozenMs = 0
  const inner = fakeClock()
  const clock: Clock = { now: () => inner.now() + frozenMs, after: inner.after }
  const b = boot(t, proxy.url, { clock })
  await isCurrent(a, b)
  frozenMs += 3000
  t.equal(b.log.state, 'current')
  const { doubts } = b.log.health()
  frozenMs += 10_000
  t.equal(b.log.state, 'behind', 'the first question after the thaw, before any timer')
  t.equal(await b.log.sync(), true)
  await isCurrent(b)
  t.equal(b.log.health().doubts, doubts + 1)

  frozenMs += 10_000
  proxy.mode = 'refuse'
  t.equal(b.log.state, 'behind')
  await until('it is cut off', async () => !await b.log.sync())
  t.equal(b.log.state, 'behind', 'who wakes up without a connection may have missed anything')
  frozenMs += 3000
  t.equal(b.log.state, 'alone')
  for (let beat = 1; beat <= 5; beat++) inner.advance(1000)
  frozenMs += 10_000
  t.equal(b.log.state, 'alone', 'who was cut off before has missed no more than without it')
  proxy.mode = 'pass'
  await isCurrent(b)
  frozenMs += 10_000
  t.equal(b.log.state, 'behind', 'and who has Redis again is asked again')
  await isCurrent(b)
  frozenMs -= 8000
  t.equal(b.log.state, 'behind', 'a clock that is set back tells nothing either')
})

t.test('while Redis is away purges hold here, wait, and arrive later', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  const states: string[] = []
  const a = boot(t, proxy.url, { onState: (state) => { states.push(state) } })
  const b = boot(t, server.url)
  await isCurrent(a, b)
  const since = b.log.ticket()
  proxy.mode = 'refuse'
  await until('a is alone', () => a.log.state === 'alone')
  const before = a.log.ticket()
  for (let i = 0; i < 700; i++) t.equal(await a.log.append({ keys: [`k${i % 600}`], patterns: ['a?b'], soft: i % 2 === 0 }), 'here')
  t.equal(a.log.health().queued, 602, 'the same name waits once')
  t.equal(a.log.judge('k1', [], before.at), 'purged')
  t.equal(await a.log.sync(), false)
  proxy.mode = 'pass'
  await isCurrent(a)
  await until('the queue is empty', () => a.log.health().queued === 0)
  await b.log.sync()
  t.equal(b.log.judge('k599', [], since.at), 'purged')
  t.equal(b.log.judge('k598', [], since.at), 'soft')
  t.equal(b.log.judge('axb', [], since.at), 'purged')
  t.equal(b.log.judge('unpurged', [], since.at), 'valid')
  t.same(states.slice(-2), ['behind', 'current'])
})

t.test('what waits when the log is closed is sent if Redis comes back in time, and counted if it does not', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  const lost: string[] = []
  const options = { onLost: (purges: string) => { lost.push(purges) } }
  const [a, b, other] = [boot(t, proxy.url, options), boot(t, proxy.url, options), boot(t, server.url, options)]
  await isCurrent(a, b, other)
  const since = other.log.ticket()
  proxy.mode = 'refuse'
  await until('they are alone', () => a.log.state === 'alone' && b.log.state === 'alone')
  for (const key of ['x', 'y']) t.equal(await a.log.append({ keys: [key] }), 'here')
  t.equal(await b.log.append({ keys: ['z'] }), 'here')
  const closed = a.log.close()
  a.clock.advance(PATIENT_MS)
  await closed
  t.same(lost, ['2 names'])
  const closing = b.log.close()
  proxy.mode = 'pass'
  await closing
  t.same(lost, ['2 names'], 'nothing more is lost')
  await until('the others have heard', () => other.log.judge('z', [], since.at) === 'purged')
  t.equal(other.log.judge('x', [], since.at), 'valid')
})

t.test('a log that never saw a Redis waits for none when it is closed, and tells what no other has heard of', async (t) => {
  const lost: string[] = []
  const a = boot(t, `redis://127.0.0.1:${await freePort()}`, { onLost: (purges) => { lost.push(purges) } })
  t.equal(await a.log.append({ everything: true }), 'here')
  await a.log.close()
  t.same(lost, ['everything'])
  const idle = boot(t, `redis://127.0.0.1:${await freePort()}`, { onLost: (purges) => { lost.push(purges) } })
  await idle.log.close()
  t.same(lost, ['everything'], 'who has purged nothing has lost nothing')
})

t.test('a queue that overflows becomes everything', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, proxy.url, { maxQueued: 50 })
  const b = boot(t, server.url)
  await isCurrent(a, b)
  const since = b.log.ticket()
  proxy.mode = 'refuse'
  await until('a is alone', () => a.log.state === 'alone')
  for (let i = 0; i < 5000; i++) a.log.append({ keys: [`k${i}`] })
  t.equal(a.log.health().queued, 1)
  t.equal(a.log.judge('unpurged', [], a.log.tip), 'valid', 'here nothing overflowed')
  proxy.mode = 'pass'
  await until('b is purged', async () => await b.log.sync() && b.log.judge('unpurged', [], since.at) === 'purged')
})

t.test('a frozen Redis holds nobody up', async (t) => {
  const { server } = await setUp(t)
  const a = boot(t, server.url, { deadlineMs: 200 })
  await isCurrent(a)
  server.freeze()
  t.teardown(() => { server.thaw() })
  const reaches = a.log.append({ keys: ['one'] })
  a.clock.advance(200)
  t.equal(await reaches, 'here')
  const synced = a.log.sync()
  a.clock.advance(200)
  t.equal(await synced, false)
  server.thaw()
  await until('it has arrived', async () => {
    a.clock.advance(100)
    return a.log.health().queued === 0 && a.log.state === 'current'
  })
  t.equal(await a.log.append({ keys: ['two'] }), 'everywhere')
})

t.test('a lost log takes all trust with it, once', async (t) => {
  const { server, redis } = await setUp(t)
  const instances = Array.from({ length: 5 }, () => boot(t, server.url))
  const [a, b] = instances as [Instance, Instance]
  await isCurrent(...instances)
  const losses: Record<string, () => Promise<unknown>> = {
    flushed: async () => await redis.flushall(),
    deleted: async () => await redis.del('test:log'),
    'foreign type': async () => await redis.multi().del('test:log').rpush('test:log', 'x').exec(),
    'trimmed to nothing': async () => await redis.xtrim('test:log', 'MAXLEN', 0),
    'foreign record': async () => await redis.xadd('test:log', '*', 'hello', 'world'),
    'record of the end of time': async () => await redis.xadd('test:log', '18446744073709551615-7', 'r', '1 x.1 []')
  }
  for (const [name, lose] of Object.entries(losses)) {
    await a.log.append({ keys: ['one'] })
    await until('all have heard', async () => (await Promise.all(instances.map(async ({ log }) => await log.sync()))).every(Boolean))
    const before = instances.map(({ log }) => log.ticket())
    await lose()
    for (const { clock } of instances) clock.advance(1000)
    await until(name + ': a new epoch for all', () => instances.every(({ log }, i) => log.state === 'current' && log.ticket().asOf.epoch > (before[i] as { asOf: Position }).asOf.epoch))
    for (const [i, { log }] of instances.entries()) {
      const { at, asOf } = before[i] as { at: number, asOf: Position }
      t.equal(log.judge('unpurged', [], at), 'purged', `${name}: entries held here go`)
      t.equal(log.judgeShared('unpurged', [], asOf), 'purged', `${name}: entries in Redis are not trusted`)
      t.same(log.ticket().asOf, a.log.ticket().asOf, `${name}: all agree`)
    }
    t.equal(b.log.judgeShared('new', [], a.log.ticket().asOf), 'valid')
  }
  t.equal(await redis.xlen('test:log'), 1, 'five instances began the last epoch once')
})

t.test('a purge after the loss begins the epoch itself', async (t) => {
  const { server, redis } = await setUp(t)
  const a = boot(t, server.url)
  const b = boot(t, server.url)
  await isCurrent(a, b)
  const since = b.log.ticket()
  await redis.flushall()
  t.equal(await a.log.append({ keys: ['one'] }), 'everywhere')
  await until('b follows', () => b.log.state === 'current' && b.log.ticket().asOf.epoch > since.asOf.epoch)
  t.equal(b.log.judge('one', [], since.at), 'purged')
  t.equal(b.log.judgeShared('one', [], since.asOf), 'purged')
})

t.test('a restarted Redis without its data, or with older data, is noticed', async (t) => {
  const { server, redis } = await setUp(t)
  const a = boot(t, server.url)
  const b = boot(t, server.url)
  await isCurrent(a, b)
  await a.log.append({ keys: ['old'] })
  const empty = b.log.ticket()
  await server.restart()
  await until('a new epoch', () => [a, b].every(({ log }) => log.state === 'current' && log.ticket().asOf.epoch > empty.asOf.epoch))
  t.equal(b.log.judgeShared('unpurged', [], empty.asOf), 'purged')

  // A replica that was behind: the last records are missing, and others may already stand in their place.
  for (const rewritten of [0, 2, 5]) {
    await a.log.append({ keys: ['kept'] })
    const dump = await redis.dumpBuffer('test:log')
    for (let i = 0; i < 3; i++) await a.log.append({ keys: [`lost${i}`] })
    await Promise.all([a.log.sync(), b.log.sync()])
    const since = b.log.ticket()
    await redis.restore('test:log', 0, dump, 'REPLACE')
    const tail = (await redis.xrevrange('test:log', '+', '-', 'COUNT', 1))[0]?.[0] ?? ''
    for (let i = 1; i <= rewritten; i++) await redis.xadd('test:log', tail.replace(/\d+$/, (seq) => String(Number(seq) + i)), 'r', `1 other.${i} [{"m":["k:rewritten"]}]`)
    for (const { clock } of [a, b]) clock.advance(1000)
    if (rewritten === 5) await redis.publish('test:log:bus', tail.replace(/\d+$/, (seq) => String(Number(seq) + 5)) + ' 1 other.5 [{"m":["k:rewritten"]}]')
    await until(`a new epoch after ${rewritten} others`, () => [a, b].every(({ log }) => log.state === 'current' && log.ticket().asOf.epoch > since.asOf.epoch))
    t.equal(b.log.judge('rewritten', [], since.at), 'purged')
    t.equal(b.log.judgeShared('unpurged', [], since.asOf), 'purged')
  }
})

t.test('what was trimmed away before it was read counts as a purge of everything', async (t) => {
  const { server, redis } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, server.url)
  const b = boot(t, proxy.url)
  await isCurrent(a, b)
  await a.log.append({ keys: ['zero'] })
  await b.log.sync()
  const since = b.log.ticket()
  proxy.mode = 'refuse'
  await until('b is alone', () => b.log.state === 'alone')
  const positions: Position[] = []
  for (let i = 0; i < 20; i++) {
    await a.log.append({ keys: [`k${i}`] })
    positions.push(a.log.ticket().asOf)
  }
  await redis.xtrim('test:log', 'MAXLEN', 5)
  proxy.mode = 'pass'
  await isCurrent(b)
  t.equal(b.log.judge('unpurged', [], since.at), 'purged')
  t.same(b.log.ticket().asOf, a.log.ticket().asOf, 'the epoch goes on')
  t.same(positions.map((asOf) => b.log.judgeShared('unpurged', [], asOf)), positions.map((_, i) => i < 14 ? 'purged' : 'valid'), 'b trusts from its floor on')
  t.equal(a.log.judgeShared('unpurged', [], since.asOf), 'valid', 'a has seen all')

  await redis.xdel('test:log', `${positions[17]?.epoch ?? 0}-${positions[17]?.seq ?? 0}`)
  const c = boot(t, server.url)
  await isCurrent(c)
  t.same([16, 17, 18].map((i) => c.log.judgeShared('unpurged', [], positions[i] as Position)), ['purged', 'valid', 'valid'], 'a hole is a floor')
})

t.test('Redis without memory still takes purges, and nothing has to go for that', async (t) => {
  const { server, redis } = await setUp(t, ['--maxmemory-policy', 'noeviction'])
  const a = boot(t, server.url)
  const b = boot(t, server.url)
  await isCurrent(a, b)
  const since = b.log.ticket()
  await redis.config('SET', 'maxmemory', '1')
  await t.rejects(redis.set('x', '1'), /OOM/)
  t.equal(await a.log.append({ keys: ['one'] }), 'everywhere')
  await until('b has heard', () => b.log.judge('one', [], since.at) === 'purged')
  t.equal(b.log.judge('unpurged', [], since.at), 'valid')
  t.equal(b.log.judgeShared('unpurged', [], since.asOf), 'valid')
  await redis.del('test:log')
  t.equal(await a.log.append({ keys: ['two'] }), 'everywhere', 'even a new log can be begun')
  await until('b follows', () => b.log.ticket().asOf.epoch > since.asOf.epoch && b.log.state === 'current')
})

t.test('where no log can be written the purge is told all the same, and nothing in Redis is trusted', async (t) => {
  const { server, redis } = await setUp(t)
  const instances = [boot(t, server.url), boot(t, server.url), boot(t, server.url)] as const
  const [a, b, c] = instances
  await isCurrent(...instances)
  const since = b.log.ticket()
  await redis.call('ACL', 'SETUSER', 'default', '-xadd')
  t.equal(await a.log.append({ keys: ['one'] }), 'everywhere')
  t.equal(await redis.exists('test:log'), 0)
  for (const { log } of [b, c]) await until('the others have dropped it', () => log.judge('one', [], since.at) === 'purged')
  for (const { log } of instances) {
    await until('nothing in Redis is trusted', () => log.judgeShared('unpurged', [], since.asOf) === 'purged')
    await until('no log can be had', () => log.state === 'alone')
    t.equal(await log.sync(), false)
  }
  t.equal(a.log.health().unlogged, 1)
  t.equal(await a.log.append({ keys: ['two'] }), 'everywhere')
  await redis.call('ACL', 'SETUSER', 'default', '+xadd')
  for (const { clock } of instances) clock.advance(1000)
  await isCurrent(...instances)
  t.ok(a.log.ticket().asOf.epoch > since.asOf.epoch)
  t.equal(await a.log.append({ keys: ['three'] }), 'everywhere')
  await until('and all is well again', () => instances.every(({ log }) => log.ticket().asOf.seq === a.log.ticket().asOf.seq))
  t.equal(a.log.judgeShared('two', [], a.log.ticket().asOf), 'valid', 'the outbox has let go')
})

t.test('a log that is evicted from a full Redis is missed', async (t) => {
  const { server, redis } = await setUp(t, ['--maxmemory-policy', 'allkeys-random'])
  const a = boot(t, server.url)
  await isCurrent(a)
  const { asOf } = a.log.ticket()
  await redis.config('SET', 'maxmemory', '1')
  await redis.set('x', '1').catch(() => {})
  t.equal(await redis.exists('test:log'), 0)
  await redis.config('SET', 'maxmemory', '0')
  a.clock.advance(1000)
  await until('a new epoch', () => a.log.state === 'current' && a.log.ticket().asOf.epoch > asOf.epoch)
  t.equal(a.log.judgeShared('unpurged', [], asOf), 'purged')
})

t.test('a forged, damaged, repeated or foreign message can cost trust, never a purge', async (t) => {
  const { server, redis } = await setUp(t)
  const a = boot(t, server.url)
  const b = boot(t, server.url)
  await isCurrent(a, b)
  const say = async (message: string | Buffer): Promise<void> => { await redis.publish('test:log:bus', message) }
  /** Sends messages, then a true purge; answers what the messages did to an unrelated entry, and whether the purge was heard. */
  const play = async (messages: (at: (ahead: number) => string) => Array<string | Buffer>): Promise<{ heard: boolean, unrelated: string, shared: string }> => {
    await Promise.all([a.log.sync(), b.log.sync()])
    const since = b.log.ticket()
    const { epoch, seq } = since.asOf
    for (const message of messages((ahead) => `${epoch}-${seq + ahead}`)) await say(message)
    await a.log.append({ keys: ['true'] })
    await until('b is at rest', async () => await b.log.sync() && b.log.state === 'current' && b.log.ticket().asOf.seq === a.log.ticket().asOf.seq)
    return { heard: b.log.judge('true', [], since.at) === 'purged', unrelated: b.log.judge('unrelated', [], since.at), shared: b.log.judgeShared('unrelated', [], since.asOf) }
  }
  const harmless = { heard: true, unrelated: 'valid', shared: 'valid' }
  const costly = { heard: true, unrelated: 'purged', shared: 'purged' }

  t.same(await play(() => ['', ' ', 'hello', 'hello world', '1-', '-1 x', '1 1 x', Buffer.from([0xff, 0xfe, 0]), '9'.repeat(40) + '-1 1 x.1 []', 'Infinity-1 x']), harmless, 'no message of ours')
  t.same(await play((at) => [at(5) + ' 1 x.1 [{"m":["k:unrelated"]}]', at(100_000) + ' 1 x.1 []']), harmless, 'from the future: the log knows nothing of it')
  t.same(await play((at) => [at(0) + ' 1 x.1 [{"e":1}]']), harmless, 'another one in the place of a known one')
  t.same(await play(() => ['1-1 1 x.1 [{"e":1}]', '9999999999999-1 1 x.1 [{"e":1}]']), harmless, 'of another epoch')
  t.same(await play(() => ['x'.repeat(3 * 1024 * 1024)]), harmless, 'too large to look at')
  t.same(await play(() => ['- 1 x.1 [{"m":["k:elsewhere"]}]']), harmless, 'an unlogged purge of something else')
  t.same(await play((at) => [at(1) + ' 1 x.1 [{"m":["k:elsewhere"]}]']), costly, 'in the place of the next: found out, and a new epoch')
  t.same(await play((at) => [at(1) + ' 2 x.1 whatever']), costly, 'in the place of the next and of an unknown version')
  t.same(await play(() => ['- garbage']), { ...harmless, unrelated: 'purged' }, 'an unlogged purge that cannot be read')
  const { malformed, unknownVersion, tooLarge } = b.log.health()
  t.match({ malformed, unknownVersion, tooLarge }, { malformed: 11, unknownVersion: 1, tooLarge: 1 })

  const echoes = await redis.pubsub('CHANNELS', 'test:log:echo:*') as string[]
  for (const channel of echoes) for (const lie of ['', '-', 'x', '0-0', '99999999999999-9']) await redis.publish(channel, lie)
  await until('lies in the echo are looked up', async () => await b.log.sync() && b.log.state === 'current')
  t.ok((await b.log.append({ keys: ['x'] })) === 'everywhere')

  // In the log itself: a newer build, or damage.
  for (const record of ['7 newer.1 {"something":"else"}', '', 'x', '1 x.1 {', '1 x.1 [{"m":["k:a"],"z":1}]', '1 x.1 [{"m":[7]}]', '1 x.1 [{"g":["[a"]}]', '1 x.1 [null]']) {
    await Promise.all([a.log.sync(), b.log.sync()])
    const since = b.log.ticket()
    await redis.xadd('test:log', `${since.asOf.epoch}-${since.asOf.seq + 1}`, 'r', record)
    t.equal(await b.log.sync(), true)
    t.equal(b.log.judge('unrelated', [], since.at), 'purged', `"${record}" counts as everything`)
    t.equal(b.log.ticket().asOf.epoch, since.asOf.epoch)
  }
})

t.test('repeated and reordered messages change nothing', async (t) => {
  const { server, redis } = await setUp(t)
  const proxy = await withProxy(t, server)
  const a = boot(t, server.url)
  const b = boot(t, server.url, {}, proxy.url)
  await isCurrent(a, b)
  for (let i = 0; i < 10; i++) await a.log.append({ keys: [`k${i}`] })
  await b.log.sync()
  const since = b.log.ticket()
  const records = await redis.xrange('test:log', '-', '+')
  for (const [id, fields] of records.reverse()) await redis.publish('test:log:bus', `${id} ${fields[1] ?? ''}`)
  await a.log.append({ keys: ['last'] })
  await until('b has it', () => b.log.ticket().asOf.seq === a.log.ticket().asOf.seq)
  t.equal(b.log.judge('k1', [], since.at), 'valid')
  t.equal(b.log.health().distrusts, 1, 'only the one at the start')
  t.ok(b.log.health().duplicates >= 10)
})

t.test('a process without Redis is alone from the start, and joins when it appears', async (t) => {
  const { server } = await setUp(t)
  const proxy = await withProxy(t, server)
  proxy.mode = 'refuse'
  const a = boot(t, proxy.url)
  t.equal(a.log.state, 'alone')
  t.equal(await a.log.sync(), false)
  t.equal(await a.log.append({ keys: ['early'] }), 'here')
  t.equal(a.log.judge('early', [], 0), 'purged')
  t.equal(a.log.judge('other', [], 0), 'valid')
  t.equal(a.log.judgeShared('other', [], a.log.ticket().asOf), 'purged')
  const b = boot(t, server.url)
  await isCurrent(b)
  const since = b.log.ticket()
  proxy.mode = 'pass'
  await isCurrent(a)
  await until('the early purge arrives', () => b.log.judge('early', [], since.at) === 'purged')
})

t.test('on a Cluster the log survives the failover of its master, or takes trust with it', async (t) => {
  const cluster = await startCluster({ replicas: true })
  t.teardown(async () => { await cluster.stop() })
  const instances = [1, 2, 3].map(() => bootOn(t, { cluster: cluster.nodes }, { deadlineMs: 1000 })) as [Instance, Instance, Instance]
  const [a, b, c] = instances
  await isCurrent(a, b, c)
  const since = b.log.ticket()
  await Promise.all(Array.from({ length: 300 }, async (_, i) => await (instances[i % 3] as Instance).log.append({ keys: [`k${i}`] })))
  await until('all have heard all', () => instances.every(({ log }) => log.ticket().asOf.seq === a.log.ticket().asOf.seq && log.health().queued === 0))
  const lost = Array.from({ length: 300 }, (_, i) => `k${i}`).filter((key) => instances.some(({ log }) => log.judgeShared(key, [], since.asOf) !== 'purged'))
  t.same(lost, [])
  t.equal(b.log.judge('unpurged', [], since.at), 'valid')
  await hearThemselves(instances)
  const doubts = instances.map(({ log }) => log.health().doubts)
  await hearThemselves(instances)
  t.same(instances.map(({ log }) => log.health().doubts), doubts, 'an echo finds nothing missing, whichever node it comes from')

  const before = b.log.ticket()
  const slots = await Promise.all(cluster.masters.map(async ({ port }) => {
    const node = new Redis(port)
    const found = await node.exists('test:log').catch(() => 0)
    node.disconnect()
    return found
  }))
  await cluster.masters[slots.indexOf(1)]?.kill()
  a.log.append({ keys: ['during'] })
  await until('the log can be written again', async () => {
    for (const { clock } of instances) clock.advance(1000)
    await sleep(50)
    return a.log.health().queued === 0 && instances.every(({ log }) => log.state === 'current')
  })
  t.equal(await a.log.append({ keys: ['after'] }), 'everywhere')
  for (const key of ['during', 'after']) {
    await until(`b knows of ${key}`, () => b.log.judge(key, [], before.at) === 'purged')
    t.equal(b.log.judgeShared(key, [], before.asOf), 'purged')
  }
})

t.test('closing is short, sends what it can, and leaves nothing running', async (t) => {
  const { server, redis } = await setUp(t)
  const a = boot(t, server.url)
  const b = boot(t, server.url, { deadlineMs: 200 })
  await isCurrent(a, b)
  const since = b.log.ticket()
  const reach = a.log.append({ keys: ['last words'] })
  await a.log.close()
  t.equal(await reach, 'everywhere')
  await until('b heard them', () => b.log.judge('last words', [], since.at) === 'purged')
  t.equal(await a.log.append({ keys: ['too late'] }), 'here')
  t.equal(await a.log.sync(), false)
  await a.log.close()
  await until('the subscription is gone', async () => (await redis.pubsub('CHANNELS', 'test:log:echo:*') as string[]).length === 1)
  server.freeze()
  const stuck = b.log.append({ keys: ['x'] })
  const closing = b.log.close()
  b.clock.advance(300)
  t.equal(await stuck, 'here')
  await closing
  server.thaw()
})
