import { setTimeout as sleep } from 'node:timers/promises'
import type { CachePluginOptions } from 'fastify-response-cache'
import t from 'tap'
import type { MaybePromise } from '../../lib/maybe-promise.ts'
import { startRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import { startMembers, stopMembers, type Member } from './support/fleet.ts'
import { race, VersionTable } from './support/race.ts'
import { randomFrom } from './support/random.ts'

const requests = Number(process.env['REQUESTS'] ?? 1000)
const raceMs = Number(process.env['RACE_MS'] ?? 1500)
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const keys = Array.from({ length: 50 }, (_, index) => `product${10 + index}`)
// A machine that is busy with 4000 requests is no silent Redis.
const patient = { strategy: 'hybrid', redisTimeout: 10, coalesceTimeout: 60 } as const

t.test('four processes, one Redis', async (t) => {
  const server = await startRedis()
  let database: (key: string, member: Member) => MaybePromise<number> = () => 1
  const members = await startMembers(4, async (key, member) => await database(key, member))
  t.teardown(async () => {
    await stopMembers(members)
    await server.stop()
  })
  /** A new cache in every process. */
  const join = async (redisPrefix: string, options: CachePluginOptions = {}): Promise<void> => {
    await Promise.all(members.map(async (member) => {
      await member.do({ op: 'close' })
      await member.do({ op: 'join', options: { ...patient, redisUrl: server.url, redisPrefix, ...options } })
      // The start waits half a second for Redis, and who goes on without it loads for itself.
      await until(`${member.name} uses Redis`, async () => {
        const { ready, logState } = await member.do({ op: 'tell' })
        return ready && logState === 'current'
      })
    }))
  }

  await t.test('a cold key', async (t) => {
    await join('cold:')
    /** Who runs a handler for which key, and what lets it finish. */
    const running: Array<{ readonly key: string, readonly member: Member, readonly finish: () => void }> = []
    let holding = true
    database = async (key, member) => {
      await new Promise<void>((resolve) => {
        running.push({ key, member, finish: resolve })
        if (!holding) resolve()
      })
      return 1
    }
    const runsOf = (key: string): typeof running => running.filter((run) => run.key === key)
    const waiting = async (): Promise<number> => (await Promise.all(members.map(async (member) => await member.do({ op: 'tell' })))).reduce((sum, { coalesced }) => sum + coalesced, 0)
    /** Resolves when in every process all but one of `size` requests wait for that one. */
    const allWait = async (size: number, before: number): Promise<void> => {
      while (await waiting() < before + members.length * (size - 1)) await sleep(20)
    }
    const release = (): void => {
      holding = false
      for (const { finish } of running) finish()
    }
    /** The answers to `size` requests in each process; no run ends before all of them are there. */
    const askedAtOnce = async <Answer>(size: number, ask: (member: Member) => Array<Promise<Answer>>): Promise<Answer[]> => {
      holding = true
      const before = await waiting()
      const answers = Promise.all(members.flatMap(ask))
      await allWait(size, before)
      release()
      return await answers
    }

    await t.test(`${requests} concurrent requests in each process run the handler once in the fleet`, async (t) => {
      const crowds = await askedAtOnce(requests, (member) => [member.do({ op: 'crowd', url: '/value/cold', size: requests })])
      t.comment(`slowest ${Math.max(...crowds.map(({ slowestMs }) => slowestMs)).toFixed(0)} ms`)
      t.same(crowds.map(({ served, statuses, versions }) => ({ served, statuses, versions })), members.map(() => ({ served: requests, statuses: [200], versions: [1] })))
      t.equal(runsOf('cold').length, 1)
    })

    await t.test('the same for data', async (t) => {
      const values = await askedAtOnce(50, (member) => Array.from({ length: 50 }, async () => await member.do({ op: 'data', key: 'cold data' })))
      t.same([...new Set(values)], [1])
      t.equal(runsOf('cold data').length, 1)
    })

    await t.test('with a Redis that came back empty every process goes on, and a key is loaded once in the fleet', async (t) => {
      await Promise.all(members.map(async (member) => await member.do({ op: 'get', url: '/value/cold' })))
      await server.restart()
      while (!(await Promise.all(members.map(async (member) => await member.do({ op: 'tell' })))).every(({ logState }) => logState === 'current')) await sleep(20)
      const before = runsOf('cold').length
      const answers = await askedAtOnce(20, (member) => Array.from({ length: 20 }, async () => await member.do({ op: 'get', url: '/value/cold' })))
      t.ok(answers.every(({ status }) => status === 200))
      t.equal(runsOf('cold').length, before + 1)
    })

    await t.test('whoever leads and is killed is replaced within the lease time', async (t) => {
      holding = true
      const before = await waiting()
      const crowds = members.map(async (member) => await member.do({ op: 'crowd', url: '/value/orphan', size: 50 }).catch(() => undefined))
      await allWait(50, before)
      t.equal(runsOf('orphan').length, 1)
      const leader = runsOf('orphan')[0]?.member
      const killedAt = Date.now()
      await leader?.kill()
      while (runsOf('orphan').length === 1) await sleep(5)
      t.comment(`the next one led after ${Date.now() - killedAt} ms`)
      release()
      const answers = await Promise.all(crowds)
      t.comment(`slowest ${Math.max(...answers.map((crowd) => crowd?.slowestMs ?? 0)).toFixed(0)} ms`)
      t.same(answers.map((crowd) => crowd?.statuses), members.map((member) => member === leader ? undefined : [200]))
      t.equal(runsOf('orphan').length, 2, 'one after the other, never two at once')
    })
    const dead = members.findIndex(({ alive }) => !alive)
    const [replacement] = await startMembers(1, async (key, member) => await database(key, member))
    if (replacement !== undefined) members[dead] = replacement
  })

  const slow = async (): Promise<void> => { await sleep(2 + Math.random() * 14) }

  for (const [name, options] of Object.entries<CachePluginOptions>({
    strict: { consistency: 'strict' },
    'strict, Redis only': { consistency: 'strict', strategy: 'redis' },
    bounded: {}
  })) {
    const strict = options.consistency === 'strict'
    await t.test(`${name}: no read is older than an acknowledged purge${strict ? '' : ' that has had time to travel'}, and nothing stale is left`, async (t) => {
      await join(`race ${name}:`.replaceAll(/[ ,]+/g, '-'), options)
      const table = new VersionTable()
      database = async (key) => {
        // The version that is read is that of the beginning; the answer comes later, perhaps after a purge.
        const version = table.read(key)
        await slow()
        return version
      }
      const settled = async (): Promise<void> => {
        while ((await Promise.all(members.map(async (member) => await member.do({ op: 'sync' })))).includes(false)) await sleep(20)
      }
      const figures = await race(members, keys, table, { forMs: raceMs, random: randomFrom(seed), settled })
      const travelMs = Math.max(0, ...figures.stale.map(({ dueForMs }) => dueForMs))
      t.comment(`${figures.reads} reads, the slowest ${figures.slowestMs.toFixed(0)} ms, ${figures.purges} purges, ${figures.stale.length} stale reads, the last ${travelMs.toFixed(1)} ms after the purge was acknowledged`)
      // Milliseconds, on a machine that has time; news that were lost would be missed for minutes.
      t.same(figures.stale.filter(({ dueForMs }) => strict || dueForMs > 3000), [], `seed ${seed}`)
      t.same(figures.staleAtEnd, [], `seed ${seed}`)
      t.ok((await Promise.all(members.map(async (member) => await member.do({ op: 'tell' })))).every(({ hits }) => hits > 0), 'and it did cache')
    })
  }
})
