import t from 'tap'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import type { Fill } from '../../../lib/ports/base-cache.ts'
import { systemClock } from '../../../lib/clock.ts'
import type { RedisClient } from '../../../lib/ports/redis-client.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { RedisCache } from '../../../lib/stores/redis.ts'
import { entryOf } from '../../support/entries.ts'
import { startRedis } from '../../support/redis-server.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

/** How many batches were sent before the first was answered, and at most under way. */
interface Traffic { sent: number, sentBeforeAnswer: number, most: number }

function counted (client: RedisClient): { client: RedisClient, traffic: Traffic } {
  const traffic: Traffic = { sent: 0, sentBeforeAnswer: 0, most: 0 }
  let underWay = 0
  const batch: RedisClient['batch'] = async (commands, options) => {
    traffic.sent++
    traffic.most = Math.max(traffic.most, ++underWay)
    const outcomes = await client.batch(commands, options)
    underWay--
    if (traffic.sentBeforeAnswer === 0) traffic.sentBeforeAnswer = traffic.sent
    return outcomes
  }
  return { traffic, client: new Proxy(client, { get: (target, name) => { if (name === 'batch') return batch; const value: unknown = Reflect.get(target, name, target); return typeof value === 'function' ? value.bind(target) : value } }) }
}

t.test('many keys', async (t) => {
  const server = await startRedis()
  const proxy = await startTcpProxy(server.port)
  const connection = openRedis(proxy.url, { deadlineMs: 10_000 })
  t.teardown(async () => { await connection.close(); await proxy.close(); await server.stop() })
  await connection.opened({ withinMs: 5000, required: true })
  const log = createLocalLog({ clock: systemClock })
  const storeOn = (client: RedisClient): RedisCache => new RedisCache({ client, log })
  const keys = Array.from({ length: 20_000 }, (_, n) => `k${n}`)
  const fills = keys.map((key, n): Fill => [key, entryOf({ value: n, ticket: log.ticket(), clock: systemClock }), log.ticket()])

  /** How often others had their turn meanwhile. */
  const turnsDuring = async (work: Promise<unknown>): Promise<number> => {
    let turns = 0
    let over = false
    const turn = (): void => {
      turns++
      if (!over) setImmediate(turn)
    }
    setImmediate(turn)
    await work
    over = true
    return turns
  }

  await t.test('are stored and read in their order, a few batches at a time, and others have their turn in between', async (t) => {
    const { client, traffic } = counted(connection)
    const store = storeOn(client)
    t.ok(await turnsDuring(store.writeMany(fills).then((verdicts) => { t.ok(verdicts.every(({ stored }) => stored)) })) > 200)
    t.equal(traffic.sent, 40)
    t.ok(await turnsDuring(Promise.resolve(store.readMany(keys)).then((found) => { t.ok(found.every((entry, n) => entry?.value === n)) })) > 200)
    t.equal(traffic.sent, 240)
    t.ok(traffic.most <= 10, `${traffic.most} at a time`)
  })

  await t.test('a thousand of them take one round trip', async (t) => {
    proxy.mode = 120
    const { client, traffic } = counted(connection)
    const found = await storeOn(client).readMany(keys.slice(0, 1000))
    proxy.mode = 'pass'
    t.ok(found.every((entry, n) => entry?.value === n))
    t.same(traffic, { sent: 10, sentBeforeAnswer: 10, most: 10 })
  })
})

t.test('however many keys somebody asks for, they wait once for a Redis that has fallen silent', async (t) => {
  const server = await startRedis()
  const connection = openRedis(server.url, { deadlineMs: 500 })
  t.teardown(async () => { await connection.close(); await server.stop() })
  await connection.opened({ withinMs: 5000, required: true })
  const log = createLocalLog({ clock: systemClock })
  server.freeze()
  const startedAt = performance.now()
  const found = await new RedisCache({ client: connection, log }).readMany(Array.from({ length: 10_000 }, (_, n) => `k${n}`))
  const tookMs = performance.now() - startedAt
  server.thaw()
  t.ok(found.every((entry) => entry === undefined))
  t.ok(tookMs < 2500, `${tookMs} ms; a deadline for each thousand were 5000`)
})
