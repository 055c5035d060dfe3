import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import cache, { CacheManager, type CachePluginOptions } from 'fastify-response-cache'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { createRedisLog } from '../../lib/invalidation/redis-log.ts'
import { createRedisLeases } from '../../lib/leases/redis-leases.ts'
import { openRedis } from '../../lib/redis/open.ts'
import { permissionLine, type RefusalKind } from '../../lib/redis/permission.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { projectRoot } from '../support/source-tree.ts'
import { holds } from '../support/until.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

// Most of the time is spent waiting until something is tried again.
t.jobs = 4

type Test = Parameters<Parameters<typeof t.test>[0]>[0]

const ALL = '~frc:* &frc:* -@all +hello +info +ping +time +quit +getrange +get +set +unlink +del +exists +pexpire +persist +scan +eval +evalsha +xadd +xrange +xrevrange +publish +subscribe'

async function setUp (t: Test): Promise<{ server: TestRedis, admin: Redis, allow: (rules: string) => Promise<void> }> {
  const server = await startRedis()
  const admin = new Redis(server.url)
  t.teardown(async () => {
    admin.disconnect()
    await server.stop()
  })
  return { server, admin, allow: async (rules) => { await admin.call('ACL', 'SETUSER', 'shop', 'on', '>secret', 'resetkeys', 'resetchannels', '-@all', ...rules.split(' ')) } }
}

/** How often the server was asked to run a script, whether it did or not: each of the log's heartbeats does. */
async function scriptsAsked (admin: Redis): Promise<number> {
  const [, ran, refused] = /cmdstat_evalsha:calls=(\d+).*rejected_calls=(\d+)/.exec(await admin.info('commandstats')) ?? []
  return Number(ran ?? 0) + Number(refused ?? 0)
}

const once = async (listen: (told: () => void) => void): Promise<void> => { await new Promise<void>((resolve) => { listen(resolve) }) }

interface Shop { readonly app: FastifyInstance, readonly lines: () => string[], readonly faults: unknown[] }

async function shop (t: Test, { port }: TestRedis, options: CachePluginOptions = {}): Promise<Shop> {
  const lines: string[] = []
  const faults: unknown[] = []
  const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg) } } } })
  t.teardown(async () => { await app.close() })
  await app.register(cache, { strategy: 'hybrid', redisUrl: `redis://shop:secret@127.0.0.1:${port}`, redisPrefix: 'frc:', monitor: false, audit: false, ...options })
  app.cache.on('fault', (fault) => { faults.push(fault) })
  await app.ready()
  return { app, lines: () => lines.filter((line) => line.startsWith('cache: ')), faults }
}

t.test('what is told to be needed is what docs/redis.md says', async (t) => {
  const documented = /ACL SETUSER cache on >secret (.*)$/m.exec(await readFile(projectRoot + 'docs/redis.md', 'utf8'))?.[1] ?? ''
  t.equal(documented, ALL)
  const lineFor = async (source: Parameters<typeof openRedis>[0], kind: RefusalKind, prefix = 'frc:'): Promise<string> => {
    const connection = openRedis(source)
    await connection.close()
    return permissionLine(connection.raw, prefix, kind)
  }
  const url = 'redis://cache:secret@127.0.0.1:1'
  const [keys, channels, , ...commands] = documented.split(' ')
  t.same((await lineFor(url, 'commands')).split(' '), ['ACL', 'SETUSER', 'cache', ...commands], 'and takes nothing away from a user who may do more')
  t.same((await lineFor(url, 'keys')).split(' '), ['ACL', 'SETUSER', 'cache', keys, ...commands])
  t.same((await lineFor(url, 'channels')).split(' '), ['ACL', 'SETUSER', 'cache', channels, ...commands])
  t.match(await lineFor('redis://127.0.0.1:1/2', 'keys', 'a*[b]:'), /^ACL SETUSER default ~a\\\*\\\[b\\\]:\* .* \+select$/, 'a prefix is taken literally')
  t.match(await lineFor({ cluster: [{ host: '127.0.0.1', port: 1 }], options: { redisOptions: { username: 'u' } } }, 'commands'), /^ACL SETUSER u .* \+cluster$/)
})

for (const { name, rules, speaks } of [
  { name: 'no channels, as a user of Redis 7 with ~* +@all', rules: '~* +@all', speaks: true },
  { name: 'no SUBSCRIBE', rules: `${ALL} -subscribe`, speaks: true },
  { name: 'no PUBLISH', rules: `${ALL} -publish`, speaks: true },
  { name: 'no scripts', rules: `${ALL} -eval -evalsha`, speaks: false },
  { name: 'no XRANGE', rules: `${ALL} -xrange`, speaks: true },
  { name: 'no XADD', rules: `${ALL} -xadd`, speaks: true },
  { name: 'no keys of ours', rules: ALL.replace('~frc:*', '~other:*'), speaks: false }
]) {
  t.test(`F21 ${name}: one warning with the cure, no word of sharing, and nothing stale beyond what is agreed to`, async (t) => {
    const { server, admin, allow } = await setUp(t)
    await allow(rules)
    const one = await shop(t, server)
    const other = await shop(t, server)
    await holds(() => one.faults.length > 0 || one.lines().length > 0)
    await other.app.cache.getOrSet('price', () => 1)
    const bounded = await other.app.cache.get('price')
    const reach = (await one.app.cache.invalidate({ keys: ['price'] })).reach
    t.equal(reach, speaks ? 'everywhere' : 'here')
    const states = [one, other].map(({ app }) => app.cache.parts.log.state)
    if (reach === 'everywhere' && states.includes('behind')) t.equal(await other.app.cache.get('price'), undefined, 'the other looks at the log before it serves')
    t.notOk(states.includes('current'), 'nobody believes to be in step')
    t.equal(bounded, 1)
    const records = await admin.xlen('frc:log')
    const asked = await scriptsAsked(admin)
    await holds(async () => await scriptsAsked(admin) >= asked + 3)
    t.equal(await admin.xlen('frc:log'), records, 'nothing is written again and again')
    for (const { lines } of [one, other]) {
      t.equal(lines().length, 1)
      t.match(lines()[0], /^cache: Redis at 127\.0\.0\.1:\d+ does not let its user do all that the cache needs \((NOPERM|ERR The user executing the script can't) [^)]*\)\. .*ACL SETUSER shop ([~&]frc:\* )?\+hello .*\+subscribe$/)
      t.notMatch(lines()[0], /user_script/)
    }

    const line = /ACL SETUSER .*$/.exec(one.lines()[0] ?? '')?.[0] ?? ''
    await admin.call('ACL', ...line.split(' ').slice(1))
    await holds(() => [one, other].every(({ lines }) => lines().length > 1))
    for (const { app, lines } of [one, other]) {
      t.match(lines().slice(1), [/answers; the cache is shared from now on/])
      await holds(() => app.cache.parts.log.state === 'current')
    }
    await one.app.cache.set('price', 2)
    await holds(async () => await other.app.cache.get('price') === 2)
    t.equal((await one.app.cache.invalidate({ keys: ['price'] })).reach, 'everywhere')
    await holds(async () => await other.app.cache.get('price') === undefined)
  })
}

t.test('F21 a right that is taken away is missed, without one sharing is over, and it is told again', async (t) => {
  const { server, admin, allow } = await setUp(t)
  await allow(ALL)
  const { app, lines } = await shop(t, server)
  await holds(() => lines().length === 1)
  await admin.call('ACL', 'SETUSER', 'shop', '-publish')
  await holds(() => lines().length === 2)
  await holds(() => app.cache.parts.log.state === 'behind')
  const sharedAgain = once((told) => { app.cache.on('connection', ({ ready }) => { if (ready) told() }) })
  await admin.call('ACL', 'SETUSER', 'shop', '+publish')
  await sharedAgain
  await admin.call('ACL', 'SETUSER', 'shop', '-publish')
  await holds(() => lines().length === 4)
  t.match(lines(), [/shared from now on/, /does not let its user/, /shared from now on/, /does not let its user/])
})

t.test('F21 strict: without a log to ask nothing is served', async (t) => {
  const { server, allow } = await setUp(t)
  await allow(`${ALL} -evalsha -eval`)
  const { app } = await shop(t, server, { consistency: 'strict' })
  await app.cache.set('price', 1)
  t.equal(await app.cache.get('price'), undefined)
})

t.test('F21 without a command of the entries the purges go on, and one warning tells', async (t) => {
  const { server, allow } = await setUp(t)
  await allow(`${ALL} -getrange -set`)
  const { app, lines, faults } = await shop(t, server)
  for (let n = 0; n < 5; n++) {
    await app.cache.set(`k${n}`, n)
    await app.cache.get(`other${n}`)
  }
  t.equal(await app.cache.get('k1'), 1, 'memory serves')
  t.equal((await app.cache.invalidate({ keys: ['k1'] })).reach, 'everywhere')
  t.match(faults, [{ where: 'redis', error: { code: 'FST_ERR_CACHE_REDIS_PERMISSION', statusCode: 503 } }])
  t.equal(lines().filter((line) => line.includes('ACL SETUSER')).length, 1)
})

t.test('F21 F45 a user without INFO needs none, and nothing is printed', async (t) => {
  const { server, allow } = await setUp(t)
  const printed: unknown[] = []
  const { warn, error } = console
  console.warn = console.error = (...args: unknown[]) => { printed.push(args) }
  t.teardown(() => { Object.assign(console, { warn, error }) })
  await allow(`${ALL} -info`)
  const manager = new CacheManager({ strategy: 'hybrid', redisUrl: `redis://shop:secret@127.0.0.1:${server.port}`, redisPrefix: 'frc:' })
  await manager.initialize()
  await holds(() => manager.parts.log.state === 'current')
  await manager.close()
  t.same(printed, [])
})

t.test('F21 what is refused is asked for less and less often, and at once on a new connection', async (t) => {
  const { server, admin, allow } = await setUp(t)
  await allow(`${ALL} -evalsha`)
  const connection = openRedis(`redis://shop:secret@127.0.0.1:${server.port}`, { deadlineMs: 10_000 })
  t.teardown(async () => { await connection.close() })
  t.equal(await connection.opened({ withinMs: 5000 }), true)
  const clock = fakeClock()
  const refusals: Array<string | undefined> = []
  const log = createRedisLog({ client: connection, clock, prefix: 'frc:', deadlineMs: 10_000, onRefusal: (why) => { refusals.push(why) } })
  t.teardown(async () => { await log.close() })
  const refused = async (): Promise<number> => Number(/cmdstat_evalsha:.*rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
  await holds(() => log.refusal !== undefined && log.state === 'alone')
  t.equal(await log.append({ keys: ['k'] }), 'here')
  const before = await refused()
  for (let second = 0; second < 100; second++) {
    clock.advance(1000)
    t.equal(await log.append({ keys: [`k${second}`] }), 'here')
    t.equal(await log.sync(), false)
    await sleep(1)
  }
  // A hundred seconds with a purge, a look, a beat and a try of the log in each of them.
  t.ok(await refused() - before < 60, 'asked for about once in ten seconds each', { before, after: await refused() })
  t.match(refusals, [/NOPERM/], 'told once')

  await admin.call('ACL', 'SETUSER', 'shop', '+evalsha')
  await admin.client('KILL', 'USER', 'shop')
  await holds(() => log.state === 'current')
  await holds(() => log.health().queued === 0)
  t.equal(log.refusal, undefined)
  t.same(refusals.slice(1), [undefined])
})

t.test('F13 a Redis that stays read-only is told once, with the cure, and again when it has taken writes meanwhile', async (t) => {
  const { server, admin, allow } = await setUp(t)
  await allow(ALL)
  const { app, lines, faults } = await shop(t, server)
  const told = (): string[] => lines().filter((line) => line.includes('READONLY'))
  const reach = async (): Promise<string> => (await app.cache.invalidate({ tags: ['t'] })).reach
  await holds(async () => await reach() === 'everywhere')
  for (const times of [1, 2]) {
    await admin.replicaof('127.0.0.1', 1)
    await holds(async () => await reach() === 'here' && told().length === times)
    t.match(told().at(-1), /takes no writes \(READONLY [^)]*\)\..*purges of this instance hold here and wait.*REPLICAOF NO ONE/)
    t.match(faults.at(-1), { where: 'redis', error: { code: 'FST_ERR_CACHE_REDIS_READ_ONLY', statusCode: 503 } })
    t.ok(app.cache.parts.log.queued > 0)
    await admin.replicaof('NO', 'ONE')
    await holds(async () => app.cache.parts.log.queued === 0 && await reach() === 'everywhere')
    t.equal(told().length, times)
  }
})

t.test('F21 no lease is taken that cannot be given back', async (t) => {
  const { server, admin, allow } = await setUp(t)
  await allow(`${ALL} -evalsha`)
  const connection = openRedis(`redis://shop:secret@127.0.0.1:${server.port}`, { deadlineMs: 10_000 })
  t.teardown(async () => { await connection.close() })
  await connection.opened({ withinMs: 5000 })
  let laterMs = 0
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + laterMs }
  const leases = createRedisLeases({ client: connection, clock, prefix: 'frc:', leaseMs: 50 })
  t.teardown(async () => { await leases.close() })
  const lease = await leases.acquire('k')
  if (typeof lease === 'string') throw new Error(lease)
  await lease.release()
  t.equal(leases.available, false)
  t.equal(await leases.acquire('k'), 'unavailable')
  await admin.call('ACL', 'SETUSER', 'shop', '+evalsha')
  laterMs = 60_000
  t.equal(leases.available, true, 'it is tried again after a while')
})
