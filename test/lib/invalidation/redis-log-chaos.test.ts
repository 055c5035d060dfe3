import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import type { Position } from '../../../lib/entry.ts'
import { createRedisLog, type RedisLog } from '../../../lib/invalidation/redis-log.ts'
import { tagMark } from '../../../lib/keyspace/mark.ts'
import type { PurgeRecord } from '../../../lib/ports/invalidation-log.ts'
import type { RedisClient } from '../../../lib/ports/redis-client.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { startRedis } from '../../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'

/*
 * Three processes, one Redis, random faults, against a model that is only a table of versions. Whatever happens:
 *  - after `sync` has answered true, nothing older than a purge that was acknowledged before is found valid, in memory
 *    or in Redis;
 *  - a process never finds valid what is older than a purge of its own;
 *  - once the faults are over everybody is up to date, and nothing stale is left anywhere.
 */
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const STEPS = Number(process.env.STEPS ?? 1500)

/** mulberry32 */
function randomFrom (state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Copy { readonly version: number, readonly marks: string[], readonly asOf: Position, readonly validAt: number }
interface Process { readonly name: string, readonly log: RedisLog, readonly clock: FakeClock, readonly proxy: TcpProxy, readonly client: RedisClient, readonly memory: Map<string, Copy>, readonly ownPurges: Map<string, number> }

t.test(`no acknowledged purge is ever lost, seed ${seed}`, { timeout: 280_000 }, async (t) => {
  t.comment(`SEED=${seed} STEPS=${STEPS}`)
  const random = randomFrom(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const server = await startRedis()
  const redis = new Redis(server.port, { maxRetriesPerRequest: null })
  redis.on('error', () => {})
  const processes: Process[] = []
  for (const name of ['a', 'b', 'c']) {
    const proxy = await startTcpProxy(server.port)
    const client = openRedis({ url: proxy.url }, { deadlineMs: 1000 })
    const clock = fakeClock()
    const log = createRedisLog({ client, clock, prefix: 'chaos:', deadlineMs: 1000, maxRecords: 200, maxQueued: 40 })
    processes.push({ name, log, clock, proxy, client, memory: new Map(), ownPurges: new Map() })
    t.teardown(async () => {
      await log.close()
      await client.close()
      await proxy.close()
    })
  }
  t.teardown(async () => {
    redis.disconnect()
    await server.stop()
  })

  const keys = Array.from({ length: 20 }, (_, i) => `key:${i}`)
  const truth = new Map(keys.map((key) => [key, 0]))
  const acknowledged = new Map(keys.map((key) => [key, 0]))
  const shared = new Map<string, Copy>()
  const stale: string[] = []
  const background = new Set<Promise<unknown>>()
  const owned = (promise: Promise<unknown>): void => {
    background.add(promise)
    promise.then(() => background.delete(promise), (error: unknown) => { stale.push(String(error)) })
  }
  const version = (map: Map<string, number>, key: string): number => map.get(key) ?? 0

  async function write ({ log, ownPurges }: Process, key: string): Promise<void> {
    const next = version(truth, key) + 1
    truth.set(key, next)
    const ways: PurgeRecord[] = [{ keys: [key] }, { marks: [tagMark(key)] }, { patterns: [key] }, { patterns: [key.replace('key', 'k?y')] }, { markPrefixes: [tagMark(key)] }]
    const reach = log.append(pick(ways))
    ownPurges.set(key, next)
    if (await reach === 'everywhere') acknowledged.set(key, Math.max(version(acknowledged, key), next))
  }

  async function load ({ log, memory }: Process, key: string): Promise<void> {
    const ticket = log.ticket()
    const loaded = version(truth, key)
    if (random() < 0.5) await sleep(Math.floor(random() * 4))
    const marks = [tagMark(key)]
    if (log.judge(key, marks, ticket.at) !== 'valid') return
    memory.set(key, { version: loaded, marks, asOf: ticket.asOf, validAt: log.tip })
    shared.set(key, { version: loaded, marks, asOf: ticket.asOf, validAt: 0 })
  }

  function check ({ name, log, memory }: Process, key: string, least: number, why: string): void {
    const near = memory.get(key)
    if (near !== undefined && near.version < least && log.judge(key, near.marks, near.validAt) === 'valid') stale.push(`${name} finds ${key} version ${near.version} in memory, ${why} ${least}`)
    const far = shared.get(key)
    if (far !== undefined && far.version < least && log.judgeShared(key, far.marks, far.asOf) === 'valid') stale.push(`${name} finds ${key} version ${far.version} in Redis, ${why} ${least}`)
  }

  let strictReads = 0
  async function read (process: Process, key: string): Promise<void> {
    check(process, key, version(process.ownPurges, key), 'purged itself')
    const least = version(acknowledged, key)
    if (!await process.log.sync()) return
    strictReads++
    check(process, key, least, 'acknowledged')
  }

  /** What a black hole has swallowed is gone: no real network goes on with the same connection after that. */
  const heal = (): void => {
    for (const { proxy } of processes) {
      if (proxy.mode === 'blackhole') proxy.cut()
      proxy.mode = 'pass'
    }
  }
  const thaw = (): void => { server.thaw() }
  const broken = (): TcpProxy => {
    heal()
    return pick(processes).proxy
  }
  const faults: Record<string, () => Promise<unknown>> = {
    'kill the news': async () => await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
    cut: async () => { pick(processes).proxy.cut() },
    refuse: async () => { broken().mode = 'refuse' },
    blackhole: async () => { broken().mode = 'blackhole' },
    heal: async () => { heal() },
    flush: async () => await redis.flushall(),
    'drop the log': async () => await redis.del('chaos:log'),
    trim: async () => await redis.xtrim('chaos:log', 'MAXLEN', Math.floor(random() * 10)),
    restart: async () => { await server.restart() },
    freeze: async () => {
      server.freeze()
      await sleep(random() < 0.2 ? 500 : 20)
      thaw()
    },
    'go back in time': async () => {
      const dump = await redis.dumpBuffer('chaos:log')
      await Promise.all([write(processes[0] as Process, pick(keys)), write(processes[2] as Process, pick(keys))])
      // What nobody but a dead process has seen cannot be missed by anybody.
      const seen = await Promise.all(processes.map(async ({ log }) => await log.sync()))
      if (seen.every(Boolean) && dump !== null) await redis.restore('chaos:log', 0, dump, 'REPLACE')
    }
  }
  const counts: Record<string, number> = {}

  // A machine that is busy takes more steps until as many reads had a log to compare with; the first ones are the same.
  const isOver = (step: number): boolean => stale.length > 0 || (step >= STEPS && strictReads > STEPS / 100) || step >= 10 * STEPS
  for (let step = 0; !isOver(step); step++) {
    const dice = random()
    const process = pick(processes)
    if (dice < 0.35) owned(read(process, pick(keys)))
    else if (dice < 0.65) owned(load(process, pick(keys)))
    else if (dice < 0.9) owned(write(process, pick(keys)))
    else if (dice < 0.96) process.clock.advance(1000)
    else {
      const name = random() < 0.3 ? 'heal' : pick(Object.keys(faults))
      counts[name] = (counts[name] ?? 0) + 1
      if (redis.status === 'ready' || name === 'heal') await faults[name]?.()
    }
    if (random() < 0.2) await sleep(1)
  }
  t.comment(JSON.stringify({ counts, strictReads, distrusts: processes.map(({ log }) => log.health().distrusts) }))

  thaw()
  heal()
  await Promise.all(background)
  const endMs = Date.now() + 120_000
  for (;;) {
    for (const { clock } of processes) clock.advance(1000)
    await Promise.all(processes.map(async ({ log }) => await log.sync()))
    if (processes.every(({ log }) => log.state === 'current' && log.health().queued === 0)) break
    if (Date.now() > endMs) throw new Error(`never healed: ${redis.status} ${JSON.stringify(processes.map(({ log, client }) => ({ ready: client.ready, ...log.health() })))}`)
    await sleep(20)
  }
  await Promise.all(processes.map(async ({ log }) => await log.sync()))
  for (const process of processes) for (const key of keys) check(process, key, version(truth, key), 'in the end')
  t.same(stale, [])
  t.ok(strictReads > STEPS / 100, `${strictReads} reads had a log to compare with`)
  t.same(new Set(processes.map(({ log }) => JSON.stringify(log.health().position))).size, 1, 'all agree where the log stands')
})
