import Fastify, { type FastifyInstance } from 'fastify'
import cache from 'fastify-response-cache'
import t from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { deferred, type Deferred } from '../support/cached-app.ts'
import { startRedis } from '../support/redis-server.ts'
import { onRedis, until } from '../support/until.ts'

/** Of a ttl of an hour that is less than a millisecond: whatever is found is due. */
const AT_ONCE = 1e-9
const HOUR = 3600

/** The real one, but that a second can pass at once: what is hardly younger is not told from what was there. */
let passedMs = 0
const clock: Clock = { now: () => systemClock.now() + passedMs, after: systemClock.after }
const passSecond = (): void => { passedMs += 1000 }

type Test = Parameters<Parameters<typeof t.test>[0]>[0]

const server = await startRedis()
t.teardown(async () => { await server.stop() })

interface Instance { readonly app: FastifyInstance, readonly runs: Array<Deferred<void>> }

/** Two instances of an app whose handler and loader answer how often they have run in both, once they are let go. */
async function pair (t: Test, strategy: 'redis' | 'hybrid'): Promise<[Instance, Instance, { count: number }]> {
  const total = { count: 0 }
  const open = async (): Promise<Instance> => {
    const runs: Array<Deferred<void>> = []
    const app = Fastify()
    await app.register(cache, { clock, strategy, redisUrl: server.url, redisPrefix: `renewal-${t.name.replaceAll(/\W/g, '-')}:`, redisTimeout: 10, coalesceTimeout: 60, ttlJitter: 0, metrics: false })
    const run = async (): Promise<number> => {
      const gate = deferred()
      runs.push(gate)
      const nth = ++total.count
      await gate.promise
      return nth
    }
    app.get('/page', { config: { cache: { ttl: HOUR, refreshAhead: AT_ONCE } } }, run)
    app.get('/data', async () => await app.cache.getOrSet('data', run, { ttl: HOUR, refreshAhead: AT_ONCE }))
    await app.ready()
    t.teardown(async () => {
      for (const gate of runs) gate.resolve()
      await app.close()
    })
    await onRedis(app.cache)
    return { app, runs }
  }
  const [one, two] = await Promise.all([open(), open()])
  return [one, two, total]
}

for (const strategy of ['redis', 'hybrid'] as const) {
  for (const url of ['/page', '/data']) {
    t.test(`${strategy} ${url}: what is still fresh is renewed ahead of time, once in the fleet`, async (t) => {
      const [one, two, total] = await pair(t, strategy)
      const stored = (instance: Instance): number => instance.app.cache.getStats().sets
      const ask = async ({ app }: Instance): Promise<string> => (await app.inject(url)).body
      const first = ask(one)
      await until('the first run', () => one.runs.length === 1)
      one.runs[0]?.resolve()
      t.equal(await first, '1')
      await until('it is stored', () => stored(one) === 1)
      passSecond()

      t.equal(await ask(two), '1', 'nobody waits for the renewal')
      await until('the renewal', () => two.runs.length === 1)
      // It asks for the same, and finds that somebody is at it.
      const { leases } = one.app.cache.parts
      const wait = leases?.wait.bind(leases)
      let waiting = false
      if (leases !== undefined && wait !== undefined) leases.wait = async (...args) => { waiting = true; return await wait(...args) }
      t.equal(await ask(one), '1')
      await until('the other one waits for it', () => waiting)
      two.runs[0]?.resolve()
      await until('the renewal is stored', () => stored(two) === 1)
      passSecond()
      if (strategy === 'redis') {
        // It does not close before its own renewal has come to an end.
        await one.app.close()
        t.equal(total.count, 2)
        return
      }

      let answer = '1'
      await until('the other one has it', async () => (answer = await ask(one)) !== '1' || total.count > 2)
      t.equal(answer, '2')
      await until('the next renewal', () => one.runs.length === 2)
      one.runs[1]?.resolve()
      await until('it is stored', () => stored(one) === 2)
      t.equal(await ask(two), '2', 'out of its memory')
      await two.app.close()
      t.equal(total.count, 3, 'it has found that somebody has just done it')
    })
  }
}
