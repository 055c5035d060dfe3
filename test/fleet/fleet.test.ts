import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startRedis } from '../support/redis-server.ts'
import { startMembers, stopMembers, type Member } from './support/fleet.ts'

const requests = Number(process.env['REQUESTS'] ?? 1000)
// A machine that is busy with 4000 requests is no silent Redis.
const patient = { strategy: 'hybrid', redisTimeout: 10, coalesceTimeout: 60 } as const

t.test('a cold key', async (t) => {
  const server = await startRedis()
  /** Who runs a handler for which key, and what lets it finish. */
  const running: Array<{ readonly key: string, readonly member: Member, readonly finish: () => void }> = []
  let holding = false
  const members = await startMembers(4, async (key, member) => {
    await new Promise<void>((resolve) => {
      running.push({ key, member, finish: resolve })
      if (!holding) setTimeout(resolve, 300)
    })
    return 1
  })
  t.teardown(async () => {
    await stopMembers(members)
    await server.stop()
  })
  await Promise.all(members.map(async (member) => await member.do({ op: 'join', options: { ...patient, redisUrl: server.url } })))
  const runsOf = (key: string): typeof running => running.filter((run) => run.key === key)

  await t.test(`${requests} concurrent requests in each of 4 processes run the handler once`, async (t) => {
    const crowds = await Promise.all(members.map(async (member) => await member.do({ op: 'crowd', url: '/value/cold', size: requests })))
    t.comment(`slowest ${Math.max(...crowds.map(({ slowestMs }) => slowestMs)).toFixed(0)} ms`)
    t.same(crowds.map(({ served, statuses, versions }) => ({ served, statuses, versions })), members.map(() => ({ served: requests, statuses: [200], versions: [1] })))
    t.equal(runsOf('cold').length, 1)
  })

  await t.test('the same for data', async (t) => {
    const values = await Promise.all(members.flatMap((member) => Array.from({ length: 50 }, async () => await member.do({ op: 'data', key: 'cold data' }))))
    t.same([...new Set(values)], [1])
    t.equal(runsOf('cold data').length, 1)
  })

  await t.test('whoever leads and is killed is replaced within the lease time', async (t) => {
    holding = true
    const crowds = members.map(async (member) => await member.do({ op: 'crowd', url: '/value/orphan', size: 50 }).catch(() => undefined))
    while (runsOf('orphan').length === 0) await sleep(5)
    // Nobody else may begin while the leader lives, however long it takes.
    await sleep(200)
    t.equal(runsOf('orphan').length, 1)
    const leader = runsOf('orphan')[0]?.member
    const killedAt = Date.now()
    await leader?.kill()
    while (runsOf('orphan').length === 1) await sleep(5)
    t.comment(`the next one led after ${Date.now() - killedAt} ms`)
    holding = false
    for (const run of runsOf('orphan')) run.finish()
    const answers = await Promise.all(crowds)
    t.same(answers.map((crowd) => crowd?.statuses), members.map((member) => member === leader ? undefined : [200]))
    t.equal(runsOf('orphan').length, 2, 'one after the other, never two at once')
  })
})
