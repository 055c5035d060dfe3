import { setTimeout as sleep } from 'node:timers/promises'

import t from 'tap'

import { systemClock, type Clock } from '../../../lib/clock.ts'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { createRedisKeys } from '../../../lib/keyspace/redis-key.ts'
import { createRedisLeases } from '../../../lib/leases/redis-leases.ts'
import { LOST_LEASE, type Lease, type LeaseAnswer, type Leases } from '../../../lib/ports/leases.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { entryOf } from '../../support/entries.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { freePort, startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

const server = await startRedis()
// A machine that is busy is no silent Redis.
const client = openRedis(server.url, { deadlineMs: 20_000 })
t.teardown(async () => { await client.close(); await server.stop() })
await until('Redis answers', () => client.ready)

let prefixes = 0
const lease = (answer: LeaseAnswer): Lease => {
  if (typeof answer === 'string') throw new Error(`the lease is ${answer}`)
  return answer
}
const two = (clock: Clock = systemClock): { prefix: string, one: Leases, other: Leases, name: string } => {
  const prefix = `lease${++prefixes}:`
  const options = { client, clock, prefix, leaseMs: 60_000 }
  return { prefix, one: createRedisLeases(options), other: createRedisLeases(options), name: createRedisKeys(prefix).lease('k') }
}

t.test('one holds the lease, the others find it busy, per key', async (t) => {
  const { one, other } = two()
  const answers = await Promise.all([one, other, one, other].map(async (leases) => await leases.acquire('k')))
  t.equal(answers.filter((answer) => answer === 'busy').length, 3)
  t.not(await other.acquire('another key'), 'busy')
  const held = lease(answers.find((answer) => typeof answer === 'object') ?? 'busy')
  await held.release()
  await held.release()
  t.not(await other.acquire('k'), 'busy')
  await other.close()
  await one.close()
  t.not(await two().one.acquire('k'), 'busy', 'closing gives back what was held')
})

t.test('nobody can give back the lease of another', async (t) => {
  const { one, other, name } = two()
  const lost = lease(await one.acquire('k'))
  await client.call(['DEL', name])
  lease(await other.acquire('k'))
  await lost.release()
  t.equal(await client.call(['EXISTS', name]), 1)
  await other.close()
})

t.test('a lease lives as long as its holder, and a little longer', async (t) => {
  const clock = fakeClock()
  const { one, other, name } = two(clock)
  const held = lease(await one.acquire('k'))
  const left = async (): Promise<number> => Number(await client.call(['PTTL', name]))
  // Redis has a clock of its own; what is left is cut to what would be left after some time.
  for (let third = 0; third < 3; third++) {
    await client.call(['PEXPIRE', name, 40_000])
    clock.advance(20_000)
    await until('it is prolonged', async () => await left() > 40_000)
  }
  t.equal(await other.acquire('k'), 'busy', 'prolonged')
  t.ok(await left() <= 60_000)
  await held.release()
  await other.close()

  const { other: heir, name: orphaned } = two()
  await client.call(['SET', orphaned, 'somebody who died', 'PX', 300])
  t.equal(await heir.wait('k', 60_000), 'free')
  t.not(await heir.acquire('k'), 'busy')
  await heir.close()
})

t.test('those who wait learn that the lease is free, or that they have waited enough', async (t) => {
  const { one, other } = two()
  const held = lease(await one.acquire('k'))
  t.equal(await other.wait('k', 30), 'late')
  t.equal(await other.wait('k', 0), 'late')
  const waiting = other.wait('k', 60_000)
  await held.release()
  t.equal(await waiting, 'free')
  await one.close()
  await other.close()
  t.equal(await other.acquire('k'), 'unavailable')
  t.equal(await other.wait('k', 1000), 'unavailable')
})

t.test('a lease that a sleeping Redis takes after its caller has gone is given back when Redis wakes', async (t) => {
  const impatient = openRedis(server.url)
  t.teardown(async () => { server.thaw(); await impatient.close() })
  const { prefix, other } = two()
  const one = createRedisLeases({ client: impatient, clock: systemClock, prefix, leaseMs: 60_000 })
  let answer: LeaseAnswer = 'unavailable'
  await until('Redis answers in time', async () => {
    answer = await one.acquire('held')
    return typeof answer === 'object' && impatient.ready
  })
  const held = lease(answer)
  server.freeze()
  const names = Array.from({ length: 6 }, (_, index) => `k${index}`)
  // The first ones to fail can still send something after it; then the circuit is open.
  t.same(new Set(await Promise.all(names.map(async (name) => await one.acquire(name)))), new Set(['unavailable']))
  t.equal(impatient.ready, false)
  await held.release()
  server.thaw()
  for (const name of [...names, 'held']) t.equal(await other.wait(name, 60_000), 'free', name)
  await Promise.all([one.close(), other.close()])
})

t.test('without Redis there is nothing to wait for', async (t) => {
  const nowhere = openRedis({ host: '127.0.0.1', port: await freePort() })
  const leases = createRedisLeases({ client: nowhere, clock: systemClock, prefix: 'x:' })
  t.equal(await leases.acquire('k'), 'unavailable')
  t.equal(await leases.wait('k', 60_000), 'unavailable')
  await leases.close()
  await nowhere.close()
})

t.test('a cold key is loaded once in the fleet, and a loser keeps its own load to itself', async (t) => {
  const prefix = `lease${++prefixes}:`
  const log = createLocalLog({ clock: systemClock })
  let loads = 0
  const member = (): (() => Promise<unknown>) => {
    const leases = createRedisLeases({ client, clock: systemClock, prefix, leaseMs: 60_000 })
    const store = new RedisCache({ client, log, prefix })
    return async function get (): Promise<unknown> {
      for (;;) {
        const [answer, found] = await Promise.all([leases.acquire('k'), store.read('k')])
        if (found !== undefined) {
          if (typeof answer === 'object') await answer.release()
          return found.value
        }
        if (answer === 'busy') { await leases.wait('k', 60_000); continue }
        const ticket = { ...log.ticket(), lease: lease(answer).token }
        loads++
        await sleep(50)
        await store.write('k', entryOf({ value: 'loaded', ticket, clock: systemClock }), ticket)
      }
    }
  }
  const values = await Promise.all(Array.from({ length: 20 }, async () => await member()()))
  t.same(new Set(values), new Set(['loaded']))
  t.equal(loads, 1)
  const store = new RedisCache({ client, log, prefix })
  t.same(await store.write('k', entryOf({ value: 'late', ticket: log.ticket(), clock: systemClock }), { ...log.ticket(), lease: LOST_LEASE }), { stored: false, reason: 'purged' })
  t.equal((await store.read('k'))?.value, 'loaded')
})
