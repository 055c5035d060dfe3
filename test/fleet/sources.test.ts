import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fastifyRedis from '@fastify/redis'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import cache, { DEFAULT_CACHE_CONFIG, type CachePluginOptions } from 'fastify-response-cache'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { logNames } from '../../lib/invalidation/log-names.ts'
import { entryOf } from '../support/entries.ts'
import { programRoot, scriptArgs } from '../support/program.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startSentinels } from '../support/redis-sentinel.ts'
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts'
import { onRedis, until } from '../support/until.ts'
import { PREFIX, unnoticed } from './support/outage.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

// Most of the time is spent waiting for servers to agree.
t.jobs = 4

type Test = Parameters<Parameters<typeof t.test>[0]>[0]

interface Instance { readonly app: FastifyInstance, readonly runs: () => number }

async function start (options: CachePluginOptions, before: (app: FastifyInstance) => Promise<CachePluginOptions> = async () => ({})): Promise<Instance> {
  const app = Fastify()
  let runs = 0
  // A machine that is busy is no silent Redis.
  await app.register(cache, { strategy: 'hybrid', redisTimeout: 10, ...options, ...await before(app) })
  app.get('/value/:key', { config: { cache: { ttl: 60, tags: ['all'] } } }, async () => ({ run: ++runs }))
  await app.ready()
  await onRedis(app.cache)
  return { app, runs: () => runs }
}

/** What one stores the other has, and what one purges is gone in the other; nothing is asked of the handler twice. */
async function share (t: Test, one: Instance, other: Instance): Promise<void> {
  const keys = Array.from({ length: 12 }, (_, index) => `/value/${index}`)
  for (const url of keys) await one.app.inject(url)
  for (const url of keys) t.match((await other.app.inject(url)).headers['cache-status'], /hit/, `${url} is shared`)
  t.equal(other.runs(), 0)
  t.equal((await one.app.cache.invalidate({ tags: ['all'] })).reach, 'everywhere')
  t.equal(await other.app.cache.parts.log.sync(), true)
  for (const url of keys) t.match((await other.app.inject(url)).headers['cache-status'], /fwd=/, `${url} was purged`)
}

t.test('one server', async (t) => {
  const server = await startRedis()
  const url = await start({ redisUrl: server.url, redisPrefix: 'url:' })
  const handed = new Redis(server.port)
  handed.on('error', () => {})
  const client = await start({ redis: handed, redisPrefix: 'url:' })
  const decorated = await start({ redisPrefix: 'url:' }, async (app) => {
    await app.register(fastifyRedis, { url: server.url })
    return { redis: app.redis }
  })
  const named = await start({ redisPrefix: 'url:' }, async (app) => {
    await app.register(fastifyRedis, { url: server.url, namespace: 'cache' })
    return { redis: app.redis['cache'] as Redis }
  })
  t.teardown(async () => {
    handed.disconnect()
    await server.stop()
  })

  await t.test('redisUrl and an ioredis client', async (t) => { await share(t, url, client) })
  await t.test('the decorator of @fastify/redis, and a namespace of it', async (t) => { await share(t, decorated, named) })

  await t.test('closing closes what is ours, once, and leaves the others', async (t) => {
    await client.app.close()
    t.equal(await handed.ping(), 'PONG', 'a client that was handed in goes on')
    // @fastify/redis closes its own; a second QUIT would reject.
    await decorated.app.close()
    await named.app.close()
    await url.app.close()
    await url.app.close()
    const left = async (): Promise<number> => String(await handed.client('LIST')).trim().split('\n').length
    await until('no other connection is left', async () => await left() <= 1)
    t.equal(await left(), 1, 'no connection is left but the one that is not ours')
  })
})

t.test('the default, where nobody listens: memory, one line with the cure, and a shared cache as soon as a Redis appears', async (t) => {
  t.match(DEFAULT_CACHE_CONFIG, { strategy: 'hybrid', redisUrl: 'redis://localhost:6379', redisPrefix: null })
  const port = await freePort()
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => { if (line.includes('Redis')) lines.push(line) } } }, disableRequestLogging: true })
  await app.register(cache, { strategy: DEFAULT_CACHE_CONFIG.strategy, redisUrl: `redis://localhost:${port}`, redisTimeout: 10 })
  app.get('/value', { config: { cache: true } }, async () => 'v')
  t.match(lines, [/"level":40.*no Redis at localhost.*Start it, name another with redisUrl, or choose strategy: 'memory'/])
  t.notOk(app.cache.parts.store.write('k', entryOf({ value: 1, ticket: app.cache.parts.log.ticket(), clock: app.cache.parts.clock }), app.cache.parts.log.ticket()) instanceof Promise, 'alone it works as memory does')
  t.match((await app.inject('/value')).headers['cache-status'], /stored/)
  t.match((await app.inject('/value')).headers['cache-status'], /hit/)
  t.same(await app.cache.invalidate({ tags: ['t'] }), { reach: 'here' })
  t.equal(await app.cache.initialize(), app.cache, 'nobody waits for it twice')
  const server = await startRedis([], port)
  await until('a purge reaches everybody', async () => (await app.cache.invalidate({ tags: ['t'] })).reach === 'everywhere')
  await onRedis(app.cache)
  await until('it is said', () => lines.length === 2)
  t.match(lines, [/no Redis/, /"level":30.*answers; the cache is shared/])
  t.equal(await app.cache.set('k', 1), true)
  const admin = new Redis(port)
  t.same((await admin.keys('*')).sort(), ['frc:fastify-response-cache:e{k}', 'frc:fastify-response-cache:log'], 'under the name of the application')
  admin.disconnect()
  await app.close()
  await server.stop()
})

t.test('a program that never found a Redis ends by itself', async (t) => {
  const program = "const { CacheManager } = await import('fastify-response-cache'); const cache = await new CacheManager().initialize(); await cache.set('k', 1); console.log(await cache.get('k'))"
  const child = spawn(process.execPath, scriptArgs(program), { cwd: programRoot, env: { PATH: process.env['PATH'], CACHE_REDIS_URL: `redis://127.0.0.1:${await freePort()}` }, stdio: ['ignore', 'pipe', 'inherit'] })
  const [[printed], [exitCode]] = await Promise.all([once(child.stdout, 'data'), once(child, 'exit')])
  t.equal(String(printed), '1\n')
  t.equal(exitCode, 0)
})

t.test('redisPassword wins over the one in redisUrl', async (t) => {
  const password = 'p%40 ss/:@?#'
  const server = await startRedis(['--requirepass', password])
  t.teardown(async () => { await server.stop() })
  const { app } = await start({ redisUrl: server.url.replace('//', '//:wrong@'), redisPassword: password, redisRequired: true })
  t.equal(app.cache.parts.connection?.ready, true)
  await app.close()
})

t.test('what the log says of a Redis that is well, of a wrong password, and of a database that is none', async (t) => {
  const server = await startRedis(['--requirepass', 'right', '--databases', '4'])
  t.teardown(async () => { await server.stop() })
  /** Until Redis is used, or the reason against that is told: on a machine that is busy the start goes on before either. */
  const logged = async (options: CachePluginOptions, reason?: RegExp): Promise<string> => {
    let text = ''
    const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => { text += line } } } })
    await app.register(cache, { strategy: 'hybrid', redisUrl: server.url, ...options })
    await app.ready()
    await until('the log says how Redis is', () => reason?.test(text) ?? app.cache.parts.connection?.ready === true)
    const before = text
    await app.close()
    t.equal(text, before, 'closing is no loss')
    return text
  }
  await logged({ redisPassword: 'right' })
  t.notMatch(await logged({ redisPassword: 'WRONG-SECRET' }, /"level":40.*WRONGPASS.*Check redisPassword/), 'WRONG-SECRET')
  await logged({}, /"level":40.*NOAUTH.*Check redisPassword/)
  await logged({ redisPassword: 'right', redisDb: 9 }, /"level":40.*database 9 cannot be selected.*Check redisDb/)
})

t.test('a Redis that comes after the app, and does not let it in, is told once each time', async (t) => {
  const port = await freePort()
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(async () => { await app.close() })
  const faults: unknown[] = []
  await app.register(cache, { strategy: 'hybrid', redisUrl: `redis://127.0.0.1:${port}`, redisPassword: 'mine' })
  app.cache.on('fault', ({ where, error }) => { faults.push([where, (error as FastifyError).code]) })
  t.match(lines, [/no Redis at/])
  const server = await startRedis(['--requirepass', 'another'], port)
  t.teardown(async () => { await server.stop() })
  await until('it is told', () => lines.length === 2)
  t.match(lines[1], /Redis at 127\.0\.0\.1:\d+ does not let us in \(.*WRONGPASS.*\); the cache goes on without it until it does\. Check redisPassword/)
  const admin = new Redis(port, { password: 'another' })
  await admin.config('SET', 'requirepass', 'mine')
  await onRedis(app.cache)
  await admin.auth('mine')
  await admin.config('SET', 'requirepass', 'another')
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until('it is told again', () => faults.length === 2)
  admin.disconnect()
  t.same(faults, [['redis', 'FST_ERR_CACHE_REDIS_LOCKED'], ['redis', 'FST_ERR_CACHE_REDIS_LOCKED']])
})

/** The one that took the place of a master. */
async function succeeded ({ port }: TestRedis): Promise<void> {
  const successor = new Redis(port)
  await until('it is the master', async () => (await successor.role())[0] === 'master')
  successor.disconnect()
}

t.test('Cluster', async (t) => {
  const cluster = await startCluster({ replicas: true })
  const source = { redis: { cluster: [...cluster.nodes] } }
  const own = await start(source)
  const handed = new Cluster([...cluster.nodes])
  const client = await start({ redis: handed })
  t.teardown(async () => {
    await own.app.close()
    await client.app.close()
    handed.disconnect()
    await cluster.stop()
  })
  await share(t, own, client)

  const [first, second] = cluster.masters as [TestRedis, TestRedis]
  const scene = { here: source, there: source }
  await t.test('F25 the slot of the log moves to another node', async (t) => {
    const name = logNames(PREFIX, '').log
    const slot = await handed.cluster('KEYSLOT', name)
    const nodes = cluster.masters.map(({ port }) => new Redis(port))
    const ids = await Promise.all(nodes.map(async (node) => String(await node.call('CLUSTER', 'MYID'))))
    const holds = await Promise.all(nodes.map(async (node) => await node.exists(name).then(() => true, () => false)))
    const from = holds.indexOf(true)
    const to = (from + 1) % nodes.length
    const move = async (node: number, ...how: string[]): Promise<void> => { await nodes[node]?.call('CLUSTER', 'SETSLOT', slot, ...how) }
    await unnoticed(t, scene, {
      inject: async () => {
        await move(to, 'IMPORTING', ids[from] ?? '')
        await move(from, 'MIGRATING', ids[to] ?? '')
        await nodes[from]?.migrate('127.0.0.1', cluster.masters[to]?.port ?? 0, name, 0, 5000)
      },
      heal: async () => { for (const node of [to, from]) await move(node, 'NODE', ids[to] ?? '') }
    })
    for (const node of nodes) node.disconnect()
  })
  await t.test('F23 a master stands still', async (t) => {
    await unnoticed(t, scene, { inject: () => { first.freeze() }, heal: async () => { await succeeded(cluster.replicas[0] as TestRedis) } })
    first.thaw()
  })
  await t.test('F22 a master dies', async (t) => {
    await unnoticed(t, scene, { inject: async () => { await second.kill() }, heal: async () => { await succeeded(cluster.replicas[1] as TestRedis) } })
  })
})

for (const [name, fail] of Object.entries<(master: TestRedis) => Promise<void> | void>({
  dies: async (master) => { await master.kill() },
  'stands still': (master) => { master.freeze() }
})) {
  t.test(`F26 Sentinel: shared, and nobody notices that the master ${name}`, async (t) => {
    const { master, replica, sentinels, name: set, stop } = await startSentinels()
    t.teardown(stop)
    const source = { redis: { sentinels: [...sentinels], name: set } }
    const one = await start(source)
    const other = await start(source)
    await share(t, one, other)
    await one.app.close()
    await other.app.close()
    await unnoticed(t, { here: source, there: source }, { inject: async () => { await fail(master) }, heal: async () => { await succeeded(replica) } })
  })
}
