import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import cache from 'fastify-response-cache'
import { Redis } from 'ioredis'
import t from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { logNames } from '../../lib/invalidation/log-names.ts'
import { cacheStatus, deferred } from '../support/cached-app.ts'
import { startRedis } from '../support/redis-server.ts'
import { onRedis, until } from '../support/until.ts'

type Answer = (reply: FastifyReply) => unknown
type Test = Parameters<Parameters<typeof t.test>[0]>[0]

/** An instance of an app whose page is answered as it is told. */
interface Instance { readonly app: FastifyInstance, now: Answer, runs: number }

const TTL_MS = 10_000
const GOOD: Answer = () => 'page'
const FAILED: Answer = () => { throw new Error('down') }
const GONE: Answer = (reply) => reply.code(404).send('gone')
const PRIVATE: Answer = (reply) => reply.header('cache-control', 'private').send('yours')

const server = await startRedis()
const admin = new Redis(server.port)
t.teardown(async () => { admin.disconnect(); await server.stop() })

let fleets = 0

async function fleet (t: Test, route: object): Promise<{ instances: [Instance, Instance], pass: (ms: number) => void, records: () => Promise<number> }> {
  let passedMs = 0
  const clock: Clock = { now: () => systemClock.now() + passedMs, after: systemClock.after }
  const redisPrefix = `superseded${++fleets}:`
  const open = async (): Promise<Instance> => {
    const app = Fastify()
    const instance: Instance = { app, now: GOOD, runs: 0 }
    await app.register(cache, { clock, strategy: 'hybrid', redisUrl: server.url, redisPrefix, redisTimeout: 10, coalesceTimeout: 60, ttlJitter: 0, hitForMiss: 0, metrics: false })
    app.get('/x', { exposeHeadRoute: false, config: { cache: { ttl: TTL_MS / 1000, ...route } } }, async (_request, reply) => {
      instance.runs++
      return await instance.now(reply)
    })
    await app.ready()
    t.teardown(async () => { await app.close() })
    await onRedis(app.cache)
    return instance
  }
  const instances = await Promise.all([open(), open()])
  return { instances, pass: (ms) => { passedMs += ms }, records: async () => await admin.xlen(logNames(redisPrefix, '').log) }
}

/** Both have a copy of one page in their memory. */
async function shared ([one, two]: readonly [Instance, Instance]): Promise<void> {
  await one.app.inject('/x')
  await until('the other one has it', async () => /^hit/.test(cacheStatus(await two.app.inject('/x'))))
}

for (const [name, answer] of [['is gone', GONE], ['is for one user', PRIVATE]] as const) {
  t.test(`once a handler has said that a page ${name}, it is served by no instance`, async (t) => {
    await t.test('in place of an error', async (t) => {
      const { instances, pass } = await fleet(t, { staleIfError: 600 })
      const [one, two] = instances
      await shared(instances)
      pass(2 * TTL_MS)
      two.now = FAILED
      t.match(cacheStatus(await two.app.inject('/x')), /stale-if-error/, 'so far it is')
      one.now = answer
      await one.app.inject('/x')
      await one.app.cache.parts.log.sync()
      await two.app.cache.parts.log.sync()
      t.equal((await two.app.inject('/x')).statusCode, 500)
      t.equal((await one.app.inject('/x')).payload, answer === GONE ? 'gone' : 'yours')
      one.now = two.now = GOOD
      await one.app.inject('/x')
      t.match(cacheStatus(await one.app.inject('/x')), /^hit/, 'and what is good again is stored again')
    })
    await t.test('while it is refreshed', async (t) => {
      const { instances, pass } = await fleet(t, { staleWhileRevalidate: 600 })
      const [one, two] = instances
      await shared(instances)
      pass(2 * TTL_MS)
      one.now = two.now = answer
      t.match(cacheStatus(await one.app.inject('/x')), /stale-while-revalidate/)
      await until('it is refreshed', async () => /^fwd=/.test(cacheStatus(await one.app.inject('/x'))))
      await two.app.cache.parts.log.sync()
      t.match(cacheStatus(await two.app.inject('/x')), /^fwd=uri-miss/)
    })
  })
}

t.test('once a handler has said that a page is gone, no instance serves parts of it', async (t) => {
  const { instances, records } = await fleet(t, { http: { storeParts: true } })
  const [one, two] = instances
  const part = async ({ app }: Instance): Promise<string> => cacheStatus(await app.inject({ url: '/x', headers: { range: 'bytes=0-1' } }))
  one.now = two.now = (reply) => reply.code(206).header('content-range', 'bytes 0-1/10').send('01')
  await part(one)
  await until('the other one has it', async () => /^hit/.test(await part(two)))
  one.now = two.now = GONE
  const before = await records()
  await one.app.inject('/x')
  await until('the fleet is told', async () => await records() > before)
  await two.app.cache.parts.log.sync()
  t.match(await part(two), /^fwd=uri-miss/)
  t.match(await part(one), /^fwd=uri-miss/)
  await one.app.inject('/x')
  t.equal(await records(), before + 1)
})

t.test('the fleet is told once of each response that is superseded, however many say so', async (t) => {
  const { instances, pass, records } = await fleet(t, { staleIfError: 600 })
  const [one, two] = instances
  await shared(instances)
  const before = await records()
  pass(2 * TTL_MS)
  const gates = [deferred(), deferred()] as const
  for (const [index, instance] of instances.entries()) instance.now = async (reply) => { await gates[index]?.promise; return GONE(reply) }
  const first = one.app.inject('/x')
  await until('the first runs', () => one.runs === 2)
  const { leases } = two.app.cache.parts
  const wait = leases?.wait.bind(leases)
  let waiting = false
  if (leases !== undefined && wait !== undefined) leases.wait = async (...args) => { waiting = true; return await wait(...args) }
  const second = two.app.inject('/x')
  await until('the second waits for it, and has found what is stored', () => waiting)
  gates[0].resolve()
  await first
  await until('the fleet is told', async () => await records() > before)
  await until('the second runs', () => two.runs === 1)
  await two.app.cache.parts.log.sync()
  gates[1].resolve()
  t.equal((await second).statusCode, 404)
  for (const { app } of [...instances, ...instances]) t.equal((await app.inject('/x')).statusCode, 404)
  t.equal(one.runs + two.runs, 7)
  t.equal(await records(), before + 1)
})
