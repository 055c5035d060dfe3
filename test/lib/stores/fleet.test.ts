import { setTimeout as sleep } from 'node:timers/promises'

import t from 'tap'

import { systemClock } from '../../../lib/clock.ts'
import { createRedisLog } from '../../../lib/invalidation/redis-log.ts'
import { tagMark } from '../../../lib/keyspace/mark.ts'
import type { BaseCache } from '../../../lib/ports/base-cache.ts'
import type { InvalidationLog, PurgeReach } from '../../../lib/ports/invalidation-log.ts'
import { stillLog } from '../../../lib/ports/still-log.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { HybridCache } from '../../../lib/stores/hybrid.ts'
import { MemoryCache } from '../../../lib/stores/memory.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { entryOf } from '../../support/entries.ts'
import { startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

// Nearly all of the time is spent waiting, so several share it.
t.jobs = 4

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

/** For what is not about time: a machine that is busy is no silent Redis. */
const PATIENT = { deadlineMs: 20_000 }

interface Instance { store: BaseCache, log: InvalidationLog, hasMoreToSend: () => boolean, close: () => Promise<void> }

/** One process of a fleet, as far as the cache can tell. */
async function join (url: string, prefix: string, { strict = false, writes = 'through' as 'through' | 'back' } = {}): Promise<Instance> {
  const redis = openRedis(url, PATIENT)
  const log = createRedisLog({ client: redis, clock: systemClock, prefix, ...PATIENT })
  const store = new HybridCache({
    log,
    memory: new MemoryCache({ log }),
    redis: new RedisCache({ client: redis, log, prefix, strict }),
    strict,
    writes
  })
  await until('the log is known', () => log.state === 'current')
  return { store, log, hasMoreToSend: () => store.writeBack.entries > 0, close: async () => { await store.close(); await log.close(); await redis.close() } }
}

/** A process that does what everybody does: SET what was read, DEL what changed. */
async function joinBare (url: string, prefix: string): Promise<Instance> {
  const redis = openRedis(url, PATIENT)
  await until('Redis answers', () => redis.ready)
  const store = new RedisCache({ client: redis, prefix })
  const log: InvalidationLog = {
    ...stillLog,
    append: async (record): Promise<PurgeReach> => {
      await store.remove([record.keys?.[0] ?? record.marks?.[0]?.slice('t:'.length) ?? record.patterns?.[0] ?? ''])
      return 'everywhere'
    }
  }
  return { store, log, hasMoreToSend: () => false, close: async () => { await redis.close() } }
}

const KEYS = Array.from({ length: 20 }, (_, index) => `product:${index}`)

/** What the database holds, and which version every reader must see at least. */
class Origin {
  readonly #versions = new Map<string, number>()
  readonly #acknowledged = new Map<string, number>()

  read (key: string): number { return this.#versions.get(key) ?? 0 }
  update (key: string): number {
    const version = this.read(key) + 1
    this.#versions.set(key, version)
    return version
  }

  acknowledge (key: string, version: number): void { this.#acknowledged.set(key, Math.max(version, this.due(key))) }
  due (key: string): number { return this.#acknowledged.get(key) ?? 0 }
}

async function get ({ store, log }: Instance, origin: Origin, key: string, slowMs: number): Promise<number> {
  const found = await store.read(key)
  if (found !== undefined) return found.value as number
  const ticket = log.ticket()
  const version = origin.read(key)
  await sleep(slowMs)
  await store.write(key, entryOf({ value: version, ticket, clock: systemClock, marks: [tagMark(key)] }), ticket)
  return version
}

interface Figures { reads: number, purges: number, stale: number, staleAtEnd: number }

/** Far more than a busy machine needs; what is not enough by then is for the figures to show. */
const RACE_AT_MOST_MS = 60_000

/** What a machine that has time does in about a second. */
const isLong = ({ reads, purges }: Figures): boolean => reads >= 1000 && purges >= 200

/** @returns reads that were older than a purge acknowledged before they began */
async function race (members: readonly Instance[], isEnough: (figures: Figures) => boolean): Promise<Figures> {
  const origin = new Origin()
  const figures = { reads: 0, purges: 0, stale: 0, staleAtEnd: 0 }
  const endAt = performance.now() + RACE_AT_MOST_MS
  const isOver = (): boolean => isEnough(figures) || performance.now() > endAt
  const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T
  const reader = async (member: Instance): Promise<void> => {
    while (!isOver()) {
      const key = any(KEYS)
      const due = origin.due(key)
      const value = await get(member, origin, key, Math.random() * 10)
      figures.reads++
      if (value < due) figures.stale++
      await sleep(0)
    }
  }
  const writer = async (): Promise<void> => {
    while (!isOver()) {
      const key = any(KEYS)
      const version = origin.update(key)
      const reach = await any(members).log.append(any([{ keys: [key] }, { marks: [tagMark(key)] }, { patterns: [key] }]))
      if (reach === 'everywhere') origin.acknowledge(key, version)
      figures.purges++
      await sleep(Math.random() * 4)
    }
  }
  await Promise.all([...members.flatMap((member) => [reader(member), reader(member), reader(member)]), writer()])
  // Nobody may ask for the news, or their loss would not be noticed.
  const positions = (): string[] => members.map(({ log }) => JSON.stringify(log.ticket().asOf))
  await until('the news have travelled', () => new Set(positions()).size === 1 && !members.some(({ hasMoreToSend }) => hasMoreToSend()))
  for (const member of members) {
    for (const key of KEYS) {
      const found = await member.store.read(key)
      if (found !== undefined && found.value !== origin.read(key)) figures.staleAtEnd++
    }
  }
  return figures
}

t.test('the race is a real one: without the log it is lost', async (t) => {
  const server = await startRedis()
  const members = await Promise.all([0, 1, 2].map(async () => await joinBare(server.url, 'bare:')))
  t.teardown(async () => { await Promise.all(members.map(async (member) => { await member.close() })); await server.stop() })
  const figures = await race(members, ({ stale }) => stale > 0)
  t.comment(JSON.stringify(figures))
  t.ok(figures.stale > 0)
})

t.test('strict: no instance returns a value older than a purge that was acknowledged anywhere', async (t) => {
  const server = await startRedis()
  const members = await Promise.all([0, 1, 2].map(async () => await join(server.url, 'strict:', { strict: true })))
  t.teardown(async () => { await Promise.all(members.map(async (member) => { await member.close() })); await server.stop() })
  const figures = await race(members, isLong)
  t.comment(JSON.stringify(figures))
  t.ok(isLong(figures))
  t.equal(figures.stale, 0)
  t.equal(figures.staleAtEnd, 0)
})

for (const writes of ['through', 'back'] as const) {
  t.test(`bounded, write-${writes}: nothing stale is left once the news has travelled`, async (t) => {
    const server = await startRedis()
    const members = await Promise.all([0, 1, 2].map(async () => await join(server.url, 'bounded:', { writes })))
    t.teardown(async () => { await Promise.all(members.map(async (member) => { await member.close() })); await server.stop() })
    const figures = await race(members, isLong)
    t.comment(JSON.stringify(figures))
    t.ok(isLong(figures))
    t.equal(figures.staleAtEnd, 0)
    const hits = members[0]?.store.usage().map(({ tier, hits }) => [tier, hits])
    t.ok(hits?.every(([, count]) => Number(count) > 0), 'and it did cache')
  })
}

t.test('an instance that joins later reads what the others stored, and nothing that they purged', async (t) => {
  const server = await startRedis()
  const first = await join(server.url, 'late:')
  const { log } = first
  for (const key of ['kept', 'purged', 'soft']) {
    const ticket = log.ticket()
    await first.store.write(key, entryOf({ value: key, ticket, clock: systemClock, marks: [tagMark(key)], staleWhileRevalidateMs: 30_000 }), ticket)
  }
  t.equal(await log.append({ marks: [tagMark('purged')] }), 'everywhere')
  t.equal(await log.append({ marks: [tagMark('soft')], soft: true }), 'everywhere')
  const second = await join(server.url, 'late:')
  t.teardown(async () => { await first.close(); await second.close(); await server.stop() })
  t.equal((await second.store.read('kept'))?.value, 'kept')
  t.equal(await second.store.read('purged'), undefined)
  const soft = await second.store.read('soft')
  t.equal(soft?.value, 'soft')
  t.ok(Number(soft?.freshUntilMs) <= Date.now(), 'stale, but good for a refresh')
})

t.test('what was stored before the log was lost is not believed', async (t) => {
  const server = await startRedis()
  const first = await join(server.url, 'lost:')
  const ticket = first.log.ticket()
  await first.store.write('k', entryOf({ value: 1, ticket, clock: systemClock }), ticket)
  const someone = openRedis(server.url, PATIENT)
  await until('Redis answers', () => someone.ready)
  await someone.call(['DEL', 'lost:log'])
  await someone.close()
  const second = await join(server.url, 'lost:')
  t.teardown(async () => { await first.close(); await second.close(); await server.stop() })
  t.equal(await second.store.read('k'), undefined)
})
