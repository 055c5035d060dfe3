import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import { logNames } from '../../lib/invalidation/log-names.ts'
import { createRedisKeys } from '../../lib/keyspace/redis-key.ts'
import { turns } from '../support/cached-app.ts'
import { loopClock, loopMs } from '../support/loop-time.ts'
import { startRedis } from '../support/redis-server.ts'
import { onRedis, until } from '../support/until.ts'
import { startMembers } from './support/fleet.ts'
import { PREFIX, TWICE_MS, startApp, startScene, unnoticed, type Outage } from './support/outage.ts'
import { VersionTable } from './support/race.ts'

/*
 * What customers notice of a Redis that fails: nothing. The rows are those of docs/faults.md, where the figures are; those
 * of a Cluster and of Sentinel are in sources.test.ts. Time is that of this process, so that a machine that is busy does
 * not count.
 */

/** A start waits half a second for Redis, and an end one. */
const ENDLESS_MS = 3000
const HOUR_MS = 3_600_000

const logName = logNames(PREFIX, '').log
const hotPages = async (admin: Redis): Promise<string[]> => (await admin.keys(createRedisKeys(PREFIX).entries)).filter((name) => name.includes('hot'))

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => { unhandled.push(error) })
const noise: unknown[][] = []
const { error: print } = console
console.error = (...words: unknown[]) => {
  noise.push(words)
  print(...words)
}

let loading: Promise<void> | undefined
let flood: Promise<void> | undefined

const outages: Record<string, Outage> = {
  'F03 F05 Redis is killed, and comes back empty': { inject: async ({ server }) => { await server.kill() }, heal: async ({ server }) => { await server.restart() } },
  'F04 answers are lost, then the connection': {
    inject: ({ proxy }) => { proxy.mode = 'drop-replies' },
    heal: ({ proxy }) => { proxy.mode = 'pass'; proxy.cut() }
  },
  'F06 Redis stands still': { inject: ({ server }) => { server.freeze() }, heal: ({ server }) => { server.thaw() } },
  'F07 the network swallows everything': { inject: ({ proxy }) => { proxy.mode = 'blackhole' }, heal: ({ proxy }) => { proxy.mode = 'pass' } },
  'F08 every byte comes half a second late': { inject: ({ proxy }) => { proxy.mode = 500 }, heal: ({ proxy }) => { proxy.mode = 'pass' } },
  'F09 CLIENT PAUSE ALL': { inject: async ({ admin }) => await admin.call('CLIENT', 'PAUSE', '800', 'ALL') },
  'F09 CLIENT PAUSE WRITE': { inject: async ({ admin }) => await admin.call('CLIENT', 'PAUSE', '800', 'WRITE') },
  'F10 a script runs on and on (BUSY)': {
    inject: async ({ server, admin }) => {
      await admin.config('SET', 'busy-reply-threshold', '50')
      const endless = new Redis(server.port)
      endless.eval('while true do end', 0).catch(() => {}).finally(() => { endless.disconnect() })
    },
    heal: async ({ admin }) => await admin.script('KILL')
  },
  'F10 Redis is blocked': { inject: ({ admin }) => { admin.call('DEBUG', 'SLEEP', '0.8').catch(() => {}) } },
  'F11 Redis is out of memory': { inject: async ({ admin }) => await admin.config('SET', 'maxmemory', '1'), heal: async ({ admin }) => await admin.config('SET', 'maxmemory', '0') },
  'F12 a full Redis evicts everything, and the log': {
    inject: async ({ admin }) => {
      await admin.config('SET', 'maxmemory-policy', 'allkeys-random')
      await admin.config('SET', 'maxmemory', '1')
      await until('the log is gone', async () => await admin.exists(logName) === 0)
    },
    heal: async ({ admin }) => await admin.config('SET', 'maxmemory', '0')
  },
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
  'F17 huge values under the keys of pages': {
    options: { strategy: 'redis' },
    inject: async ({ admin }) => { for (const name of await hotPages(admin)) await admin.setrange(name, 30_000_000, 'x') }
  },
  'F18 foreign data under the keys of pages': {
    options: { strategy: 'redis' },
    inject: async ({ admin }) => { for (const name of await hotPages(admin)) await admin.multi().del(name).rpush(name, 'x').exec() }
  },
  'F19 FLUSHALL by somebody': { inject: async ({ admin }) => await admin.flushall() },
  'F20 SCRIPT FLUSH': { inject: async ({ admin }) => await admin.call('SCRIPT', 'FLUSH') },
  'F21 our user may do nothing any more': {
    inject: async ({ admin }) => {
      await admin.call('ACL', 'SETUSER', 'admin', 'on', 'nopass', '~*', '&*', '+@all')
      await admin.call('AUTH', 'admin', '')
      await admin.call('ACL', 'SETUSER', 'default', '-@all')
    },
    // What was refused is tried again ever less often, and at once on a new connection.
    heal: async ({ admin }) => {
      await admin.call('ACL', 'SETUSER', 'default', '+@all')
      await admin.call('CLIENT', 'KILL', 'USER', 'default')
    }
  },
  'F27 the connections for news are killed': { inject: async ({ admin }) => await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub') },
  'F28 the connection for news is half-open': {
    inject: async ({ proxy }, { app }) => {
      proxy.mode = 'no-news'
      await until('the silence is noticed', () => app.cache.parts.log.state !== 'current')
    },
    heal: ({ proxy }) => { proxy.mode = 'pass' }
  },
  'F30 nobody can connect': { inject: ({ proxy }) => { proxy.mode = 'refuse' }, heal: ({ proxy }) => { proxy.mode = 'pass' } },
  'F31 thousands of purges a second': {
    inject: (_scene, { other }) => {
      flood = (async () => {
        for (let turn = 0; turn < 80; turn++) {
          await Promise.all([...Array.from({ length: 100 }, async (_, n) => await other.cache.invalidate({ tags: [`${turn}-${n}`] })), sleep(10)])
        }
      })()
    },
    heal: async () => { await flood }
  },
  'F38 F47 everything is purged, and 20 000 entries are wiped': {
    inject: async ({ admin }, { other }) => {
      await admin.call('DEBUG', 'POPULATE', '20000', createRedisKeys(PREFIX).entry('many').slice(0, -1))
      await other.cache.clear()
    },
    heal: async ({ admin }) => { await until('they are gone', async () => await admin.dbsize() < 5000) }
  },
  'F40 clocks that are an hour apart': { inject: () => {}, otherOptions: { clock: { ...loopClock, now: () => loopClock.now() + HOUR_MS } } },
  'F43 Redis stands still, and 1 000 entries wait to be written back': {
    options: { writePolicy: 'back' },
    inject: ({ server }, { app }) => {
      server.freeze()
      flood = Promise.all(Array.from({ length: 1000 }, async (_, n) => await app.cache.getOrSet(`many${n}`, () => n))).then(() => {})
    },
    heal: async ({ server }) => {
      await flood
      server.thaw()
    }
  }
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
      await unnoticed(t, scene, outage)
    })
  }

  const clustered = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] as const
  for (const [name, freeze, args] of [['F01 nobody listens at the start', false, []], ['F02 Redis stands still at the start', true, []], ['F24 no node of a Cluster is there at the start', false, clustered]] as const) {
    t.test(`${name}: the app starts, serves, and uses Redis when it appears`, async (t) => {
      const server = await startRedis(args)
      const isCluster = args === clustered
      if (isCluster) {
        const admin = new Redis(server.port)
        await admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
        admin.disconnect()
      }
      if (freeze) server.freeze()
      else await server.kill()
      const startedAt = loopMs()
      const app = await startApp(new VersionTable(), isCluster ? { redis: { cluster: [{ host: server.host, port: server.port }] } } : { redisUrl: server.url })
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
    const askedAt = loopMs()
    let slowestMs = 0
    const underWay = Array.from({ length: 20 }, async (_, n) => {
      const response = await app.inject(`/value/b${n}`)
      slowestMs = Math.max(slowestMs, loopMs() - askedAt)
      return response
    })
    const purged = app.cache.invalidate({ tags: ['lost'] })
    await turns()
    const startedAt = loopMs()
    await app.close()
    const closeMs = loopMs() - startedAt
    t.ok(closeMs < ENDLESS_MS)
    t.ok((await Promise.all(underWay)).every(({ statusCode }) => statusCode === 200))
    t.comment(`closed in ${closeMs} ms, slowest request ${slowestMs} ms`)
    t.ok(slowestMs < TWICE_MS)
    t.same(await purged, { reach: 'here' })
    t.match(faults, [{ code: 'FST_ERR_CACHE_PURGES_LOST', message: /^Purges could not be sent to Redis before the cache was closed \(1 name\);/ }], 'the purge that nobody will hear of is told')
  })

  t.test('F29 F42 a process stands still, and dies while it writes back', async (t) => {
    const server = await startRedis()
    const table = new VersionTable()
    const [member] = await startMembers(1, (key) => table.read(key))
    if (member === undefined) throw new Error('one was asked for')
    const app = await startApp(table, { redisUrl: server.url })
    t.teardown(async () => {
      await app.close()
      await member.kill()
      await server.stop()
    })
    await member.do({ op: 'join', options: { strategy: 'hybrid', redisUrl: server.url, redisPrefix: PREFIX, writePolicy: 'back' } })
    await onRedis(app.cache)
    await until('the other one uses Redis', async () => {
      const { ready, logState } = await member.do({ op: 'tell' })
      return ready && logState === 'current'
    })
    t.equal((await member.do({ op: 'get', url: '/value/a' })).version, 1)
    member.freeze()
    table.update('a')
    t.equal((await app.cache.invalidate({ paths: ['/value/a'] })).reach, 'everywhere')
    // Silence is noticed after three seconds.
    await sleep(3200)
    const answer = member.do({ op: 'get', url: '/value/a' })
    member.thaw()
    const { status, version, ms } = await answer
    t.comment(`the first answer after it stood still: ${ms.toFixed(0)} ms`)
    t.same([status, version], [200, 2])

    const keys = Array.from({ length: 50 }, (_, n) => `k${n}`)
    t.same(await Promise.all(keys.map(async (key) => await member.do({ op: 'set', key, value: 7 }))), keys.map(() => true))
    await member.kill()
    const left = await app.cache.getMany(keys.map((key) => `data:${key}`))
    t.comment(`${left.filter((value) => value !== undefined).length} of ${keys.length} entries had been written back`)
    t.ok(left.every((value) => value === undefined || value === 7), 'what is there is whole')
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
