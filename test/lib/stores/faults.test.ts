import { setTimeout as sleep } from 'node:timers/promises'

import { Redis } from 'ioredis'
import t from 'tap'

import { createRedisLog, type RedisLog } from '../../../lib/invalidation/redis-log.ts'
import { tagMark } from '../../../lib/keyspace/mark.ts'
import type { RedisConnection } from '../../../lib/redis/connection.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { HybridCache } from '../../../lib/stores/hybrid.ts'
import { MemoryCache } from '../../../lib/stores/memory.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { entryOf } from '../../support/entries.ts'
import { loopClock, loopMs } from '../../support/loop-time.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

const DEADLINE_MS = 200
const PREFIX = 'faults:'
const KEYS = Array.from({ length: 12 }, (_, index) => `product:${index}`)

interface Member { store: HybridCache, log: RedisLog, redis: RedisConnection, proxy: TcpProxy, close: () => Promise<void> }

async function join (server: TestRedis, writes: 'through' | 'back'): Promise<Member> {
  const proxy = await startTcpProxy(server.port)
  const redis = openRedis(proxy.url, { clock: loopClock, deadlineMs: DEADLINE_MS })
  const log = createRedisLog({ client: redis, clock: loopClock, prefix: PREFIX, deadlineMs: DEADLINE_MS, heartbeatMs: 200, patienceMs: 600 })
  const store = new HybridCache({ clock: loopClock, log, memory: new MemoryCache({ clock: loopClock, log }), redis: new RedisCache({ client: redis, clock: loopClock, log, prefix: PREFIX }), writes })
  return { store, log, redis, proxy, close: async () => { await store.close(); await log.close(); await redis.close(); await proxy.close() } }
}

const healthy = ({ redis, log }: Member): boolean => redis.ready && log.state === 'current' && log.health().queued === 0

/** By a connection of its own, which gives Redis all the time that it needs. */
async function order ({ port }: TestRedis, command: string, ...args: string[]): Promise<void> {
  const admin = new Redis(port)
  await admin.call(command, ...args)
  admin.disconnect()
}

const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

/** Each fault of the table that one server and the way to it can have, and its end. */
const faults: ReadonlyArray<readonly [name: string, begin: (server: TestRedis, members: readonly Member[]) => unknown, end: (server: TestRedis, members: readonly Member[]) => unknown]> = [
  ['Redis frozen', (server) => { server.freeze() }, (server) => { server.thaw() }],
  ['Redis killed, back without its data', async (server) => { await server.kill() }, async (server) => { await server.restart() }],
  ['one instance cut off in silence', (_server, [one]) => { if (one !== undefined) one.proxy.mode = 'blackhole' }, (_server, [one]) => { if (one !== undefined) one.proxy.mode = 'pass' }],
  ['one instance hears no answers', (_server, [one]) => { if (one !== undefined) one.proxy.mode = 'drop-replies' }, (_server, [one]) => { if (one !== undefined) { one.proxy.mode = 'pass'; one.proxy.cut() } }],
  ['one instance refused', (_server, [one]) => { if (one !== undefined) one.proxy.mode = 'refuse' }, (_server, [one]) => { if (one !== undefined) one.proxy.mode = 'pass' }],
  ['every byte half a second late', (_server, members) => { for (const { proxy } of members) proxy.mode = 500 }, (_server, members) => { for (const { proxy } of members) proxy.mode = 'pass' }],
  ['connections cut again and again', async (_server, members) => { for (let n = 0; n < 5; n++) { for (const { proxy } of members) proxy.cut(); await sleep(50) } }, () => {}],
  ['FLUSHALL', async (server) => { await order(server, 'FLUSHALL') }, () => {}],
  ['out of memory', async (server) => { await order(server, 'CONFIG', 'SET', 'maxmemory', '1') }, async (server) => { await order(server, 'CONFIG', 'SET', 'maxmemory', '0') }],
  ['scripts forgotten', async (server) => { await order(server, 'SCRIPT', 'FLUSH') }, () => {}]
]

/** Readers and writers on both members, until `over`. */
function work (members: readonly Member[], over: AbortSignal): { readonly versions: ReadonlyMap<string, number>, readonly figures: { operations: number, slowestMs: number }, readonly done: Promise<unknown> } {
  const versions = new Map<string, number>()
  const figures = { operations: 0, slowestMs: 0 }
  const timed = async <T>(run: () => T | Promise<T>): Promise<T> => {
    const startedAt = loopMs()
    const result = await run()
    figures.slowestMs = Math.max(figures.slowestMs, loopMs() - startedAt)
    figures.operations++
    return result
  }
  const reader = async ({ store, log }: Member): Promise<void> => {
    while (!over.aborted) {
      const key = any(KEYS)
      if (await timed(() => store.read(key)) === undefined) {
        const ticket = log.ticket()
        const value = versions.get(key) ?? 0
        await sleep(1)
        await timed(() => store.write(key, entryOf({ value, ticket, clock: loopClock, marks: [tagMark(key)] }), ticket))
      }
      await sleep(4)
    }
  }
  const writer = async ({ store, log }: Member): Promise<void> => {
    while (!over.aborted) {
      const key = any(KEYS)
      versions.set(key, (versions.get(key) ?? 0) + 1)
      const record = any([{ keys: [key] }, { marks: [tagMark(key)] }, { patterns: [key] }])
      await timed(() => log.append(record))
      if (record.keys !== undefined) await timed(() => store.remove(record.keys))
      await sleep(6)
    }
  }
  return { versions, figures, done: Promise.all(members.flatMap((member) => [reader(member), reader(member), writer(member)])) }
}

// Nearly all of the time is spent waiting, so several share it.
t.jobs = 5

for (const writes of ['through', 'back'] as const) {
  for (const [name, begin, end] of faults) {
    t.test(`${name}, write-${writes}: no caller fails or is held up, and nothing stale is left behind`, async (t) => {
      const server = await startRedis()
      const members = [await join(server, writes), await join(server, writes)]
      t.teardown(async () => { await Promise.all(members.map(async (member) => { await member.close() })); await server.stop() })
      const areHealthy = async (): Promise<void> => { await until('all are healthy', () => members.every(healthy)) }
      await areHealthy()
      const over = new AbortController()
      const { versions, figures, done } = work(members, over.signal)
      const hasGoneOn = async (): Promise<void> => {
        const before = figures.operations
        await until('the work goes on', () => figures.operations >= before + 300)
      }
      await hasGoneOn()
      await begin(server, members)
      // Three deadlines open the circuit; the rest is done without Redis.
      await hasGoneOn()
      await end(server, members)
      const endedAt = performance.now()
      await areHealthy()
      const backMs = performance.now() - endedAt
      over.abort()
      await done
      await areHealthy()
      const isStale = async ({ store }: Member, key: string): Promise<boolean> => {
        const found = await store.read(key)
        return found !== undefined && found.value !== (versions.get(key) ?? 0)
      }
      // The last news are still on their way for a moment; what is lost stays stale.
      await until('the news have travelled', () => new Set(members.map(({ log }) => JSON.stringify(log.ticket().asOf))).size === 1)
      const stale = await Promise.all(members.flatMap((member) => KEYS.map(async (key) => await isStale(member, key) ? key : undefined)))
      t.comment(`${figures.operations} operations, slowest ${figures.slowestMs.toFixed(0)} ms, back after ${backMs.toFixed(0)} ms`)
      t.same(stale.filter((key) => key !== undefined), [])
      // Far above the deadline, far below what a hanging call would take, and no matter how busy the machine is.
      t.ok(figures.slowestMs < 2000)
    })
  }
}
