import t from 'tap'

import type { Clock } from '../../../lib/clock.ts'
import type { EngineParts } from '../../../lib/engine/parts.ts'
import { ResponseCache } from '../../../lib/engine/response-cache.ts'
import type { Entry } from '../../../lib/entry.ts'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { createRedisKeys } from '../../../lib/keyspace/redis-key.ts'
import { tagMark } from '../../../lib/keyspace/mark.ts'
import { variantKey } from '../../../lib/keyspace/request-key.ts'
import { storeContract } from '../../../lib/ports/contract/store-contract.ts'
import type { InvalidationLog } from '../../../lib/ports/invalidation-log.ts'
import { LOST_LEASE } from '../../../lib/ports/leases.ts'
import type { RedisClient } from '../../../lib/ports/redis-client.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { structuredSerializer } from '../../../lib/codec/structured.ts'
import { turns } from '../../support/cached-app.ts'
import { entryOf, type EntryShape } from '../../support/entries.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { startRedis } from '../../support/redis-server.ts'
import { tapTest } from '../../support/tap-test.ts'
import { unhurried } from '../../support/unhurried-redis.ts'
import { until } from '../../support/until.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

const server = await startRedis()
// A machine that is busy is no silent Redis.
const client = openRedis(server.url, { deadlineMs: 20_000 })
t.teardown(async () => { await client.close(); await server.stop() })
await until('Redis answers', () => client.ready)

let stores = 0
const freshPrefix = (): string => `t${++stores}:`

storeContract(tapTest(t), 'RedisCache', ({ clock, maxEntryBytes }) => {
  const log = createLocalLog({ clock })
  const store = new RedisCache({ client: unhurried(client), clock, log, maxEntryBytes, prefix: freshPrefix(), sharedNow: () => clock.now() })
  return { store, log, close: () => { store.close() } }
})

interface Bench { store: RedisCache, log: InvalidationLog, clock: ReturnType<typeof fakeClock>, prefix: string, name: (key: string) => string, entry: (shape: Partial<EntryShape> & { value: unknown }) => Entry }

function bench (options: Partial<ConstructorParameters<typeof RedisCache>[0]> = {}): Bench {
  const clock = fakeClock(Date.now())
  const log = options.log ?? createLocalLog({ clock })
  const prefix = options.prefix ?? freshPrefix()
  return {
    store: new RedisCache({ client, clock, log, prefix, ...options }),
    log,
    clock,
    prefix,
    name: createRedisKeys(prefix).entry,
    entry: (shape) => entryOf({ ticket: log.ticket(), clock, ...shape })
  }
}

t.test('every entry expires by itself when its last window ends', async (t) => {
  const { store, log, name, entry } = bench()
  await store.write('k', entry({ value: 1, freshMs: 1_000_000, staleWhileRevalidateMs: 500_000, staleIfErrorMs: 2_000_000 }), log.ticket())
  const left = Number(await client.call(['PTTL', name('k')]))
  t.ok(left > 2_500_000 && left <= 3_000_000, `${left} ms`)
  await store.writeMany([['a', entry({ value: 1 }), log.ticket()], ['b', entry({ value: 2, freshMs: 1e15 }), log.ticket()]])
  t.ok(Number(await client.call(['PTTL', name('a')])) <= 60_000)
  t.ok(Number(await client.call(['PTTL', name('b')])) > 0, 'also one that would outlive us all')
})

t.test('what somebody else left under our key is a miss, counted, and overwritten by the next fill', async (t) => {
  const { store, log, name, entry } = bench({ maxEntryBytes: 10_000 })
  const ticket = log.ticket()
  const foreign: Array<readonly [string, ...Array<string | Buffer>]> = [
    ['RPUSH', name('k'), 'x'], ['HSET', name('k'), 'a', 'b'], ['SADD', name('k'), 'x'], ['SET', name('k'), '{"$type":"Function","source":"process.exit()"}'],
    ['SET', name('k'), Buffer.from('FRC\x02\0\0\0\0')], ['SET', name('k'), Buffer.alloc(2_000_000)]
  ]
  let faults = 0
  for (const command of foreign) {
    await client.call(['DEL', name('k')])
    await client.call(command)
    t.equal(await store.read('k'), undefined, command[0])
    t.same(await store.readMany(['k']), [undefined])
    faults += 2
    t.equal(store.usage()[0].errors, faults)
    t.same(await store.write('k', entry({ value: 'ours' }), ticket), { stored: true })
    t.equal((await store.read('k'))?.value, 'ours')
  }
  t.match(store.faults, { reply: 6, foreign: 4, version: 2 })
})

t.test('a huge value is neither written nor fetched', async (t) => {
  const { store, log, name, entry } = bench({ maxEntryBytes: 10_000 })
  t.same(await store.write('k', entry({ value: 'x', bytes: 10_001 }), log.ticket()), { stored: false, reason: 'too-large' })
  t.equal(await client.call(['EXISTS', name('k')]), 0)
  await client.call(['SET', name('k'), Buffer.alloc(30_000_000, 'x')])
  const before = Number(/total_net_output_bytes:(\d+)/.exec(String(await client.call(['INFO', 'stats'])))?.[1])
  t.equal(await store.read('k'), undefined)
  const after = Number(/total_net_output_bytes:(\d+)/.exec(String(await client.call(['INFO', 'stats'])))?.[1])
  t.ok(after - before < 1_000_000, `${after - before} bytes came over`)
  await client.call(['DEL', name('k')])
})

t.test('an entry copied to another key is not that key', async (t) => {
  const { store, log, name, entry } = bench()
  await store.write('user:1', entry({ value: 'private' }), log.ticket())
  await client.call(['COPY', name('user:1'), name('user:2')])
  t.equal(await store.read('user:2'), undefined)
  t.equal(store.faults['other-key'], 1)
})

t.test('a value that lies under the key of a response is no response', async (t) => {
  const { store, log, clock, entry } = bench()
  const responses = new ResponseCache({ store, clock, warming: { current: undefined } } as unknown as EngineParts, { maxVariants: 10 })
  await store.write('response:plain', entry({ value: { status: 200 } }), log.ticket())
  await store.write('response:list', entry({ kind: 'variants', value: { names: [], keys: [] } }), log.ticket())
  await store.write(variantKey('response:list', ''), entry({ value: { status: 200 } }), log.ticket())
  const asking = { headers: {}, raw: { rawHeaders: [] } }
  t.match(await responses.find('response:plain', asking), { entry: undefined, varyMiss: false })
  t.match(await responses.find('response:list', asking), { entry: undefined, varyMiss: true })
})

t.test('clocks an hour apart do no harm', async (t) => {
  const prefix = freshPrefix()
  const skewed = (byMs: number): Clock => ({ now: () => Date.now() + byMs, after: fakeClock().after })
  const ahead = bench({ clock: skewed(3_600_000), prefix })
  const behind = bench({ clock: skewed(-3_600_000), prefix })
  const now = Date.now()
  const entry = entryOf({ value: 'v', ticket: ahead.log.ticket(), clock: skewed(3_600_000), freshMs: 60_000 })
  t.same(await ahead.store.write('k', entry, ahead.log.ticket()), { stored: true })
  t.ok(Number(await client.call(['PTTL', ahead.name('k')])) <= 60_000)
  // The clocks of the two readers are wrong; the library compares each with that of the server.
  const found = await new RedisCache({ client, clock: skewed(-3_600_000), log: behind.log, prefix }).read('k')
  t.ok(found !== undefined)
  t.ok(Math.abs(Number(found?.storedAtMs) - (now - 3_600_000)) < 5000)
  t.ok(Math.abs(Number(found?.freshUntilMs) - (now - 3_600_000 + 60_000)) < 5000)
})

t.test('types survive with the structured serialiser, and the two do not read each other', async (t) => {
  const prefix = freshPrefix()
  const { store, log, entry } = bench({ serializer: structuredSerializer, prefix })
  const value = structuredSerializer.normalise(new Map([['at', new Date(5)]])).value
  await store.write('k', entry({ value }), log.ticket())
  t.strictSame((await store.read('k'))?.value, new Map([['at', new Date(5)]]))
  t.equal(await bench({ prefix }).store.read('k'), undefined)
})

t.test('two processes share what one of them stored, and an entry of another epoch is not believed', async (t) => {
  const prefix = freshPrefix()
  const one = bench({ prefix })
  const two = bench({ prefix })
  await one.store.write('k', one.entry({ value: 'v' }), one.log.ticket())
  t.equal((await two.store.read('k'))?.value, 'v')
  const { asOf: _asOf, ...rest } = one.entry({ value: 'v' })
  await one.store.write('k', { ...rest, asOf: { epoch: 7, seq: 1 } }, one.log.ticket())
  t.equal(await two.store.read('k'), undefined)
})

t.test('a fill under a lease is stored only while the lease is held, and ends it', async (t) => {
  const { store, log, prefix, entry } = bench()
  const lease = createRedisKeys(prefix).lease('k')
  const ticket = { ...log.ticket(), lease: 'mine' }
  t.same(await store.write('k', entry({ value: 1 }), ticket), { stored: false, reason: 'purged' }, 'no lease at all')
  await client.call(['SET', lease, 'theirs', 'PX', 10_000])
  t.same(await store.write('k', entry({ value: 2 }), ticket), { stored: false, reason: 'purged' }, 'the lease of another')
  t.equal(await store.read('k'), undefined)
  await client.call(['SET', lease, 'mine', 'PX', 10_000])
  t.same(await store.write('k', entry({ value: 3, marks: [tagMark('a')] }), ticket), { stored: true })
  t.equal((await store.read('k'))?.value, 3)
  t.equal(await client.call(['EXISTS', lease]), 0)
  const over = entry({ value: 4, freshMs: 0 })
  t.same(await store.write('k', over, ticket), { stored: false, reason: 'expired' })
  t.equal((await store.read('k'))?.value, 3, 'what is over takes away the older copy only while the lease is held')
  await client.call(['SET', lease, 'mine', 'PX', 10_000])
  t.same(await store.write('k', over, ticket), { stored: false, reason: 'expired' })
  t.equal(await store.read('k'), undefined)
  t.equal(await client.call(['EXISTS', lease]), 0)
  await store.write('k', entry({ value: 3 }), log.ticket())
  await client.call(['SET', lease, 'mine', 'PX', 10_000])
  t.equal(await store.remove(['k']), 1)
  t.equal(await client.call(['EXISTS', lease]), 0, 'a purge takes the lease with the entry')
  await client.call(['SET', lease, 'mine', 'PX', 10_000])
  const both = { ...ticket, ...log.ticket(), leasedKey: 'k' }
  t.same(await store.writeMany([['beside', entry({ value: 5 }), both], ['k', entry({ value: 6 }), both]]), [{ stored: true }, { stored: true }], 'what is stored with it has no lease of its own')
  t.equal(await client.call(['EXISTS', lease]), 0)
  t.same(await store.writeMany([['beside', entry({ value: 7 }), { ...both, lease: LOST_LEASE }]]), [{ stored: false, reason: 'purged' }])
})

t.test('wiping takes ours and leaves the others', async (t) => {
  const { store, log, name, entry } = bench({ prefix: 'odd[a-z]*?:' })
  await client.call(['SET', 'oddax:e{k}', 'theirs'])
  const ticket = log.ticket()
  await store.writeMany(Array.from({ length: 2500 }, (_, index) => [`k${index}`, entry({ value: index }), ticket] as const))
  t.equal(await client.call(['EXISTS', name('k7')]), 1)
  await Promise.all([store.wipe(), store.wipe()])
  t.equal(await client.call(['EXISTS', name('k7')]), 0)
  t.equal(await client.call(['GET', 'oddax:e{k}']), 'theirs')
})

t.test('a wipe survives a step that fails', async (t) => {
  let failures = 2
  const flaky: RedisClient = { ...unhurried(client), ready: true, scan: async (...args) => { if (failures-- > 0) throw new Error('hiccup'); return await client.scan(...args) } }
  const { store, log, clock, name, entry } = bench({ client: flaky })
  t.same(await store.write('k', entry({ value: 1 }), log.ticket()), { stored: true })
  const passTime = async (wiping: Promise<void>): Promise<void> => {
    const wait = { over: false }
    const ended = wiping.finally(() => { wait.over = true })
    while (!wait.over) { await new Promise((resolve) => setTimeout(resolve, 2)); clock.advance(1000) }
    await ended
  }
  await passTime(store.wipe())
  t.equal(await client.call(['EXISTS', name('k')]), 0)
  failures = 100
  await passTime(store.wipe())
  t.equal(failures, 96, 'one try and three more')
  t.same(await store.write('k', entry({ value: 2 }), log.ticket()), { stored: true })
  failures = 0
  clock.advance(5000)
  await until('the rest of the walk follows', async () => await client.call(['EXISTS', name('k')]) === 0)
})

t.test('a wipe is made again when Redis is back', async (t) => {
  let answers = Infinity
  const leaving: RedisClient = {
    ...unhurried(client),
    get ready () { return answers > 0 },
    scan: async (from, match) => await client.scan(from, match, 10),
    batch: async (commands) => {
      if (answers === 0) return commands.map(() => ({ ok: false, error: new Error('gone') }))
      answers--
      return await client.batch(commands)
    }
  }
  const { store, log, clock, entry } = bench({ client: leaving, retryAttempts: 0, prefix: 'cut short:' })
  const ticket = log.ticket()
  await store.writeMany(Array.from({ length: 100 }, (_, index) => [`k${index}`, entry({ value: index }), ticket] as const))
  answers = 2
  await store.wipe()
  t.equal(answers, 0)
  const left = async (): Promise<number> => (await client.call(['KEYS', 'cut short:*']) as unknown[]).length
  const cutShort = await left()
  t.ok(cutShort > 0 && cutShort < 100)
  clock.advance(5000)
  t.equal(await left(), cutShort)
  answers = Infinity
  clock.advance(5000)
  await until('all are gone', async () => await left() === 0)
})

t.test('a wipe that Redis refuses is not tried again, nor one of a store that is closed', async (t) => {
  let scans = 0
  let refusal = 'NOPERM this user has no permissions to run the command'
  const refusing: RedisClient = { ...unhurried(client), ready: true, scan: async () => { scans++; throw Object.assign(new Error(refusal), { name: 'ReplyError' }) } }
  const { store, clock } = bench({ client: refusing, retryAttempts: 0 })
  await store.wipe()
  clock.advance(60_000)
  t.equal(scans, 1)
  refusal = 'READONLY You can not write against a read only replica.'
  await store.wipe()
  t.equal(scans, 2)
  clock.advance(5000)
  t.equal(scans, 3, 'but what passes by itself is waited for')
  await turns()
  store.close()
  clock.advance(60_000)
  t.equal(scans, 3)
})

t.test('with the log cut off nothing is served, with the log behind nothing before it has caught up', async (t) => {
  const clock = fakeClock(Date.now())
  const local = createLocalLog({ clock })
  let state: InvalidationLog['state'] = 'current'
  let reached = true
  let syncs = 0
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
    sync: async () => { syncs++; if (reached) await local.append({ keys: ['purged'] }); return reached }
  }
  const prefix = freshPrefix()
  const { store, entry } = bench({ log, prefix })
  for (const key of ['kept', 'purged']) await store.write(key, entry({ value: 1 }), log.ticket())
  t.equal((await store.read('purged'))?.value, 1)
  t.equal(syncs, 0)
  state = 'behind'
  t.equal(await store.read('purged'), undefined)
  t.equal((await store.read('kept'))?.value, 1)
  t.equal(syncs, 2)
  reached = false
  t.same(await store.readMany(['kept']), [undefined])
  state = 'alone'
  t.equal(await store.read('kept'), undefined)
  state = 'current'
  reached = true
  const strict = bench({ log, prefix, strict: true })
  syncs = 0
  t.equal((await strict.store.read('kept'))?.value, 1)
  t.equal(syncs, 1, 'strict asks every time')
})

t.test('a Redis without room refuses fills, without being asked again and again, and frees all the same', async (t) => {
  const full = await startRedis()
  const redis = openRedis(full.url, { deadlineMs: 20_000 })
  t.teardown(async () => { await redis.close(); await full.stop() })
  await until('Redis answers', () => redis.ready)
  const { store, log, entry, clock } = bench({ client: redis })
  await store.write('k', entry({ value: 1 }), log.ticket())
  await redis.call(['CONFIG', 'SET', 'maxmemory', '1'])
  t.same(await store.write('j', entry({ value: 1 }), log.ticket()), { stored: false, reason: 'unavailable' })
  t.same(await store.write('j', entry({ value: 1 }), log.ticket()), { stored: false, reason: 'unavailable' })
  t.equal(store.faults.reply, 1)
  t.equal(await store.remove(['k']), 1)
  await redis.call(['CONFIG', 'SET', 'maxmemory', '0'])
  clock.advance(1000)
  t.same(await store.write('j', entry({ value: 1 }), log.ticket()), { stored: true })
})

t.test('without Redis it answers at once that it holds nothing', async (t) => {
  const dying = await startRedis()
  const redis = openRedis(dying.url)
  t.teardown(async () => { await redis.close(); await dying.stop() })
  await until('Redis answers', () => redis.ready)
  const { store, log, entry } = bench({ client: redis })
  await store.write('k', entry({ value: 1 }), log.ticket())
  dying.freeze()
  t.equal(await store.read('k'), undefined)
  t.same(await store.readMany(['k', 'j']), [undefined, undefined])
  t.match(await store.write('k', entry({ value: 2 }), log.ticket()), { stored: false, reason: 'unavailable' })
  t.equal(await store.remove(['k']), 0)
  await dying.kill()
  await until('the connection is lost', () => !redis.ready)
  t.equal(store.read('k'), undefined, 'not even a promise')
  t.same(store.readMany(['k']), [undefined])
  t.same(await store.scan(undefined, 10), { entries: [], cursor: undefined })
  await store.wipe()
  t.ok(store.faults.unavailable > 0)
})

t.test('options that make no sense are refused', async (t) => {
  t.throws(() => new RedisCache({ client, prefix: 'a{b}' }), { code: 'FST_ERR_CACHE_OPTION' })
  t.throws(() => new RedisCache({ client, maxEntryBytes: 0 }), { code: 'FST_ERR_CACHE_OPTION' })
})
