import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'

import { Redis } from 'ioredis'
import t from 'tap'

import { systemClock, type Clock } from '../../../lib/clock.ts'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { createRedisLog } from '../../../lib/invalidation/redis-log.ts'
import { createRedisLeases } from '../../../lib/leases/redis-leases.ts'
import type { RedisConnection } from '../../../lib/redis/connection.ts'
import { Guard } from '../../../lib/redis/guard.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { createServerClock } from '../../../lib/redis/server-clock.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { deferred, turns, type Deferred } from '../../support/cached-app.ts'
import { entryOf } from '../../support/entries.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { loopMs } from '../../support/loop-time.ts'
import { freePort, startRedis } from '../../support/redis-server.ts'
import { projectRoot } from '../../support/source-tree.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { holds } from '../../support/until.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

// Most of the time is spent waiting for what a server does.
t.jobs = 6

/** For what is not about time, of a connection or of one call: a machine that is busy is no silent Redis. */
const PATIENT = { deadlineMs: 10_000 }

const UNAVAILABLE = { code: 'FST_ERR_CACHE_REDIS_UNAVAILABLE' }

/** How many calls waited for their deadline, of those that come one after the other. */
async function callsThatWaited (connection: RedisConnection, calls: number): Promise<number> {
  let waited = 0
  for (let n = 0; n < calls; n++) {
    await connection.call(['GET', 'k']).catch((error: Error) => { if (/no answer within/.test(error.message)) waited++ })
    await sleep(1)
  }
  return waited
}

t.test('to load the driver does not make the strings of the whole process slow', async (t) => {
  setFlagsFromString('--allow-natives-syntax')
  t.equal(runInThisContext('%HasFastProperties(String.prototype)'), true)
})

t.test('commands, batches and scripts answer', async (t) => {
  const server = await startRedis()
  const redis = openRedis(server.url, PATIENT)
  t.teardown(async () => { await redis.close(); await server.stop() })
  t.equal(await redis.opened({ withinMs: 60_000 }), true)
  t.equal(redis.ready, true)
  t.equal(await redis.call(['SET', 'k', Buffer.from([0xff, 0]), 'PX', 60_000]), 'OK')
  t.same(await redis.callBuffer(['GET', 'k']), Buffer.from([0xff, 0]))
  t.equal(await redis.call(['GET', 'nothing']), null)
  await redis.call(['RPUSH', 'list', 'a'])
  const outcomes = await redis.batch([['GET', 'k'], ['GET', 'list'], ['GET', 'nothing']])
  t.same(outcomes[0], { ok: true, reply: Buffer.from([0xff, 0]) })
  t.match(outcomes[1], { ok: false, error: { name: 'ReplyError', message: /^WRONGTYPE/ } })
  t.same(outcomes[2], { ok: true, reply: null })
  t.same(await redis.batch([]), [])
  await t.rejects(redis.call(['GET', 'list']), { name: 'ReplyError' })
  t.equal(redis.ready, true, 'an error of Redis itself is an answer')
  const script = 'return {KEYS[1], ARGV[1], redis.call("GET", KEYS[1])}'
  await redis.call(['SET', 's', 'v'])
  t.same(await redis.script(script, ['s'], ['x']), ['s', 'x', 'v'])
  await redis.call(['SCRIPT', 'FLUSH'])
  t.same(await redis.script(script, ['s'], ['x']), ['s', 'x', 'v'], 'a server that forgot the script is told again')
  await t.rejects(redis.script('return redis.call("INCR", KEYS[1])', ['list'], []), { name: 'ReplyError' })
  await t.rejects(redis.call(['NOSUCHCOMMAND']), UNAVAILABLE)
  t.ok(Math.abs(redis.now() - Date.now()) < 1000)
})

t.test('a scan passes every key once, page by page', async (t) => {
  const server = await startRedis()
  const redis = openRedis({ host: server.host, port: server.port }, PATIENT)
  t.teardown(async () => { await redis.close(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  await redis.batch(Array.from({ length: 500 }, (_, index) => ['SET', `a:${index}`, index] as const))
  await redis.call(['SET', 'b:1', 1])
  const seen = new Set<string>()
  let pages = 0
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const page = await redis.scan(cursor, 'a:*', 50)
    for (const key of page.keys) seen.add(key)
    cursor = page.cursor
    pages++
  }
  t.equal(seen.size, 500)
  t.ok(pages > 1)
  t.same(await redis.scan('no such node/17', 'a:*', 10), { keys: [], cursor: undefined })
})

t.test('with nobody at the other end the boot goes on, calls fail at once, and Redis is used when it appears', async (t) => {
  const port = await freePort()
  const redis = openRedis({ host: '127.0.0.1', port })
  const startedAt = loopMs()
  t.equal(await redis.opened({ withinMs: 50 }), false)
  await t.rejects(redis.call(['GET', 'k']), UNAVAILABLE)
  t.match((await redis.batch([['GET', 'k']]))[0], { ok: false, error: UNAVAILABLE })
  t.ok(loopMs() - startedAt < 2000)
  const changes: boolean[] = []
  redis.onChange((ready) => changes.push(ready))
  const server = await startRedis([], port)
  t.teardown(async () => { await redis.close(); await server.stop() })
  await holds(() => redis.ready)
  t.equal(await redis.call(['PING'], PATIENT), 'PONG')
  t.same(changes, [true])
})

t.test('a required Redis that is not there is an error that names it, without its password', async (t) => {
  const port = await freePort()
  const redis = openRedis(`redis://user:secret@127.0.0.1:${port}`)
  await holds(() => redis.trouble.includes('ECONNREFUSED'))
  await t.rejects(redis.opened({ withinMs: 50, required: true }), { code: 'FST_ERR_CACHE_REDIS_REQUIRED', message: new RegExp(`127\\.0\\.0\\.1:${port}.*ECONNREFUSED`) })
  await redis.close()
  const wrong = await startRedis(['--requirepass', 'right'])
  const locked = openRedis(wrong.url)
  await holds(() => locked.trouble.includes('NOAUTH'))
  await t.rejects(locked.opened({ withinMs: 300, required: true }), { code: 'FST_ERR_CACHE_REDIS_REQUIRED', message: /NOAUTH/ })
  await locked.close()
  await wrong.stop()
})

t.test('a user who may do little more than the cache needs suffices', async (t) => {
  const server = await startRedis()
  const admin = openRedis(server.url, PATIENT)
  await admin.opened({ withinMs: 60_000 })
  // As docs/redis.md has it.
  const rules = /ACL SETUSER cache on >secret (.*)$/m.exec(await readFile(projectRoot + 'docs/redis.md', 'utf8'))?.[1] ?? ''
  await admin.call(['ACL', 'SETUSER', 'cache', 'on', '>secret', ...rules.split(' ')])
  const redis = openRedis({ host: server.host, port: server.port, username: 'cache', password: 'secret' }, PATIENT)
  t.teardown(async () => { await redis.close(); await admin.close(); await server.stop() })
  t.equal(await redis.opened({ withinMs: 60_000, required: true }), true)
  const log = createLocalLog({ clock: systemClock })
  const store = new RedisCache({ client: redis, log })
  const leases = createRedisLeases({ client: redis, clock: systemClock, prefix: 'frc:' })
  const lease = await leases.acquire('k')
  if (typeof lease === 'string') throw new Error(lease)
  const ticket = { ...log.ticket(), lease: lease.token }
  t.same(await store.write('k', entryOf({ value: 1, ticket, clock: systemClock }), ticket), { stored: true })
  t.equal((await store.read('k'))?.value, 1)
  t.equal((await store.scan(undefined, 100)).entries.length, 1)
  t.equal(await leases.wait('k', 1000), 'free')
  t.equal(await store.remove(['k']), 1)
  t.same(Object.values(store.faults).filter((count) => count > 0), [])
  const shared = createRedisLog({ client: redis, clock: systemClock, prefix: 'frc:', heartbeatMs: 20, ...PATIENT })
  await holds(() => shared.state === 'current')
  t.equal(await shared.append({ keys: ['k'] }), 'everywhere')
  const listener = new Redis(server.port)
  t.teardown(() => { listener.disconnect() })
  let echoes = 0
  listener.on('pmessage', () => { echoes++ })
  await listener.psubscribe('frc:log:echo:*')
  await holds(() => echoes > 2 && shared.state === 'current')
  t.equal(shared.health().sent, 1)
  await shared.close()
  await t.rejects(redis.call(['FLUSHALL']), { name: 'ReplyError', message: /NOPERM/ })
})

t.test('a server that does not tell the time is not ready until it does', async (t) => {
  const server = await startRedis()
  const admin = openRedis(server.url, PATIENT)
  await admin.opened({ withinMs: 60_000 })
  await admin.call(['ACL', 'SETUSER', 'cache', 'on', '>secret', '~*', '+@all', '-time'])
  let syncs = 0
  const hurried: Clock = { now: systemClock.now, after: (delayMs, task) => systemClock.after(Math.min(delayMs, 20), () => { syncs += delayMs === 10_000 ? 1 : 0; task() }) }
  const redis = openRedis(`redis://cache:secret@${server.host}:${server.port}`, { clock: hurried, deadlineMs: 5000 })
  t.teardown(async () => { await redis.close(); await admin.close(); await server.stop() })
  await holds(() => redis.trouble.startsWith('NOPERM'))
  t.equal(redis.ready, false)
  await admin.call(['ACL', 'SETUSER', 'cache', '+time'])
  await holds(() => redis.ready)
  await holds(() => syncs > 2)
  t.ok(Math.abs(redis.now() - Date.now()) < 1000, 'and the clocks are compared again and again')
})

t.test('the time of the server is taken from quick answers', async (t) => {
  const clock = fakeClock()
  const realMs = clock.now()
  let answer: unknown = [String(Math.floor(realMs / 1000) + 3600), '0']
  let tookMs = 0
  const server = createServerClock(clock, async () => { clock.advance(tookMs); return answer })
  await server.sync(true)
  t.equal(server.now() - clock.now(), 3_600_000)
  tookMs = 100
  answer = [String(Math.floor(realMs / 1000) + 9000), '0']
  await server.sync(false)
  t.equal(server.now() - clock.now(), 3_600_000, 'a slow answer does not replace a good one')
  await server.sync(true)
  t.equal(server.now() - clock.now(), 9_000_000 - 150, 'unless it is the first one of a new server')
  tookMs = 600
  await t.rejects(server.sync(true), RangeError)
  tookMs = 0
  for (const junk of [null, 'now', [], ['x', 'y'], ['1']]) {
    answer = junk
    await t.rejects(server.sync(true), TypeError)
  }
})

t.test('TLS, by URL and by options', { skip: spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed' }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'response-cache-tls-'))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert])
  const port = await freePort()
  const server = await startRedis(['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no'])
  const ca = await readFile(cert)
  const trusting = openRedis({ url: `rediss://127.0.0.1:${port}`, tls: { ca } }, PATIENT)
  const suspicious = openRedis(`rediss://127.0.0.1:${port}`)
  t.teardown(async () => { await trusting.close(); await suspicious.close(); await server.stop(); await rm(dir, { recursive: true }) })
  t.equal(await trusting.opened({ withinMs: 60_000 }), true)
  t.equal(await trusting.call(['PING']), 'PONG')
  await holds(() => /certificate/i.test(suspicious.trouble))
  await t.rejects(suspicious.opened({ withinMs: 300, required: true }), { message: /certificate/i })
  let subscribed = false
  const subscriber = trusting.subscriber()
  subscriber.start(['news'], { message: () => {}, subscribed: () => { subscribed = true }, lost: () => {} })
  await holds(() => subscribed)
})

t.test('sources that are none are refused', async (t) => {
  t.throws(() => openRedis('http://user:secret@127.0.0.1'), { code: 'FST_ERR_CACHE_OPTION', message: /\/\/\*\*\*@127/ })
  t.throws(() => openRedis({ cluster: [] }), { code: 'FST_ERR_CACHE_OPTION' })
  for (const source of [5, null, {}, [], { url: undefined }, { cluster: 'a' }, { db: Number.NaN, host: '127.0.0.1' }, '127.0.0.1:6379', 'redis://127.0.0.1/zz', 'redis://127.0.0.1?db=zz', 'redis://u:%zz@127.0.0.1', 'redis:']) {
    t.throws(() => openRedis(source as string), { code: 'FST_ERR_CACHE_OPTION', message: /^Option redis/ }, JSON.stringify(source))
  }
  for (const source of ['redis://u:SECRET@127.0.0.1:abc', 'redis://u:SE/CR@T@h:abc', 'u:SECRET@127.0.0.1', 'redis://h:abc?password=SECRET', { url: 'redis://u:SECRET@h:abc' }]) {
    t.throws(() => openRedis(source), { code: 'FST_ERR_CACHE_OPTION', message: /\*\*\*/, input: undefined }, JSON.stringify(source))
    try { openRedis(source) } catch (error) { t.notMatch(inspect(error), /SECRET|SE\/|CR@T/) }
  }
})

t.test('a database that the server does not have is never another one', async (t) => {
  const server = await startRedis(['--databases', '4'])
  const redis = openRedis(`${server.url}/9`)
  const fine = openRedis({ url: server.url, db: 3 }, PATIENT)
  t.teardown(async () => { await redis.close(); await fine.close(); await server.stop() })
  await holds(() => redis.trouble.includes('database 9'))
  await t.rejects(redis.opened({ withinMs: 300, required: true }), { code: 'FST_ERR_CACHE_REDIS_REQUIRED', message: /database 9 cannot be selected/ })
  t.equal(redis.ready, false)
  await t.rejects(redis.call(['SET', 'k', 'v']), UNAVAILABLE)
  t.equal(await fine.opened({ withinMs: 60_000 }), true)
  await fine.call(['SET', 'k', 'in 3'])
  const zero = new Redis(server.url)
  t.equal(await zero.dbsize(), 0)
  await zero.select(3)
  t.equal(await zero.get('k'), 'in 3')
  await zero.quit()
})

t.test('a connection that is closed here is no loss, and shows no password', async (t) => {
  const server = await startRedis(['--requirepass', 'SECRET'])
  const redis = openRedis(server.url.replace('//', '//:SECRET@'))
  t.teardown(async () => { await server.stop() })
  t.equal(await redis.opened({ withinMs: 60_000 }), true)
  t.notMatch(JSON.stringify(redis) + inspect(redis, { depth: 9, showHidden: true }), 'SECRET')
  const changes: boolean[] = []
  redis.onChange((ready) => { changes.push(ready) })
  await redis.close()
  t.equal(redis.ready, false)
  t.same(changes, [])
})

t.test('a frozen server costs one deadline, then nothing, and is used again when it thaws', async (t) => {
  const server = await startRedis()
  const redis = openRedis(server.url, { deadlineMs: 100 })
  t.teardown(async () => { await redis.close(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  const changes: boolean[] = []
  redis.onChange((ready) => changes.push(ready))
  server.freeze()
  t.equal(await callsThatWaited(redis, 50), 1)
  t.equal(redis.ready, false)
  server.thaw()
  const thawedAt = performance.now()
  await holds(() => redis.ready)
  t.comment(`back after ${(performance.now() - thawedAt).toFixed(0)} ms`)
  t.equal(await redis.call(['PING'], PATIENT), 'PONG')
  t.equal(changes[0], false)
  t.equal(changes.at(-1), true)
})

t.test('a server that dies and comes back', async (t) => {
  const server = await startRedis()
  const redis = openRedis(server.url)
  t.teardown(async () => { await redis.close(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  await server.kill()
  await holds(() => !redis.ready)
  await t.rejects(redis.call(['GET', 'k']), UNAVAILABLE)
  await server.restart()
  await holds(() => redis.ready)
  t.equal(await redis.call(['PING'], PATIENT), 'PONG')
})

t.test('a silent network: the connection is replaced', async (t) => {
  const server = await startRedis()
  const proxy = await startTcpProxy(server.port)
  const redis = openRedis(proxy.url, { deadlineMs: 100 })
  t.teardown(async () => { await redis.close(); await proxy.close(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  proxy.mode = 'blackhole'
  t.equal(await callsThatWaited(redis, 5), 1)
  // What the proxy swallowed is lost for good, so only a new connection can work.
  proxy.mode = 'pass'
  await holds(() => redis.ready)
  t.equal(await redis.call(['PING'], PATIENT), 'PONG')
})

t.test('a command whose answer was lost is neither sent again nor waited for', async (t) => {
  const server = await startRedis()
  const proxy = await startTcpProxy(server.port)
  const redis = openRedis(proxy.url, { deadlineMs: 2000 })
  const direct = openRedis(server.url, PATIENT)
  t.teardown(async () => { await redis.close(); await direct.close(); await proxy.close(); await server.stop() })
  await Promise.all([redis.opened({ withinMs: 60_000 }), direct.opened({ withinMs: 60_000 })])
  proxy.mode = 'drop-replies'
  const calls = Array.from({ length: 5 }, async () => { await t.rejects(redis.call(['INCR', 'n']), UNAVAILABLE) })
  let counted = 0
  while (counted < 5) { counted = Number(await direct.call(['GET', 'n'])); await sleep(5) }
  proxy.cut()
  proxy.mode = 'pass'
  await Promise.all(calls)
  await holds(() => redis.ready)
  await redis.call(['PING'], PATIENT)
  t.equal(await direct.call(['GET', 'n']), '5')
})

t.test('a slow server is given up at the deadline', async (t) => {
  const server = await startRedis()
  const proxy = await startTcpProxy(server.port)
  const redis = openRedis(proxy.url, { deadlineMs: 50 })
  t.teardown(async () => { await redis.close(); await proxy.close(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  proxy.mode = 300
  t.equal(await redis.call(['GET', 'k'], { deadlineMs: 5000 }), null, 'unless the caller has more time')
  await t.rejects(redis.call(['GET', 'k']), { ...UNAVAILABLE, message: /within 50 ms/ })
})

t.test('while an answer is overdue nobody waits, and Redis is asked again as soon as it has come', async (t) => {
  const server = await startRedis()
  // The circuit would not ask by itself before the test is over.
  const patient: Clock = { now: systemClock.now, after: (delayMs, task) => systemClock.after(delayMs === 250 ? 3_600_000 : delayMs, task) }
  const redis = openRedis(server.url, { deadlineMs: 500, clock: patient })
  t.teardown(async () => { await redis.close(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  await t.rejects(redis.call(['DEBUG', 'SLEEP', '0.8']), /no answer within 500 ms/)
  t.equal(redis.ready, false)
  await t.rejects(redis.call(['GET', 'k']), /waiting for it to come back/)
  await holds(() => redis.ready)
  t.equal(await redis.call(['PING'], PATIENT), 'PONG')
})

interface GuardScene { readonly clock: ReturnType<typeof fakeClock>, readonly guard: Guard, readonly probes: Array<Deferred<unknown>> }

function guardScene ({ inOrder = true } = {}): GuardScene {
  const clock = fakeClock()
  const probes: Array<Deferred<unknown>> = []
  const probe = async (): Promise<unknown> => await (probes[probes.push(deferred<unknown>()) - 1]?.promise)
  return { clock, probes, guard: new Guard({ clock, deadlineMs: 200, inOrder, connected: () => true, probe, onChange: () => {} }) }
}

/** A call that is late, and what is to come of it. */
async function late ({ clock, guard }: GuardScene): Promise<Deferred<unknown>> {
  const answer = deferred<unknown>()
  const called = guard.run(async () => await answer.promise)
  called.catch(() => {})
  clock.advance(200)
  await called.catch(() => {})
  return answer
}

t.test('a Redis that is slow all the time is not used, however often an answer comes after all', async (t) => {
  const scene = guardScene()
  const { guard, clock, probes } = scene
  const answer = await late(scene)
  t.equal(guard.open, false)
  answer.resolve('at last')
  await turns()
  t.equal(probes.length, 1)
  for (let round = 1; round < 5; round++) {
    clock.advance(200)
    await turns()
    t.equal(guard.open, false)
    probes.at(-1)?.resolve('PONG')
    await turns()
    t.equal(probes.length, round + 1, 'the answer to the probe was late as well')
  }
  probes.at(-1)?.resolve('PONG')
  await turns()
  t.equal(guard.open, true)
})

t.test('a late error of Redis is an answer too, a connection that breaks is none', async (t) => {
  for (const [error, probed] of [[Object.assign(new Error('ERR'), { name: 'ReplyError' }), 1], [new Error('Connection is closed.'), 0]] as const) {
    const scene = guardScene()
    const answer = await late(scene)
    answer.reject(error)
    await turns()
    t.equal(scene.probes.length, probed, error.name)
    scene.clock.advance(250)
    await turns()
    t.equal(scene.probes.length, 1, 'and after a while it is asked anyway')
  }
  const closed = guardScene()
  const answer = await late(closed)
  closed.guard.close()
  answer.resolve('at last')
  closed.clock.advance(10_000)
  await turns()
  t.equal(closed.probes.length, 0)
})

t.test('one answer that is late says nothing about the other nodes of a Cluster, three in a row do', async (t) => {
  const scene = guardScene({ inOrder: false })
  await late(scene)
  await late(scene)
  t.equal(scene.guard.open, true)
  await late(scene)
  t.equal(scene.guard.open, false)
})

t.test('a client that was handed in is guarded as well, and never closed', async (t) => {
  const server = await startRedis()
  const theirs = new Redis(server.port, '127.0.0.1')
  const redis = openRedis(theirs, { deadlineMs: 100 })
  t.teardown(async () => { theirs.disconnect(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  await redis.call(['SET', 'k', 'v'], PATIENT)
  server.freeze()
  const startedAt = loopMs()
  await t.rejects(redis.call(['GET', 'k']), UNAVAILABLE)
  t.ok(loopMs() - startedAt < 5000)
  t.equal(redis.ready, false)
  server.thaw()
  await holds(() => redis.ready)
  await redis.close()
  t.equal(redis.ready, false)
  await t.rejects(redis.call(['GET', 'k']))
  t.equal(await theirs.get('k'), 'v')
  t.equal(theirs.listenerCount('error'), 0)
  t.equal(theirs.listenerCount('ready'), 0)
})

t.test('a lazy client is woken, and one with a key prefix only lends its address', async (t) => {
  const server = await startRedis()
  const lazy = new Redis({ port: server.port, lazyConnect: true })
  const prefixed = new Redis({ port: server.port, keyPrefix: 'theirs:' })
  const first = openRedis(lazy, PATIENT)
  const second = openRedis(prefixed, PATIENT)
  t.teardown(async () => { await first.close(); await second.close(); lazy.disconnect(); prefixed.disconnect(); await server.stop() })
  t.equal(await first.opened({ withinMs: 60_000 }), true)
  t.equal(await second.opened({ withinMs: 60_000 }), true)
  await second.call(['SET', 'ours', 'v'])
  t.equal(await first.call(['GET', 'ours']), 'v')
  t.not(second.raw, prefixed)
  await holds(() => prefixed.status === 'ready')
  await second.close()
  t.equal(prefixed.status, 'ready')
})

t.test('closing is bounded, whatever the server does', async (t) => {
  const server = await startRedis()
  for (const trouble of ['none', 'frozen', 'dead'] as const) {
    const redis = openRedis(server.url)
    await redis.opened({ withinMs: 60_000 })
    const pending = trouble === 'frozen' ? redis.call(['GET', 'k']).catch(() => {}) : undefined
    if (trouble === 'frozen') server.freeze()
    if (trouble === 'dead') await server.kill()
    const startedAt = loopMs()
    await redis.close()
    await redis.close()
    t.ok(loopMs() - startedAt < 3000, trouble)
    await holds(() => redis.raw.status === 'end')
    await pending
    server.thaw()
  }
  await server.stop()
})

t.test('a server that is out of memory still answers, a master that became a replica is left', async (t) => {
  const server = await startRedis()
  const redis = openRedis(server.url, PATIENT)
  t.teardown(async () => { await redis.close(); await server.stop() })
  await redis.opened({ withinMs: 60_000 })
  await redis.call(['CONFIG', 'SET', 'maxmemory', '1'])
  await t.rejects(redis.call(['SET', 'k', 'v']), { name: 'ReplyError', message: /^OOM/ })
  t.equal(redis.ready, true)
  await redis.call(['CONFIG', 'SET', 'maxmemory', '0'])
  await redis.call(['REPLICAOF', '127.0.0.1', await freePort()])
  let closed = false
  redis.raw.once('close', () => { closed = true })
  await t.rejects(redis.call(['SET', 'k', 'v']), /READONLY/)
  await holds(() => closed && redis.ready)
})

t.test('a subscription outlives its connection and tells about the gap', async (t) => {
  const server = await startRedis()
  const proxy = await startTcpProxy(server.port)
  const redis = openRedis(server.url, PATIENT)
  const viaProxy = openRedis(proxy.url, PATIENT)
  t.teardown(async () => { await viaProxy.close(); await redis.close(); await proxy.close(); await server.stop() })
  await Promise.all([redis.opened({ withinMs: 60_000 }), viaProxy.opened({ withinMs: 60_000 })])
  const heard: string[] = []
  let subscribed = 0
  let lost = 0
  const subscriber = viaProxy.subscriber()
  subscriber.start(['news', 'other'], {
    message: (channel, message) => { heard.push(`${channel} ${message.toString()}`) },
    subscribed: () => { subscribed++ },
    lost: () => { lost++ }
  })
  await holds(() => subscribed === 1)
  await redis.call(['PUBLISH', 'news', 'one'])
  await holds(() => heard.length === 1)
  proxy.cut()
  await holds(() => subscribed === 2)
  t.equal(lost, 1)
  await redis.call(['PUBLISH', 'other', 'two'])
  await holds(() => heard.length === 2)
  t.same(heard, ['news one', 'other two'])
  subscriber.reconnect()
  await holds(() => subscribed === 3)
  t.equal(lost, 2)
  await server.kill()
  await holds(() => lost === 3)
  await server.restart()
  await holds(() => subscribed === 4)
  await subscriber.close()
  t.equal(lost, 3, 'closing is no loss')
})
