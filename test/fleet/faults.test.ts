import { Redis } from 'ioredis'
import t from 'tap'
import { turns } from '../support/cached-app.ts'
import { loopMs } from '../support/loop-time.ts'
import { startRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import { startApp, startScene, suffer, type Outage } from './support/outage.ts'
import { VersionTable } from './support/race.ts'

/*
 * What customers notice of a Redis that fails: nothing. The rows are those of docs/faults.md, where the figures are.
 * The time that an answer took is printed, and judged only roughly: a bare client keeps its callers waiting for 73 s, or
 * for ever. It is the time of this process, so that a machine that is busy does not count.
 */
const ENDLESS_MS = 5000

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => { unhandled.push(error) })
const noise: unknown[][] = []
const { error: print } = console
console.error = (...words: unknown[]) => {
  noise.push(words)
  print(...words)
}

let loading: Promise<void> | undefined

const outages: Record<string, Outage> = {
  'F03 F05 Redis is killed, and comes back empty': { inject: async ({ server }) => { await server.kill() }, heal: async ({ server }) => { await server.restart() } },
  'F04 answers are lost, then the connection': {
    inject: ({ proxy }) => { proxy.mode = 'drop-replies' },
    heal: ({ proxy }) => { proxy.mode = 'pass'; proxy.cut() }
  },
  'F06 Redis stands still': { inject: ({ server }) => { server.freeze() }, heal: ({ server }) => { server.thaw() } },
  'F07 the network swallows everything': { inject: ({ proxy }) => { proxy.mode = 'blackhole' }, heal: ({ proxy }) => { proxy.mode = 'pass' } },
  'F08 every byte comes half a second late': { inject: ({ proxy }) => { proxy.mode = 500 }, heal: ({ proxy }) => { proxy.mode = 'pass' } },
  'F09 CLIENT PAUSE ALL': { inject: async ({ admin }) => await admin.call('CLIENT', 'PAUSE', '800', 'ALL'), heal: () => {} },
  'F09 CLIENT PAUSE WRITE': { inject: async ({ admin }) => await admin.call('CLIENT', 'PAUSE', '800', 'WRITE'), heal: () => {} },
  'F10 a script runs on and on (BUSY)': {
    inject: async ({ server, admin }) => {
      await admin.config('SET', 'busy-reply-threshold', '50')
      const endless = new Redis(server.port)
      endless.eval('while true do end', 0).catch(() => {}).finally(() => { endless.disconnect() })
    },
    heal: async ({ admin }) => await admin.script('KILL')
  },
  'F10 Redis is blocked': { inject: ({ admin }) => { admin.call('DEBUG', 'SLEEP', '0.8').catch(() => {}) }, heal: () => {} },
  'F11 Redis is out of memory': { inject: async ({ admin }) => await admin.config('SET', 'maxmemory', '1'), heal: async ({ admin }) => await admin.config('SET', 'maxmemory', '0') },
  'F13 the master becomes a replica': { inject: async ({ admin }) => await admin.replicaof('127.0.0.1', 1), heal: async ({ admin }) => await admin.replicaof('NO', 'ONE') },
  'F14 MASTERDOWN': {
    inject: async ({ admin }) => {
      await admin.config('SET', 'replica-serve-stale-data', 'no')
      await admin.replicaof('127.0.0.1', 1)
    },
    heal: async ({ admin }) => await admin.replicaof('NO', 'ONE')
  },
  'F15 Redis loads its data': {
    inject: async ({ server, admin }) => {
      await admin.call('DEBUG', 'POPULATE', '1000', 'other')
      await admin.save()
      loading = server.restart(['--key-load-delay', '1200', '--loading-process-events-interval-bytes', '1024'])
    },
    heal: async () => { await loading }
  },
  'F16 Redis takes no more connections': {
    inject: async ({ admin, proxy }) => {
      await admin.config('SET', 'maxclients', '1')
      proxy.cut()
    },
    heal: async ({ admin }) => await admin.config('SET', 'maxclients', '1000')
  },
  'F19 FLUSHALL by somebody': { inject: async ({ admin }) => await admin.flushall(), heal: () => {} },
  'F20 SCRIPT FLUSH': { inject: async ({ admin }) => await admin.call('SCRIPT', 'FLUSH'), heal: () => {} },
  'F30 nobody can connect': { inject: ({ proxy }) => { proxy.mode = 'refuse' }, heal: ({ proxy }) => { proxy.mode = 'pass' } }
}

const only = process.env['ONLY']

// Nearly all of the time is spent waiting, so several share it.
await t.test('faults', async (t) => {
  t.jobs = 6
  for (const [name, outage] of Object.entries(outages)) {
    if (only !== undefined && !name.includes(only)) continue
    t.test(name, async (t) => {
      const scene = await startScene()
      t.teardown(async () => { await scene.stop() })
      const { requests, failures, slowestMs, recoveryMs, stale } = await suffer(scene, outage)
      t.comment(`${requests} requests, slowest ${slowestMs.toFixed(0)} ms, used again ${recoveryMs.toFixed(0)} ms after the fault`)
      t.ok(requests > 20)
      t.equal(failures, 0)
      t.ok(slowestMs < ENDLESS_MS)
      t.same(stale, [])
    })
  }

  for (const [name, freeze] of [['F01 nobody listens at the start', false], ['F02 Redis stands still at the start', true]] as const) {
    t.test(`${name}: the app starts, serves, and uses Redis when it appears`, async (t) => {
      const server = await startRedis()
      if (freeze) server.freeze()
      else await server.kill()
      const startedAt = loopMs()
      const app = await startApp(new VersionTable(), { redisUrl: server.url })
      t.teardown(async () => {
        await app.close()
        await server.stop()
      })
      const readyMs = loopMs() - startedAt
      const [first, second] = [await app.inject('/value/a'), await app.inject('/value/a')]
      t.comment(`ready after ${readyMs.toFixed(0)} ms, the first two answers after ${loopMs() - startedAt - readyMs} ms`)
      t.ok(readyMs < ENDLESS_MS)
      t.match(first.headers['cache-status'], /stored/)
      t.match(second.headers['cache-status'], /hit/)
      if (freeze) server.thaw()
      else await server.restart()
      const backAt = performance.now()
      await until('it is connected', () => app.cache.parts.connection?.ready === true)
      t.comment(`connected ${(performance.now() - backAt).toFixed(0)} ms after it was back`)
      // The answer to the first one may be late.
      await until('a purge reaches everybody', async () => (await app.cache.invalidate({ tags: ['a'] })).reach === 'everywhere')
    })
  }

  t.test('F44 closing is bounded while Redis stands still, requests under way are answered', async (t) => {
    const server = await startRedis()
    const app = await startApp(new VersionTable(), { redisUrl: server.url, writePolicy: 'back' })
    t.teardown(async () => { await server.stop() })
    // What was never shared cannot be lost.
    await until('a purge reaches everybody', async () => (await app.cache.invalidate({ tags: ['a'] })).reach === 'everywhere')
    const faults: unknown[] = []
    app.cache.on('fault', ({ error }) => { faults.push(error) })
    server.freeze()
    const underWay = Array.from({ length: 20 }, async (_, n) => await app.inject(`/value/b${n}`))
    const purged = app.cache.invalidate({ tags: ['lost'] })
    await turns()
    const startedAt = loopMs()
    await app.close()
    const closeMs = loopMs() - startedAt
    t.comment(`closed in ${closeMs.toFixed(0)} ms`)
    t.ok(closeMs < ENDLESS_MS)
    t.ok((await Promise.all(underWay)).every(({ statusCode }) => statusCode === 200))
    t.same(await purged, { reach: 'here' })
    t.match(faults, [{ code: 'FST_ERR_CACHE_PURGES_LOST', message: /^Purges could not be sent to Redis before the cache was closed \(1 name\);/ }], 'the purge that nobody will hear of is told')
  })

  t.test('F37 what is stored at one moment does not expire at one moment', async (t) => {
    const app = await startApp(new VersionTable(), { strategy: 'memory', ttlJitter: 0.5 })
    t.teardown(async () => { await app.close() })
    for (let n = 0; n < 100; n++) await app.inject(`/value/${n}`)
    const lives: number[] = []
    for await (const { storedAtMs, freshUntilMs } of app.cache.entries()) lives.push(freshUntilMs - storedAtMs)
    t.equal(lives.length, 100)
    t.ok(Math.min(...lives) < 40_000 && Math.max(...lives) > 50_000, 'between 30 and 60 seconds')
  })
})

t.test('F45 nothing was left unhandled, nothing was printed', async (t) => {
  t.same(unhandled, [])
  t.same(noise, [])
})
