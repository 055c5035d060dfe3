import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import { CacheManager } from '../../../lib/cache-manager.ts'
import type { CacheConfig } from '../../../lib/config.ts'
import { HotList } from '../../../lib/engine/hot-list.ts'
import { HotNames } from '../../../lib/engine/hot-names.ts'
import { createTextInCache } from '../../../lib/engine/text-in-cache.ts'
import { watchLoop } from '../../../lib/engine/warming-pace.ts'
import { CacheWarmingService, type WarmingDeps } from '../../../lib/engine/warming-service.ts'
import type { InjectRequest, WarmingRequest } from '../../../lib/engine/warming-routes.ts'
import type { WriteVerdict } from '../../../lib/ports/base-cache.ts'
import { createTextFile } from '../../../lib/stores/text-file.ts'
import fastifyResponseCache from '../../../plugins/cache.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { programRoot, scriptArgs } from '../../support/program.ts'
import { startRedis } from '../../support/redis-server.ts'

/** The one of this process, which shows it only when asked. */
function garbageCollector (): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

const calm = { delayMs: () => 0, stop: () => {} }

function setUp (t: Test, config: Partial<CacheConfig> = {}, deps: WarmingDeps = {}) {
  const clock = fakeClock()
  const cache = new CacheManager({ memoryMaxSize: 100_000, ...config }, { clock, random: () => 0 })
  const warming = new CacheWarmingService(cache, { watch: () => calm, ...deps })
  t.teardown(async () => {
    await warming.close()
    await cache.close()
  })
  return { clock, cache, warming }
}

/** Moves time on until the promise is settled: for what waits between attempts. */
async function settled<T> (clock: ReturnType<typeof fakeClock>, promise: Promise<T>): Promise<T> {
  const state = { done: false }
  const end = (): void => { state.done = true }
  promise.then(end, end)
  while (!state.done) {
    clock.advance(1000)
    await turn()
  }
  return await promise
}

t.test('warming stores each row of its source under the pattern and its key', async (t) => {
  const rows = { a: 1, b: { n: 2 } }
  const sources: Record<string, Parameters<CacheWarmingService['warmCache']>[0]> = {
    object: rows,
    map: new Map<string | number, unknown>(Object.entries(rows)),
    pairs: Object.entries(rows),
    iterable: (function * () { yield * Object.entries(rows) })(),
    generator: (async function * () { yield * Object.entries(rows) })(),
    function: () => rows,
    promise: async () => new Map(Object.entries(rows)),
    pages: async function * () { yield * Object.entries(rows) }
  }
  for (const [kind, source] of Object.entries(sources)) {
    const { cache, warming } = setUp(t)
    const report = await warming.warmCache(source, 'products', 1)
    t.match(report, { name: 'products', outcome: 'completed', total: 2, stored: 2, failed: 0, skipped: 0, faults: [] }, kind)
    t.same(await cache.getMany(['products:a', 'products:b']), [1, { n: 2 }], kind)
  }
})

t.test('a large source is read as it is stored, not held', async (t) => {
  const { cache, warming } = setUp(t)
  const { store } = cache.parts
  const writeMany = store.writeMany.bind(store)
  let read = 0
  let ahead = 0
  let writing = 0
  let most = 0
  store.writeMany = async (fills) => {
    most = Math.max(most, ++writing)
    for (let turns = 0; turns < 5; turns++) await turn()
    writing--
    return await writeMany(fills)
  }
  const rows = async function * (): AsyncGenerator<[number, number]> {
    for (; read < 20_000; read++) {
      ahead = Math.max(ahead, read - cache.getStats().entries)
      yield [read, read]
    }
  }
  const report = await warming.warmCache(rows, 'row', { batchSize: 500, concurrency: 3 })
  t.match(report, { stored: 20_000, outcome: 'completed' })
  t.equal(most, 3, 'so many batches are stored at the same time, and no more')
  t.ok(ahead <= 4 * 500, `at most ${ahead} rows were read and not stored`)
})

t.test('what is warmed', async (t) => {
  t.test('has the ttl, the tags and the jitter that were asked for', async (t) => {
    const clock = fakeClock()
    const cache = new CacheManager({ ttlJitter: 0.5, staleIfError: 0 }, { clock, random: () => 1 })
    const warming = new CacheWarmingService(cache, { watch: () => calm })
    await warming.warmCache({ a: 'x' }, 'p', { ttl: 100, tags: (value: string) => [value] })
    clock.advance(50_000)
    t.equal(await cache.exists('p:a'), false, 'jitter by default, so that not everything expires at once')
    await warming.warmCache({ a: 'x' }, 'p', { ttl: 100, jitter: 0, tags: (value: string) => [value] })
    clock.advance(99_999)
    t.equal(await cache.exists('p:a'), true)
    await cache.invalidate({ tags: ['x'] })
    t.equal(await cache.exists('p:a'), false)
    await cache.close()
  })
  t.test('never overwrites what a purge took out while the source was read', async (t) => {
    const { cache, warming } = setUp(t)
    const report = await warming.warmCache(async function * () {
      yield ['1', 'old'] as const
      await cache.set('p:2', 'new')
      await cache.invalidate({ keys: ['p:3'] })
      yield * [['2', 'old'], ['3', 'old'], ['4', 'old']] as const
    }, 'p', { batchSize: 10 })
    t.match(report, { stored: 2, skipped: 2, failed: 0 })
    t.same(await cache.getMany(['p:1', 'p:2', 'p:3', 'p:4']), ['old', 'new', undefined, 'old'])
  })
  t.test('is no older than a purge that came after its rows were handed in', async (t) => {
    const rows: ReadonlyArray<readonly [string, string]> = [['1', 'old'], ['2', 'unchanged']]
    const sources: Record<string, () => Parameters<CacheWarmingService['warmCache']>[0]> = {
      list: () => rows,
      object: () => Object.fromEntries(rows),
      map: () => new Map(rows),
      generator: () => (function * () { yield * rows })(),
      'async generator': () => (async function * () { yield * rows })()
    }
    for (const [kind, source] of Object.entries(sources)) {
      let granted = (): void => {}
      const turnGranted = new Promise<void>((resolve) => { granted = resolve })
      const { cache, warming } = setUp(t, {}, { leases: { acquire: async () => { await turnGranted; return 'unavailable' } } })
      const report = warming.warmCache(source(), 'p')
      await cache.invalidate({ keys: ['p:1'] })
      granted()
      t.match(await report, { stored: 1, skipped: 1 }, kind)
      t.same(await cache.getMany(['p:1', 'p:2']), [undefined, 'unchanged'], kind)
    }
    const { cache, warming } = setUp(t)
    const [report] = await Promise.all([warming.warmCache(() => rows, 'p'), cache.invalidate({ keys: ['p:1'] })])
    t.match(report, { stored: 2 }, 'a function is asked later')
  })
  t.test('purges nothing that was built from the same value', async (t) => {
    const { cache, warming } = setUp(t)
    await cache.set('p:1', 1)
    await cache.getOrSet('page', async () => await cache.get('p:1'))
    await warming.warmCache({ 1: 1 }, 'p')
    t.equal(await cache.exists('page'), true)
  })
  t.test('is a change where it takes the place of another value', async (t) => {
    const { clock, cache, warming } = setUp(t, { staleIfError: 600 })
    const pages = async (): Promise<unknown[]> => await cache.getMany(['page:1', 'page:2', 'page:3'])
    await warming.warmCache({ 1: { price: 5 }, 2: { price: 5 }, 3: { price: 5 } }, 'room', { ttl: 60 })
    for (const id of [1, 2, 3]) await cache.getOrSet(`page:${id}`, async () => await cache.get(`room:${id}`))
    t.match(await warming.warmCache({ 1: { price: 5 }, 2: { price: 9 } }, 'room', { ttl: 60 }), { stored: 2 })
    t.same(await pages(), [{ price: 5 }, undefined, { price: 5 }])
    clock.advance(60_000)
    t.match(await warming.warmCache({ 3: { price: 9 } }, 'room'), { stored: 1 })
    t.same(await pages(), [{ price: 5 }, undefined, undefined], 'also of one whose time is over')
    const report = warming.warmCache(async () => {
      await cache.invalidate({ keys: ['room:2'] })
      return { 2: { price: 10 } }
    }, 'room')
    t.match(await report, { stored: 0, skipped: 1 }, 'but a purge that came meanwhile is newer')
  })
  t.test('goes with what the source read through the cache', async (t) => {
    const { cache, warming } = setUp(t)
    await cache.set('factor', 2)
    await warming.warmCache(async () => ({ 1: await cache.get<number>('factor') }), 'p')
    await cache.set('factor', 3)
    t.equal(await cache.exists('p:1'), false)
  })
})

t.test('failures are counted and told, never thrown', async (t) => {
  t.test('a row that cannot be stored harms no other', async (t) => {
    const { cache, warming } = setUp(t)
    const report = await warming.warmCache([['a', 1], ['b', () => 1], ['c', undefined], ['d'], ['e', 5], ['x'.repeat(2000), 1]] as never, 'p')
    t.match(report, { outcome: 'completed', total: 6, stored: 2, failed: 3, skipped: 1 })
    t.same(report.faults.map(({ key }) => key.slice(0, 5)).sort(), ['p:b', 'p:xxx', 'row 4'])
    t.same(await cache.getMany(['p:a', 'p:e']), [1, 5])
  })
  t.test('a source that throws is tried again, later each time', async (t) => {
    const { clock, warming } = setUp(t)
    let attempts = 0
    const source = (): Record<string, number> => {
      if (++attempts < 3) throw new Error(`attempt ${attempts}`)
      return { a: 1 }
    }
    t.match(await settled(clock, warming.warmCache(source, 'p')), { outcome: 'completed', stored: 1 })
    t.equal(attempts, 3)
    const failed = await settled(clock, warming.warmCache(() => { throw new Error('away') }, 'q', { retries: 1 }))
    t.match(failed, { outcome: 'failed', error: { message: 'away' }, stored: 0 })
  })
  t.test('a source that breaks in the middle leaves what came before', async (t) => {
    const { cache, warming } = setUp(t)
    const report = await warming.warmCache(async function * () {
      yield ['a', 1] as const
      throw new Error('cut')
    }, 'p')
    t.match(report, { outcome: 'failed', error: { message: 'cut' }, stored: 1 })
    t.equal(await cache.get('p:a'), 1)
  })
  t.test('a store that is away is tried again with the rows it did not take', async (t) => {
    const { clock, cache, warming } = setUp(t)
    const { store } = cache.parts
    const writeMany = store.writeMany.bind(store)
    const sizes: number[] = []
    store.writeMany = async (fills): Promise<WriteVerdict[]> => {
      sizes.push(fills.length)
      const verdicts = await writeMany(fills.slice(0, 2))
      return fills.map((_fill, index) => verdicts[index] ?? { stored: false, reason: 'unavailable' })
    }
    t.match(await settled(clock, warming.warmCache({ a: 1, b: 2, c: 3, d: 4, e: 5 }, 'p', { retries: 1 })), { stored: 4, failed: 1, faults: [{ key: 'p:e' }] })
    t.same(sizes, [5, 3])
    store.writeMany = async () => { throw new Error('broken') }
    t.match(await warming.warmCache({ a: 1 }, 'p'), { outcome: 'completed', failed: 1, faults: [{ error: { message: 'broken' } }] })
  })
  t.test('a store that is away is tried again with a row that takes the place of another value, unless that was purged since', async (t) => {
    const { clock, cache, warming } = setUp(t)
    await warming.warmCache({ 1: 'old', 2: 'old' }, 'p')
    const { store } = cache.parts
    const writeMany = store.writeMany.bind(store)
    store.writeMany = async (fills) => {
      store.writeMany = writeMany
      await cache.invalidate({ keys: ['p:2'] })
      return fills.map(() => ({ stored: false, reason: 'unavailable' }))
    }
    t.match(await settled(clock, warming.warmCache({ 1: 'new', 2: 'new' }, 'p', { retries: 1 })), { stored: 1, skipped: 1, failed: 0 })
    t.same(await cache.getMany(['p:1', 'p:2']), ['new', undefined])
  })
  t.test('mistakes in the call are thrown', async (t) => {
    const { warming, cache } = setUp(t)
    await t.rejects(warming.warmCache({}, ''), { code: 'FST_ERR_CACHE_OPTION' })
    await t.rejects(warming.warmCache({}, 'p', 0), { code: 'FST_ERR_CACHE_OPTION' })
    await t.rejects(warming.warmCache({}, 'p', { concurrency: 1.5 }), { code: 'FST_ERR_CACHE_OPTION' })
    await t.rejects(warming.warmCache({}, 'p', { tll: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean ttl\?$/ })
    t.throws(() => warming.startWarmRoutes([], { concurency: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean concurrency\?$/ })
    t.throws(() => warming.startWarmLearned(new HotList(cache), { timebudget: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean timeBudget\?$/ })
    t.throws(() => new CacheWarmingService(cache, { injct: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean inject\?$/ })
    t.throws(() => new HotList(cache, { limits: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean limit\?$/ })
    t.match(await warming.warmCache(7 as never, 'p', { retries: 0 }), { outcome: 'failed', error: { code: 'FST_ERR_CACHE_OPTION' } })
  })
})

t.test('a warming', async (t) => {
  t.test('does nothing, and says so, when the configuration forbids it', async (t) => {
    const { cache, warming } = setUp(t, { enableWarming: false })
    t.match(await warming.warmCache({ a: 1 }, 'p'), { outcome: 'disabled', total: 0 })
    t.equal(await cache.exists('p:a'), false)
  })
  t.test('joins the one of its name that runs, and may start again when that has ended', async (t) => {
    const { warming } = setUp(t)
    let reads = 0
    const source = async (): Promise<Record<string, number>> => { await turn(); return { a: ++reads } }
    const [first, second] = await Promise.all([warming.warmCache(source, 'p'), warming.warmCache(source, 'p')])
    t.equal(first.id, second.id)
    t.equal(reads, 1)
    t.not((await warming.warmCache(source, 'p')).id, first.id)
    t.equal(warming.jobs().length, 2)
  })
  t.test('tells its progress, and a listener that throws does not stop it', async (t) => {
    const { clock, warming } = setUp(t)
    const seen: Array<[number, number | undefined]> = []
    const job = warming.startWarmCache({ a: 1, b: 2, c: 3 }, 'p', { batchSize: 2, concurrency: 1, onProgress: ({ total, expected }) => { seen.push([total, expected]) } })
    job.onProgress(() => { throw new Error('deaf') })
    clock.advance(250)
    t.match(await job.report, { stored: 3, durationMs: 250, id: job.id })
    t.same(seen, [[2, 3], [3, 3], [3, 3]])
    t.equal(job.ended, true)
  })
  t.test('ends when it is cancelled, by its signal, its job or the service, even if the source hangs', async (t) => {
    const { warming } = setUp(t)
    const controller = new AbortController()
    const hanging = async function * (): AsyncGenerator<[string, number]> {
      yield ['a', 1]
      await new Promise(() => {})
    }
    const bySignal = warming.startWarmCache(hanging, 'p', { batchSize: 1, signal: controller.signal })
    const byJob = warming.startWarmCache(async () => await new Promise<Record<string, number>>(() => {}), 'q')
    const byService = warming.startWarmCache(hanging, 'r', { batchSize: 1 })
    t.match(await warming.warmCache({ a: 1 }, 's', { signal: AbortSignal.abort() }), { outcome: 'cancelled', total: 0 })
    while (bySignal.progress.stored === 0) await turn()
    controller.abort()
    byJob.cancel()
    t.match(await bySignal.report, { outcome: 'cancelled', stored: 1 })
    t.match(await byJob.report, { outcome: 'cancelled', stored: 0 })
    await warming.close()
    t.match(await byService.report, { outcome: 'cancelled' })
    await t.rejects(warming.warmCache({}, 'p'), { code: 'FST_ERR_CACHE_CLOSED' })
  })
  t.test('holds no rows but those of the batches under way', async (t) => {
    const { warming } = setUp(t, { memoryMaxSize: 10 })
    const collect = garbageCollector()
    const rows: Array<WeakRef<object>> = []
    let alive = Infinity
    const report = await warming.warmCache(async function * () {
      for (let n = 0; n < 2000; n++) {
        const row = [n, n] as const
        rows.push(new WeakRef(row))
        yield row
      }
      // What a WeakRef was made for, or asked for, stays until the end of the turn.
      await turn()
      collect()
      alive = rows.filter((row) => row.deref() !== undefined).length
    }, 'p', { batchSize: 10, concurrency: 2 })
    t.match(report, { outcome: 'completed', stored: 2000 })
    t.ok(alive <= 100, `${alive} of 2000 rows are held when the last was read`)
  })
  t.test('ends at once when its source cancels it and fails', async (t) => {
    const { warming } = setUp(t)
    const job = warming.startWarmCache(() => {
      job.cancel()
      throw new Error('boom')
    }, 'p')
    t.match(await job.report, { outcome: 'cancelled', stored: 0 })
    const late = warming.startWarmCache({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          late.cancel()
          throw new Error('boom')
        }
      })
    }, 'late')
    t.match(await late.report, { outcome: 'cancelled', stored: 0 })
  })
  t.test('leaves the work to the instance that has the lease', async (t) => {
    const held = new Set<string>()
    const leases: Required<WarmingDeps>['leases'] = {
      async acquire (key) {
        if (held.has(key)) return 'busy'
        held.add(key)
        return { token: 'x', release: async () => { held.delete(key) } }
      }
    }
    const [one, two] = [setUp(t, {}, { leases }), setUp(t, {}, { leases })]
    const source = async (): Promise<Record<string, number>> => { await turn(); return { a: 1 } }
    const reports = await Promise.all([one.warming.warmCache(source, 'p'), two.warming.warmCache(source, 'p')])
    t.same(reports.map(({ outcome }) => outcome), ['completed', 'elsewhere'])
    t.equal(held.size, 0, 'and gives it back')
    const alone = setUp(t, {}, { leases: { acquire: async () => 'unavailable' } })
    t.match(await alone.warming.warmCache(source, 'p'), { outcome: 'completed', stored: 1 })
  })
  t.test('is done once in a fleet, during a rolling start as well', async (t) => {
    const server = await startRedis()
    t.teardown(async () => { await server.stop() })
    const caches: CacheManager[] = []
    const instance = async (deps: WarmingDeps = {}): Promise<CacheWarmingService> => {
      const cache = new CacheManager({ strategy: 'hybrid', redisUrl: server.url, redisPrefix: 'fleet:', redisTimeout: 10 })
      caches.push(cache)
      t.teardown(async () => { await cache.close() })
      return new CacheWarmingService(await cache.initialize(), { watch: () => calm, ...deps })
    }
    const [one, two] = [await instance(), await instance()]
    let readings = 0
    const source = async function * (): AsyncGenerator<readonly [string, number]> {
      readings++
      await turn()
      yield * [['a', 1], ['b', 2]] as const
    }
    const outcomes = async (...warmings: Array<Promise<{ outcome: string }>>): Promise<string[]> => (await Promise.all(warmings)).map(({ outcome }) => outcome)
    t.same((await outcomes(one.warmCache(source, 'p'), two.warmCache(source, 'p'))).sort(), ['completed', 'elsewhere'], 'at the same time')
    const three = await instance()
    t.same(await outcomes(three.warmCache(source, 'p')), ['elsewhere'], 'and right after')
    t.equal(readings, 1)
    t.same(await outcomes(three.warmCache(source, 'q')), ['completed'], 'something else is another matter')
    t.same(await outcomes(three.warmCache(source, 'q')), ['completed'], 'who has warmed may do so again')
    t.same(await outcomes(one.warmCache(source, 'q')), ['elsewhere'])
    t.same(await outcomes(one.warmCache(source, 'q', { force: true })), ['completed'], 'and who insists')
    t.same(await outcomes((await instance({ leases: false })).warmCache(source, 'q')), ['completed'], 'or wants no leases')
    t.equal(readings, 5)

    const last = await instance()
    const cleaner = caches.at(-1)
    await cleaner?.invalidate({ keys: ['q:a'] })
    t.same(await outcomes(last.warmCache(source, 'q')), ['elsewhere'], 'one row that was purged is no reason')
    await cleaner?.invalidate({ patterns: ['q:*'] })
    t.same(await outcomes(last.warmCache(source, 'q')), ['completed'], 'all that were are')
    const broken = async function * (): AsyncGenerator<readonly [string, number]> { throw new Error('boom') }
    t.same(await outcomes(one.warmCache(broken, 'r', { retries: 0 })), ['failed'])
    t.same(await outcomes(two.warmCache(source, 'r')), ['completed'], 'what failed was not done')
  })
  t.test('pauses while the event loop is busy, but not for ever', async (t) => {
    const delays = [100, 100, 0]
    let stopped = 0
    const watch = () => ({ delayMs: () => delays.shift() ?? 0, stop: () => { stopped++ } })
    const { clock, warming } = setUp(t, {}, { watch, maxLoopDelayMs: 30 })
    const job = warming.startWarmCache({ a: 1, b: 2 }, 'p', { batchSize: 1, concurrency: 1 })
    for (let turns = 0; turns < 20; turns++) await turn()
    t.match(job.progress, { stored: 1 }, 'it waits')
    clock.advance(20)
    for (let turns = 0; turns < 20; turns++) await turn()
    t.match(job.progress, { stored: 1 })
    clock.advance(40)
    t.match(await job.report, { stored: 2 })
    t.equal(stopped, 1)
    const busy = setUp(t, {}, { watch: () => ({ delayMs: () => 1000, stop: () => {} }) })
    t.match(await settled(busy.clock, busy.warming.warmCache({ a: 1, b: 2 }, 'p', 1)), { outcome: 'completed', stored: 2 })
  })
  t.test('can watch the real event loop', async (t) => {
    const monitor = watchLoop()
    await turn()
    t.ok(monitor.delayMs() >= 0)
    monitor.stop()
  })
  t.test('of which there were many is forgotten', async (t) => {
    const { warming } = setUp(t)
    for (let n = 0; n < 30; n++) await warming.warmCache({}, `p${n}`)
    t.ok(warming.jobs().length <= 21)
    t.equal(warming.jobs().at(-1)?.name, 'p29')
  })
})

t.test('warming routes', async (t) => {
  t.test('goes through the application, its hooks and serialisers', async (t) => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(fastifyResponseCache)
    let runs = 0
    app.addHook('onRequest', async (request, reply) => { if (request.url === '/guarded') await reply.code(401).send() })
    app.get('/products', { config: { cache: { ttl: 60 } }, schema: { response: { 200: { type: 'object', properties: { n: { type: 'integer' } } } } } }, async () => ({ n: ++runs, secret: 1 }))
    app.get('/guarded', async () => 'never')
    app.get('/broken', async () => { throw new Error('no') })
    await app.ready()
    const inject: InjectRequest = async ({ method, url, headers, signal }) => await app.inject({ method, url, headers, signal })
    const warming = new CacheWarmingService(app.cache, { inject, watch: () => calm })
    const report = await warming.warmRoutes(['/products', '/products?page=2', '/guarded', '/broken', { path: '/products', host: 'shop.example' }], { retries: 0 })
    t.match(report, { outcome: 'completed', total: 5, stored: 3, failed: 2, statuses: { 200: 3, 401: 1, 500: 1 } })
    t.equal(runs, 3)
    const hit = await app.inject('/products')
    t.match(hit.headers['cache-status'], /hit/)
    t.same(hit.json(), { n: 1 })
    t.match((await app.inject({ url: '/products', headers: { host: 'shop.example' } })).headers['cache-status'], /hit/)
    t.equal(runs, 3)
  })
  t.test('requests nothing but clean paths of this application', async (t) => {
    const asked: string[] = []
    const { warming } = setUp(t, {}, { inject: async ({ url }) => { asked.push(url); return { statusCode: 200 } } })
    const evil = ['http://169.254.169.254/latest', '//evil.example/x', 'https:/evil', '/\\evil.example', '/a/../b', '/a/%2e%2e/b', '/a#b', '/a b', '/a\r\nhost: evil', 'products', '', '/é', 7, null,
      { path: '/ok', host: 'evil.example/x' }, { path: '/ok', host: 'a@b' }, { path: 'http://evil.example' }] as string[]
    const report = await warming.warmRoutes(evil)
    t.match(report, { stored: 0, failed: evil.length, outcome: 'completed' })
    t.ok(report.faults.every(({ error }) => (error as { code?: string }).code === 'FST_ERR_CACHE_WARM_PATH'))
    t.same(asked, [])
    await warming.warmRoutes(['/ok?q=a&q=b'])
    t.same(asked, ['/ok?q=a&q=b'])
  })
  t.test('keeps to its concurrency and hands the headers on', async (t) => {
    let running = 0
    let most = 0
    const seen: WarmingRequest[] = []
    const inject: InjectRequest = async (request) => {
      seen.push(request)
      most = Math.max(most, ++running)
      await turn()
      running--
      return { statusCode: 200 }
    }
    const { warming } = setUp(t, {}, { inject })
    await warming.warmRoutes(Array.from({ length: 20 }, (_item, n) => `/p/${n}`), { concurrency: 3, headers: { 'accept-language': 'de' } })
    t.equal(most, 3)
    t.ok(seen.every(({ headers, method }) => method === 'GET' && headers['accept-language'] === 'de'))
  })
  t.test('tries again what fails for now, waits for no handler that hangs, and can be cancelled', async (t) => {
    const statuses = [503, 200]
    const retried = setUp(t, {}, { inject: async () => ({ statusCode: statuses.shift() ?? 404 }) })
    t.match(await settled(retried.clock, retried.warming.warmRoutes(['/a'])), { stored: 1, failed: 0, statuses: { 200: 1 } })
    t.match(await settled(retried.clock, retried.warming.warmRoutes(['/b'])), { stored: 0, failed: 1, statuses: { 404: 1 } })
    const hanging = setUp(t, {}, { inject: async () => await new Promise(() => {}) })
    t.match(await settled(hanging.clock, hanging.warming.warmRoutes(['/a'], { retries: 0 })), { failed: 1, faults: [{ error: { code: 'FST_ERR_CACHE_LOAD_TIMEOUT' } }] })
    const job = hanging.warming.startWarmRoutes(['/a', '/b'])
    await turn()
    job.cancel()
    t.match(await job.report, { outcome: 'cancelled', stored: 0 })
  })
  t.test('gives each request a signal of its own, so that a long warming warns of no leak', async (t) => {
    const warnings: string[] = []
    const note = ({ name }: Error): void => { warnings.push(name) }
    process.on('warning', note)
    t.teardown(() => { process.off('warning', note) })
    const signals = new Set<AbortSignal>()
    // As light-my-request does: it listens, and does not leave.
    const inject: InjectRequest = async ({ signal }) => {
      signals.add(signal)
      signal.addEventListener('abort', () => {})
      await turn()
      return { statusCode: 200 }
    }
    const { warming } = setUp(t, {}, { inject })
    t.match(await warming.warmRoutes(Array.from({ length: 60 }, (_item, n) => `/p/${n}`), { concurrency: 20 }), { stored: 60 })
    t.equal(signals.size, 60)
    t.same(warnings, [])
  })
  t.test('cancelled, gives up the requests under way', async (t) => {
    const reasons: unknown[] = []
    const inject: InjectRequest = async ({ signal }) => await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reasons.push(signal.aborted)
        reject(new Error('given up'))
      })
    })
    const { warming } = setUp(t, {}, { inject })
    const job = warming.startWarmRoutes(['/a', '/b'])
    await turn()
    job.cancel()
    t.match(await job.report, { outcome: 'cancelled' })
    t.same(reasons, [true, true])
  })
  t.test('needs an application', async (t) => {
    const { warming } = setUp(t)
    await t.rejects(warming.warmRoutes(['/']), { code: 'FST_ERR_CACHE_OPTION' })
  })
})

t.test('the hot list', async (t) => {
  t.test('never loses a name that makes up more than its share, in bounded memory', async (t) => {
    const names = new HotNames(10)
    let seed = 1
    const random = (): number => { seed = (seed * 16807) % 2147483647; return seed / 2147483647 }
    for (let n = 0; n < 50_000; n++) {
      names.add(random() < 0.2 ? 'hot' : random() < 0.3 ? 'warm' : `cold ${Math.floor(random() * 1e6)}`)
      if (names.size > 20) t.fail('too many')
    }
    t.same(names.top().slice(0, 2).map(([name]) => name), ['warm', 'hot'])
    t.ok(names.top().length <= 10)
    const [, before = 0] = names.top()[0] ?? []
    names.age()
    t.equal(names.top()[0]?.[1], before / 2)
  })
  t.test('learns from lookups, leaves out the responses of single users, and survives a restart', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'hot-list-'))
    t.teardown(async () => { await rm(directory, { recursive: true }) })
    const storage = createTextFile(join(directory, 'made'))
    const { cache } = setUp(t)
    const hot = new HotList(cache, { storage })
    t.equal(await hot.load(), true, 'there is none yet')
    const lookup = (key: string, result: 'hit' | 'miss' | 'bypass' = 'hit'): void => { cache.parts.events.emit('lookup', { key, result, atMs: 0, durationMs: 0, namespace: '' }) }
    for (let n = 0; n < 3; n++) lookup('response:http://shop.example/products?page=1')
    for (let n = 0; n < 5; n++) lookup('response:https://shop.example/#variant')
    for (const key of ['response:http://h/private\n7:cookie:x5:value', 'response:sha256:abc', 'response:http://h/a/../b']) lookup(key)
    lookup('response:http://h/bypassed', 'bypass')
    await cache.set('product:1', 1)
    await cache.get('product:1')
    t.equal(await hot.save(), true)
    hot.close()
    await cache.get('product:2')
    t.same(await readdir(join(directory, 'made')), ['hot-list.json'])
    const next = new HotList(setUp(t).cache, { storage })
    await next.load()
    for (const list of [hot, next]) {
      t.same(list.top(), {
        keys: ['product:1'],
        targets: [{ path: '/', host: 'shop.example', encrypted: true }, { path: '/products?page=1', host: 'shop.example', encrypted: false }]
      })
    }
  })
  t.test('trusts nothing that it loads', async (t) => {
    const { cache } = setUp(t)
    const faults: string[] = []
    cache.on('fault', ({ where }) => { faults.push(where) })
    const text = JSON.stringify({ format: 1, names: [['a', 1], ['b', -1], ['c', 'x'], [7, 1], 'd', ['', 1], ['response:http://evil/x/../y', 9], ['response:http://a@b/x', 9], ['response:ftp://a/x', 9]] })
    for (const [content, keys] of [[text, ['a']], ['{', []], ['null', []], ['{"format":2,"names":[["a",1]]}', []]] as const) {
      const hot = new HotList(cache, { storage: { read: async () => content, write: async () => {} } })
      await hot.load()
      t.same(hot.top(), { keys, targets: [] })
      hot.close()
    }
    const broken = new HotList(cache, { storage: { read: async () => { throw new Error('no disk') }, write: async () => { throw new Error('no disk') } } })
    t.equal(await broken.load(), false)
    t.equal(await broken.save(), false)
    t.same(faults, ['loading the hot list', 'loading the hot list', 'saving the hot list'])
    t.throws(() => new HotList(cache, { limit: 1001 }), { code: 'FST_ERR_CACHE_OPTION' })
  })
  t.test('can be kept in the cache itself', async (t) => {
    const { cache } = setUp(t)
    const storage = createTextInCache(cache)
    t.equal(await storage.read(), undefined)
    await storage.write('text')
    t.equal(await storage.read(), 'text')
    await cache.clear()
    t.equal(await storage.read(), undefined)
  })
  t.test('lies in its directory and nowhere else', async (t) => {
    for (const name of ['../x', 'a/b', '', '.', '..', 'a\\b']) t.throws(() => createTextFile('x', name), { code: 'FST_ERR_CACHE_OPTION' })
    t.throws(() => createTextFile(''), { code: 'FST_ERR_CACHE_OPTION' })
    const directory = await mkdtemp(join(tmpdir(), 'hot-list-'))
    t.teardown(async () => { await rm(directory, { recursive: true }) })
    await writeFile(join(directory, 'big.json'), Buffer.alloc(5 * 1024 * 1024))
    t.equal(await createTextFile(directory, 'big.json').read(), undefined)
    await writeFile(join(directory, 'file'), '')
    await t.rejects(createTextFile(join(directory, 'file')).read())
  })
})

t.test('learned warming', async (t) => {
  t.test('fetches what was hot: keys from the store, paths by requests', async (t) => {
    const asked: string[] = []
    const { cache, warming } = setUp(t, {}, { inject: async ({ url, headers, encrypted }) => { asked.push(`${encrypted} ${headers['host']} ${url}`); return { statusCode: 200 } } })
    const names = [['response:https://shop.example/', 5], ['response:http://shop.example/a', 9], ['product:1', 2], ['product:2', 2]]
    const hot = new HotList(cache, { storage: { read: async () => JSON.stringify({ format: 1, names }), write: async () => {} } })
    await hot.load()
    hot.close()
    await cache.set('product:1', 1)
    t.match(await warming.warmLearned(hot), { outcome: 'completed', name: 'learned', expected: 4, stored: 3, skipped: 1 })
    t.same(asked, ['false shop.example /a', 'true shop.example /'])
    t.match(await new CacheWarmingService(cache, { watch: () => calm }).warmLearned(hot), { expected: 2, stored: 1 }, 'without an application the keys alone')
  })
  t.test('takes no longer than its time budget', async (t) => {
    const { clock, cache, warming } = setUp(t, {}, { inject: async () => await new Promise(() => {}) })
    const hot = new HotList(cache)
    cache.parts.events.emit('lookup', { key: 'response:http://h/a', result: 'hit', atMs: 0, durationMs: 0, namespace: '' })
    const report = warming.warmLearned(hot, { timeBudget: 5 })
    await turn()
    await turn()
    clock.advance(5000)
    t.match(await report, { outcome: 'out-of-time', stored: 0, durationMs: 5000 })
    await t.rejects(warming.warmLearned(hot, { timeBudget: -1 }), { code: 'FST_ERR_CACHE_OPTION' })
  })
})

t.test('a script that does nothing but await a warming gets its report, retries and all', async (t) => {
  const script = `
    import { CacheManager, CacheWarmingService } from 'fastify-response-cache'
    const report = await new CacheWarmingService(new CacheManager()).warmCache(() => { throw new Error('boom') }, 'p')
    process.exitCode = report.error.message === 'boom' ? 0 : 1`
  const child = spawn(process.execPath, scriptArgs(script), { cwd: programRoot, env: { PATH: process.env['PATH'] }, stdio: 'inherit' })
  t.same(await once(child, 'exit'), [0, null])
})
