import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import { CacheManager } from '../../../lib/cache-manager.ts'
import type { CacheConfig } from '../../../lib/config.ts'
import { sideOf, type Alert } from '../../../lib/engine/monitor/alerts.ts'
import { CacheMonitor } from '../../../lib/engine/monitor/cache-monitor.ts'
import { DURATION_BINS, durationBin, durationQuantile } from '../../../lib/engine/monitor/duration-bins.ts'
import { MAX_GROUPS } from '../../../lib/engine/monitor/groups.ts'
import { MissRatioCurve } from '../../../lib/engine/monitor/miss-ratio-curve.ts'
import { MAX_OPERATIONS } from '../../../lib/engine/monitor/operations.ts'
import type { MonitorOptions } from '../../../lib/engine/monitor/options.ts'
import type { Recommendation } from '../../../lib/engine/monitor/recommendations.ts'
import { Ring } from '../../../lib/engine/monitor/ring.ts'
import { StackDistances } from '../../../lib/engine/monitor/stack-distances.ts'
import type { LookupResult } from '../../../lib/events.ts'
import { createBoundedMap, type EvictionPolicyName } from '../../../lib/eviction/create-bounded-map.ts'
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { startRedis } from '../../support/redis-server.ts'
import { readTrace, traceMissing } from '../../support/traces.ts'
import { onRedis } from '../../support/until.ts'

interface Watched { cache: CacheManager, monitor: CacheMonitor, clock: FakeClock }

function watched (t: Test, options?: MonitorOptions, config: Partial<CacheConfig> = {}): Watched {
  const clock = fakeClock()
  const cache = new CacheManager({ strategy: 'memory', ttlJitter: 0, staleIfError: 0, ...config }, { clock, random: seeded(7) })
  const monitor = new CacheMonitor(cache, options)
  t.teardown(async () => {
    await monitor.stop()
    await cache.close()
  })
  return { cache, monitor, clock }
}

function lookup ({ cache, clock }: Watched, result: LookupResult, count = 1, durationMs = 1, route?: string): void {
  for (let i = 0; i < count; i++) cache.parts.events.emit('lookup', { key: 'k', result, atMs: clock.now(), durationMs, namespace: '', ...route !== undefined && { route } })
}

/** What a zipf-like stream of lookups asks for, the same at each run. */
function popular (names: number, random: () => number): string {
  return `item:${Math.floor(names ** random()) - 1}`
}

function seeded (seed: number): () => number {
  return () => {
    seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x6d2b79f5
    return ((seed ^ (seed >>> 13)) >>> 0) / 2 ** 32
  }
}

const kinds = (all: readonly Recommendation[]): string[] => all.map(({ kind }) => kind)

t.test('a ring sums what lies within a window, and forgets the rest', async (t) => {
  const ring = new Ring(2, 6, 10)
  ring.add(1000, 0)
  ring.add(1005, 0, 2)
  ring.add(1012, 1)
  t.same([...ring.sum(1012, 20)], [3, 1])
  t.same([...ring.sum(1012, 10)], [0, 1], 'the row that is under way')
  t.same([...ring.sum(1009, 10)], [3, 0], 'a window may end earlier')
  ring.add(1001, 0)
  t.same([...ring.sum(1012, 10)], [1, 1], 'a clock that is set back counts in the newest row')
  t.same([...ring.sum(1055, 60)], [4, 1])
  t.same([...ring.sum(1060, 60)], [1, 1], 'the oldest row is gone')
  t.same([...ring.sum(9000, 60)], [0, 0])
})

t.test('quantiles are right to an eighth, and what was not observed has none', async (t) => {
  t.equal(durationQuantile(new Float64Array(DURATION_BINS), 0, 0.5), undefined)
  t.equal(durationBin(0), 0)
  t.equal(durationBin(NaN), 0)
  t.equal(durationBin(1e9), DURATION_BINS - 1)
  fc.assert(fc.property(fc.array(fc.double({ min: 0.01, max: 30_000, noNaN: true }), { minLength: 1, maxLength: 200 }), fc.constantFrom(0.5, 0.95, 0.99), (durations, q) => {
    const counts = new Float64Array(DURATION_BINS)
    for (const ms of durations) counts[durationBin(ms)] = (counts[durationBin(ms)] ?? 0) + 1
    const exact = (durations.toSorted((a, b) => a - b)[Math.ceil(q * durations.length) - 1] ?? NaN) / 1000
    const told = durationQuantile(counts, 0, q) ?? NaN
    return told >= exact / 1.27 && told <= exact * 1.27
  }), { numRuns: 200 })
})

t.test('stack distances are those of a plain LRU list', async (t) => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 200 }), fc.integer({ min: 1, max: 8 }), (uses, capacity) => {
    const forgotten: number[] = []
    const items = Array.from({ length: 13 }, (_, id) => ({ id, place: 0 }))
    const stack = new StackDistances<{ id: number, place: number }>(capacity, ({ id }) => { forgotten.push(id) })
    let list: number[] = []
    const expected: number[] = []
    for (const id of uses) {
      const at = list.indexOf(id)
      if (stack.use(items[id] ?? { id, place: 0 }) !== (at === -1 ? Infinity : at + 1)) return false
      list = [id, ...list.filter((other) => other !== id)]
      expected.push(...list.splice(capacity))
    }
    return stack.size === list.length && String(forgotten) === String(expected)
  }), { numRuns: 300 })
})

t.test('a curve of all keys is exact, and fades', async (t) => {
  const curve = new MissRatioCurve(1, 4)
  const stack = new StackDistances(4, () => {})
  const [a, b, c] = [{ place: 0 }, { place: 0 }, { place: 0 }]
  t.equal(curve.hitRate(4), 0, 'nothing is known yet')
  for (const item of [a, b, a, c, b, a, a]) {
    curve.count()
    curve.use(stack.use(item))
  }
  t.same([1, 2, 3, 4].map((entries) => Math.round(curve.hitRate(entries) * 7)), [1, 2, 4, 4])
  t.same(curve.points(2).map(({ entries }) => entries), [2, 4])
  curve.age()
  t.equal(curve.lookups, 3.5)
  t.equal(Math.round(curve.hitRate(4) * 7), 4, 'but keeps its shape')
})

for (const trace of ['web07', 'web12', 'twitter-c025']) {
  t.test(`the sampled curve and the shadows of ${trace} are right to two points`, { skip: traceMissing(trace) }, async (t) => {
    const keys = readTrace(trace).slice(0, 100_000)
    const entries = 1376
    const exact = new MissRatioCurve(1, entries * 8)
    const stack = new StackDistances(entries * 8, () => {})
    const items = new Map<string, { place: number }>()
    const here = watched(t, {}, { memoryMaxSize: entries, evictionPolicy: 'lru' })
    const { cache, monitor, clock } = here
    for (const key of keys) {
      const item = items.get(key) ?? { place: 0 }
      items.set(key, item)
      exact.count()
      exact.use(stack.use(item))
      const found = cache.parts.store.read(key)
      if (found === undefined) await cache.set(key, 1)
      cache.parts.events.emit('lookup', { key, result: found === undefined ? 'miss' : 'hit', atMs: clock.now(), durationMs: 0.01, namespace: '' })
    }
    const { curve } = monitor.getPerformanceReport().performanceMetrics
    t.equal(curve?.lookups, keys.length)
    for (const { entries, hitRate } of curve?.points.filter((_, index) => index % 8 === 4) ?? []) {
      t.ok(Math.abs(hitRate - exact.hitRate(entries)) <= 0.02, `${entries} entries: ${hitRate.toFixed(4)}, exactly ${exact.hitRate(entries).toFixed(4)}`)
    }
    t.ok(Math.abs((curve?.current.hitRate ?? 0) - exact.hitRate(entries)) <= 0.02, `here: ${curve?.current.hitRate ?? ''}, exactly ${exact.hitRate(entries)}`)
    const lru = curve?.policies.find(({ policy }) => policy === 'lru')?.hitRate ?? 0
    for (const policy of ['lfu', 's3-fifo', 'w-tinylfu'] as const) {
      const real = replay(keys, entries, policy) - replay(keys, entries, 'lru')
      const shadow = (curve?.policies.find((figures) => figures.policy === policy)?.hitRate ?? 0) - lru
      t.ok(Math.abs(shadow - real) <= 0.02, `${policy} would bring ${shadow.toFixed(4)}, brings ${real.toFixed(4)}`)
    }
  })
}

function replay (keys: readonly string[], maxEntries: number, policy: EvictionPolicyName): number {
  const map = createBoundedMap<{ key: string, bytes: number, slot: number }>(policy, { maxEntries, maxBytes: Number.MAX_SAFE_INTEGER }, () => {}, true)
  let hits = 0
  for (const key of keys) {
    if (map.get(key) === undefined) map.add({ key, bytes: 1, slot: 0 })
    else hits++
  }
  return hits / keys.length
}

t.test('the windows slide on the clock of the cache', async (t) => {
  const here = watched(t)
  const { monitor, clock, cache } = here
  lookup(here, 'hit', 60, 2)
  lookup(here, 'stale', 20, 2)
  lookup(here, 'miss', 20, 500)
  lookup(here, 'bypass', 7)
  for (let i = 0; i < 19; i++) cache.parts.events.emit('load', { key: 'k', ok: true, atMs: clock.now(), durationMs: 100 })
  cache.parts.events.emit('load', { key: 'k', ok: false, atMs: clock.now(), durationMs: 100 })
  cache.parts.events.emit('coalesced', { key: 'k' })
  cache.parts.events.emit('evict', { key: 'k', cause: 'entries', atMs: clock.now(), bytes: 1 })
  cache.parts.events.emit('evict', { key: 'k', cause: 'expired', atMs: clock.now(), bytes: 1 })
  const { lastMinute } = monitor.getPerformanceReport().performanceMetrics
  t.match(lastMinute, { span: 60, lookups: 100, hits: 80, staleHits: 20, misses: 20, bypasses: 7, hitRate: 0.8, missRate: 0.2, staleRate: 0.2, loads: 20, loadErrors: 1, errorRate: 0.01, coalesced: 1, evictions: 1 })
  t.ok(Math.abs((lastMinute.responseTime ?? 0) - 0.002) < 1e-6, 'the time of answers from the cache')
  t.ok(Math.abs((lastMinute.answers.p95 ?? 0) / 0.002 - 1) < 0.27)
  t.ok(Math.abs((lastMinute.loadTimes.p50 ?? 0) / 0.1 - 1) < 0.27)
  t.ok(Math.abs(lastMinute.timeSaved - 8) < 0.001, '80 loads of 0.1 s each')
  clock.advance(120_000)
  const later = monitor.getPerformanceReport().performanceMetrics
  t.equal(later.lastMinute.lookups, 0)
  t.equal(later.lastMinute.responseTime, null)
  t.equal(later.lastFiveMinutes.lookups, 100)
  t.same(later.history.filter(({ lookups }) => lookups > 0).map(({ hitRate }) => hitRate), [0.8])
  clock.advance(3_600_000)
  t.equal(monitor.getPerformanceReport().performanceMetrics.lastHour.lookups, 0)
})

t.test('figures are kept by route and by namespace, of a bounded number of them', async (t) => {
  const { cache, monitor, clock } = watched(t)
  const users = cache.namespace('user')
  await users.get('1')
  await users.getOrSet('1', () => 'x')
  await users.getOrSet('1', () => 'x')
  await cache.getOrSet('plain', () => 'x')
  const { events } = cache.parts
  for (let i = 0; i < MAX_GROUPS + 50; i++) events.emit('lookup', { key: 'k', result: 'miss', atMs: clock.now(), durationMs: 1, namespace: '', route: `/r${i}` })
  const { groups } = monitor.getPerformanceReport().performanceMetrics
  t.match(groups.find(({ kind, name }) => kind === 'namespace' && name === 'user'), { lookups: 3, hits: 1, misses: 2, hitRate: 1 / 3, loads: 1 })
  t.match(groups.find(({ kind, name }) => kind === 'namespace' && name === ''), { lookups: 1, loads: 1 })
  t.equal(groups.filter(({ kind }) => kind === 'route').length, MAX_GROUPS + 1)
  t.equal(groups.find(({ name }) => name === 'other')?.lookups, 50)
})

t.test('the application adds measurements of its own', async (t) => {
  const { monitor } = watched(t)
  for (let i = 0; i < 10; i++) monitor.recordMetric({ operation: 'product_lookup', duration: 0.05, success: i > 0 })
  const { performanceMetrics, cacheStats } = monitor.getPerformanceReport()
  t.match(performanceMetrics.operations, [{ operation: 'product_lookup', count: 10, errorRate: 0.1 }])
  t.ok(Math.abs((performanceMetrics.operations[0]?.responseTime ?? 0) - 0.05) < 1e-6)
  t.match(cacheStats, { hits: 0, misses: 0, hitRate: 0 })
  for (let i = 0; i < MAX_OPERATIONS + 10; i++) monitor.recordMetric({ operation: `o${i}`, duration: 0 })
  t.equal(monitor.getPerformanceReport().performanceMetrics.operations.length, MAX_OPERATIONS + 1)
  t.throws(() => { monitor.recordMetric({ operation: '', duration: 1 }) }, { code: 'FST_ERR_CACHE_OPTION' })
  t.throws(() => { monitor.recordMetric({ operation: 'x', duration: NaN }) }, { code: 'FST_ERR_CACHE_OPTION' })
})

t.test('alerts', async (t) => {
  t.test('are raised at the second bad look, and cleared at the second good one', async (t) => {
    const told: Alert[] = []
    const here = watched(t, { onAlert: (alert) => { told.push(alert) }, alertThresholds: { hitRate: 0.8 } })
    const { monitor, clock, cache } = here
    const heard: string[] = []
    cache.on('alert', ({ message }) => { heard.push(message) })
    monitor.startMonitoring()
    lookup(here, 'hit', 50)
    lookup(here, 'miss', 50)
    clock.advance(10_000)
    t.same(told, [], 'one bad look is none')
    clock.advance(10_000)
    t.match(told, [{ name: 'hitRate', subject: 'cache', state: 'raised', value: 0.5, threshold: 0.8, sample: 100 }])
    t.same(heard, ['The hit rate of cache is 50.0 %, below 80.0 %'])
    clock.advance(30_000)
    t.equal(told.length, 1, 'once')
    t.match(monitor.getPerformanceReport().alerts, [{ name: 'hitRate', state: 'raised' }])
    clock.advance(300_000)
    lookup(here, 'hit', 81)
    lookup(here, 'miss', 19)
    clock.advance(60_000)
    t.equal(told.length, 1, 'just above the threshold is not recovered')
    lookup(here, 'hit', 100)
    clock.advance(20_000)
    t.match(told[1], { name: 'hitRate', state: 'cleared' })
    t.match(heard[1], /^The hit rate of cache has recovered: 9\d\.\d %$/)
    t.same(monitor.getPerformanceReport().alerts, [])
  })

  t.test('rest on a minimum of lookups, and can be switched off', async (t) => {
    const told: Alert[] = []
    const few = watched(t, { onAlert: (alert) => { told.push(alert) } })
    few.monitor.startMonitoring()
    lookup(few, 'miss', 99)
    few.clock.advance(60_000)
    const off = watched(t, { onAlert: (alert) => { told.push(alert) }, alertThresholds: { hitRate: false } })
    off.monitor.startMonitoring()
    lookup(off, 'miss', 1000)
    off.clock.advance(60_000)
    t.same(told, [])
  })

  t.test('watch failures and times, those that are recorded as well', async (t) => {
    const told: Alert[] = []
    const here = watched(t, { onAlert: (alert) => { told.push(alert) }, minimumSample: 10, interval: 1 })
    here.monitor.startMonitoring().startMonitoring()
    lookup(here, 'hit', 100, 200)
    for (let i = 0; i < 20; i++) here.cache.parts.events.emit('fault', { where: 'somewhere', error: new Error('x') })
    for (let i = 0; i < 10; i++) here.monitor.recordMetric({ operation: 'search', duration: 0.3, success: false })
    here.clock.advance(2_000)
    t.same(told.map(({ name, subject }) => `${name} ${subject}`).sort(), ['errorRate cache', 'errorRate search', 'responseTime cache', 'responseTime search'])
  })

  t.test('of a callback that throws are told as a fault', async (t) => {
    const here = watched(t, { onAlert: () => { throw new Error('mine') }, minimumSample: 1, interval: 1 })
    const faults: string[] = []
    here.cache.on('fault', ({ where }) => { faults.push(where) })
    here.monitor.startMonitoring()
    lookup(here, 'miss', 10)
    here.clock.advance(2_000)
    t.same(faults, ['onAlert of the monitor'])
    t.equal(here.monitor.getPerformanceReport().performanceMetrics.lastMinute.errorRate, 0, 'which is none of the cache')
  })

  t.test('know a good side, a bad one, and what lies between', async (t) => {
    t.same([0.79, 0.8, 0.81, 0.83].map((value) => sideOf('hitRate', value, 0.8)), ['bad', 'between', 'between', 'good'])
    t.same([0.11, 0.1, 0.095, 0.09].map((value) => sideOf('errorRate', value, 0.1)), ['bad', 'between', 'between', 'good'])
    t.equal(sideOf('hitRate', 1, 1), 'good', 'a threshold of 1 can be reached')
  })
})

t.test('the webhook', async (t) => {
  const receive = async (t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> => {
    const server = createServer(answer)
    t.teardown(() => { server.closeAllConnections(); server.close() })
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }
  const raise = (t: Test, webhook: NonNullable<MonitorOptions['webhook']>): Watched & { fault: Promise<unknown> } => {
    const here = watched(t, { webhook, minimumSample: 1, interval: 1 })
    const fault = new Promise((resolve) => { here.cache.on('fault', ({ where, error }) => { resolve(where === 'webhook of the monitor' ? error : undefined) }) })
    here.monitor.startMonitoring()
    lookup(here, 'miss', 10)
    here.clock.advance(2_000)
    return { ...here, fault }
  }

  t.test('is given the alert', async (t) => {
    let got: (value: unknown) => void = () => {}
    const posted = new Promise((resolve) => { got = resolve })
    const url = await receive(t, (request, response) => {
      request.setEncoding('utf8')
      let body = ''
      request.on('data', (chunk: string) => { body += chunk })
      request.on('end', () => { got({ method: request.method, type: request.headers['content-type'], key: request.headers['x-key'], body: JSON.parse(body) }); response.end() })
    })
    raise(t, { url, headers: { 'x-key': 'k' } })
    t.match(await posted, { method: 'POST', type: 'application/json', key: 'k', body: { name: 'hitRate', state: 'raised', value: 0 } })
  })

  t.test('that refuses, leads elsewhere or does not answer is told as a fault', async (t) => {
    const refusing = raise(t, await receive(t, (_request, response) => { response.writeHead(500).end() }))
    t.match(await refusing.fault, { code: 'FST_ERR_CACHE_WEBHOOK', message: /500/ })
    t.equal(refusing.monitor.getPerformanceReport().performanceMetrics.lastMinute.faults, 0, 'which is none of the cache')
    const leading = raise(t, await receive(t, (_request, response) => { response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end() }))
    t.match(await leading.fault, { code: 'FST_ERR_CACHE_WEBHOOK', message: /unexpected redirect/, cause: TypeError })
    const refused = raise(t, 'http://127.0.0.1:1/')
    t.match(await refused.fault, { code: 'FST_ERR_CACHE_WEBHOOK' })
    let arrived: () => void = () => {}
    const waiting = new Promise<void>((resolve) => { arrived = resolve })
    const silent = raise(t, { url: await receive(t, () => { arrived() }), timeout: 3 })
    await waiting
    silent.clock.advance(3_000)
    t.match(await silent.fault, { code: 'FST_ERR_CACHE_WEBHOOK', message: /no answer within 3000 ms/ })
  })

  t.test('is given up when the monitor stops', async (t) => {
    let arrived: () => void = () => {}
    const waiting = new Promise<void>((resolve) => { arrived = resolve })
    const here = raise(t, await receive(t, () => { arrived() }))
    await waiting
    await here.monitor.stop()
    t.match(await here.fault, { code: 'FST_ERR_CACHE_WEBHOOK', message: /the monitor was stopped/ })
  })
})

t.test('options that make no sense fail at once, and repeat no secret', async (t) => {
  const wrong = (options: object, message: RegExp): void => { t.throws(() => watched(t, options as MonitorOptions), { message }) }
  wrong({ alertThresholds: { hitRate: 2 } }, /hitRate is 2, must be/)
  wrong({ alertThresholds: { hits: 1 } }, /alertThresholds\.hits does not exist/)
  wrong({ alertThresholds: { responseTime: 0 } }, /responseTime is 0/)
  wrong({ interval: 0 }, /interval/)
  wrong({ minimumSample: 0.5 }, /minimumSample/)
  wrong({ study: 1 }, /study/)
  wrong({ onAlert: 1 }, /onAlert/)
  wrong({ intervall: 1 }, /monitor\.intervall does not exist/)
  wrong({ webhook: 'file:///etc/passwd' }, /^Option monitor\.webhook is not fit/)
  wrong({ webhook: 'http://user:secret@localhost/' }, /^(?!.*secret)/)
  wrong({ webhook: { url: 'http://localhost/', timeout: -1 } }, /timeout/)
  wrong({ webhook: { url: 'http://localhost/', retry: 1 } }, /webhook\.retry/)
})

t.test('recommendations', async (t) => {
  t.test('tell what a larger memory would bring, and are right', async (t) => {
    const run = async (memoryMaxSize: number): Promise<Watched> => {
      const here = watched(t, {}, { memoryMaxSize })
      const random = seeded(7)
      for (let i = 0; i < 15_000; i++) await here.cache.getOrSet(popular(20_000, random), () => 'x')
      return here
    }
    const { monitor, cache } = await run(600)
    const { recommendations, performanceMetrics } = monitor.getPerformanceReport()
    const size = recommendations.find(({ kind }) => kind === 'memory-size')
    t.match(size?.message, /^[\d ]+ entries \(memoryMaxSize\) instead of 600 would lift the hit rate of the memory from \d\d(\.\d)? % to \d\d(\.\d)? %$/)
    if (size?.kind !== 'memory-size') return
    t.ok(Math.abs(size.numbers.hitRate - cache.getStats().hitRate) <= 0.02, `${size.numbers.hitRate} now, ${cache.getStats().hitRate} measured`)
    const larger = (await run(size.numbers.proposed)).cache.getStats().hitRate
    t.ok(Math.abs(size.numbers.expectedHitRate - larger) <= 0.02, `${size.numbers.expectedHitRate} expected, ${larger} came`)
    t.match(performanceMetrics.tiers, [{ tier: 'memory', utilisation: 1 }])
  })

  t.test('tell what is larger than it need be, and say nothing of a memory that is not full', async (t) => {
    const here = watched(t, {}, { memoryMaxSize: 1000 })
    const random = seeded(3)
    for (let i = 0; i < 1_000; i++) await here.cache.getOrSet(`once:${i}`, () => 'x')
    t.notOk(kinds(here.monitor.getPerformanceReport().recommendations).includes('memory-size'))
    for (let i = 0; i < 20_000; i++) await here.cache.getOrSet(popular(200, random), () => 'x')
    t.match(here.monitor.getPerformanceReport().recommendations.filter(({ kind }) => kind === 'memory-size'), [{ message: /would do/, numbers: { proposed: 500 } }])
    const roomy = watched(t, {}, { memoryMaxSize: 10_000 })
    for (let i = 0; i < 5_000; i++) await roomy.cache.getOrSet(popular(200, random), () => 'x')
    t.notOk(kinds(roomy.monitor.getPerformanceReport().recommendations).includes('memory-size'))
  })

  t.test('name the better policy', async (t) => {
    const here = watched(t, {}, { memoryMaxSize: 1000, evictionPolicy: 'fifo' })
    const random = seeded(5)
    for (let i = 0; i < 20_000; i++) await here.cache.getOrSet(i % 2 === 0 ? popular(5_000, random) : `scan:${i}`, () => 'x')
    const [better] = here.monitor.getPerformanceReport().recommendations.filter(({ kind }) => kind === 'eviction-policy')
    t.match(better, { message: /^evictionPolicy '[-\w]+' instead of 'fifo' would give \+\d+\.\d points/, numbers: { current: 'fifo' } })
  })

  t.test('do not hold a memory responsible for what expired or was purged', async (t) => {
    const { cache, monitor, clock } = watched(t, {}, { memoryMaxSize: 100, memoryTtl: 10 })
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 80; i++) await cache.getOrSet(`k:${i}`, () => 'x')
      if (round % 2 === 0) clock.advance(11_000)
      else await cache.invalidate({ patterns: ['k:*'] })
    }
    const { performanceMetrics: { curve }, recommendations } = monitor.getPerformanceReport()
    t.ok((curve?.points.at(-1)?.hitRate ?? 1) < 0.15, 'no size would have helped')
    t.notOk(kinds(recommendations).includes('memory-size'))
  })

  t.test('tell how much longer what does not change could live', async (t) => {
    const { cache, monitor, clock } = watched(t, {}, { memoryTtl: 300 })
    let day = 0
    for (let round = 0; round < 12; round++) {
      if (round === 6) day++
      for (let i = 0; i < 200; i++) {
        await cache.getOrSet(`country:${i}`, () => ({ name: `country ${i}` }))
        await cache.getOrSet(`price:${i}`, () => ({ price: round * 1000 + i }))
        await cache.getOrSet(`daily:${i}`, () => ({ day }))
      }
      clock.advance(301_000)
    }
    const found = monitor.getPerformanceReport().recommendations.filter((each) => each.kind === 'ttl')
    t.same(found.map(({ numbers }) => numbers.group).sort(), ['country:*', 'daily:*'])
    const country = found.find(({ numbers }) => numbers.group === 'country:*')
    t.match(country, { message: /^country:\*, ttl 300 s: 100 % of the expired entries were reloaded unchanged; \d+ s would save [\d ]+ loads an hour$/, numbers: { current: 300, outdatedShare: 0 } })
    // 200 keys, 12 loads an hour each; a life of six times three hundred seconds saves five of six.
    const { loadsSavedPerHour = NaN, proposed = NaN } = country?.numbers ?? {}
    t.ok(Math.abs(loadsSavedPerHour / (200 * 12 * (1 - 300 / proposed)) - 1) < 0.25, `${loadsSavedPerHour} for ${proposed} s`)
  })

  t.test('name routes that are never asked for twice, and hot keys', async (t) => {
    const here = watched(t)
    const { clock, cache: { parts: { events } } } = here
    for (let i = 0; i < 2_000; i++) {
      events.emit('lookup', { key: `response:/search?q=${i}`, result: 'miss', atMs: clock.now(), durationMs: 1, namespace: '', route: '/search' })
      events.emit('lookup', { key: `response:/p/${i % 50}`, result: 'hit', atMs: clock.now(), durationMs: 1, namespace: '', route: '/p/:id' })
      if (i % 4 === 0) events.emit('lookup', { key: 'config', result: 'hit', atMs: clock.now(), durationMs: 1, namespace: '' })
    }
    const { recommendations, performanceMetrics } = here.monitor.getPerformanceReport()
    t.match(recommendations.filter(({ kind }) => kind === 'no-reuse'), [{ message: /^\/search is hardly ever asked for the same twice/, numbers: { route: '/search', repeatedShare: 0 } }])
    t.match(recommendations.filter(({ kind }) => kind === 'hot-key'), [{ numbers: { key: 'config' } }])
    t.equal(performanceMetrics.hottest[0]?.key, 'config')
  })

  t.test('take nothing for hot that only comes at regular distances, and overlook nothing that does', async (t) => {
    const ask = ({ cache, clock }: Watched, key: string): void => { cache.parts.events.emit('lookup', { key, result: 'hit', atMs: clock.now(), durationMs: 1, namespace: '' }) }
    const inTurn = watched(t)
    for (let i = 0; i < 40_000; i++) ask(inTurn, `row:${i % 40}`)
    const even = inTurn.monitor.getPerformanceReport()
    const shares = even.performanceMetrics.hottest.map(({ share }) => share)
    t.equal(shares.length, 40)
    t.ok(Math.max(...shares) < 0.05 && Math.min(...shares) > 0.01, `each is asked for as often as the others: ${Math.max(...shares)}, ${Math.min(...shares)}`)
    t.same(kinds(even.recommendations).filter((kind) => kind === 'hot-key'), [])

    const pages = watched(t)
    for (let page = 0; page < 4000; page++) {
      ask(pages, 'settings')
      ask(pages, 'menu')
      for (let part = 0; part < 6; part++) ask(pages, `product:${page * 6 + part}`)
    }
    const { performanceMetrics: { hottest }, recommendations } = pages.monitor.getPerformanceReport()
    t.same(hottest.slice(0, 2).map(({ key }) => key).sort(), ['menu', 'settings'])
    for (const { key, share } of hottest.slice(0, 2)) t.ok(Math.abs(share - 1 / 8) < 0.04, `${key} is ${share} of the lookups`)
    t.equal(hottest.filter(({ share }) => share > 0.05).length, 2)
    t.equal(kinds(recommendations).filter((kind) => kind === 'hot-key').length, 2)
  })

  t.test('name no shares of next to nothing', async (t) => {
    const here = watched(t)
    lookup(here, 'hit', 99)
    t.same(here.monitor.getPerformanceReport().performanceMetrics.hottest, [])
    lookup(here, 'hit')
    t.same(here.monitor.getPerformanceReport().performanceMetrics.hottest, [{ key: 'k', share: 1 }])
  })

  t.test('fade, and are not there when nobody wants them', async (t) => {
    const here = watched(t)
    here.monitor.startMonitoring()
    lookup(here, 'hit', 4_000)
    here.clock.advance(1_800_000)
    t.equal(here.monitor.getPerformanceReport().performanceMetrics.curve?.lookups, 2_000)
    const off = watched(t, { study: false })
    lookup(off, 'hit', 4_000)
    const { performanceMetrics, recommendations } = off.monitor.getPerformanceReport()
    t.equal(performanceMetrics.curve, null)
    t.same([performanceMetrics.hottest, recommendations], [[], []])
    t.equal(performanceMetrics.lastMinute.lookups, 4_000)
  })
})

t.test('where all entries are in Redis', async (t) => {
  t.test('the monitor tells the hit rate and what is asked for most, and nothing of sizes that it cannot know', async (t) => {
    const server = await startRedis()
    t.teardown(async () => { await server.stop() })
    const cache = new CacheManager({ strategy: 'redis', redisUrl: server.url, redisTimeout: 10 })
    const monitor = new CacheMonitor(cache)
    t.teardown(async () => {
      await monitor.stop()
      await cache.close()
    })
    await cache.initialize()
    await onRedis(cache)
    for (let round = 0; round < 60; round++) await Promise.all(Array.from({ length: 127 }, async (_, i) => await cache.getOrSet(i < 20 ? 'config' : `country:${i}`, () => i)))
    const { lastMinute, tiers, hottest, curve } = monitor.getPerformanceReport().performanceMetrics
    t.match(lastMinute, { lookups: 7620, misses: 127, loads: 108, hits: 7493 })
    t.match(tiers, [{ tier: 'redis', utilisation: null }])
    t.equal(curve, null)
    t.equal(hottest[0]?.key, 'config')
    t.ok(Math.abs((hottest[0]?.share ?? 0) - 20 / 127) < 0.03, `${hottest[0]?.share ?? ''} of the lookups`)
  })

  t.test('it studies lifetimes, reuse and hot keys all the same', async (t) => {
    const { cache: { parts: { events } }, monitor, clock } = watched(t, {}, { strategy: 'redis', redisUrl: 'redis://127.0.0.1:1' })
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 200; i++) {
        if (i % 7 > 0) events.emit('lookup', { key: 'config', result: 'hit', atMs: clock.now(), durationMs: 1, namespace: '' })
        events.emit('lookup', { key: `country:${i}`, result: 'miss', atMs: clock.now(), durationMs: 1, namespace: '' })
        events.emit('store', { key: `country:${i}`, bytes: 10, kind: 'data', atMs: clock.now(), freshForMs: 300_000, value: i })
        // Each is asked for once here. What another instance has stored is a hit all the same.
        events.emit('lookup', { key: `response:/once?q=${round}.${i}`, result: 'miss', atMs: clock.now(), durationMs: 1, namespace: '', route: '/once' })
        events.emit('lookup', { key: `response:/elsewhere?q=${round}.${i}`, result: 'hit', atMs: clock.now(), durationMs: 1, namespace: '', route: '/elsewhere' })
      }
      clock.advance(301_000)
    }
    const { recommendations } = monitor.getPerformanceReport()
    t.match(recommendations, [
      { kind: 'hot-key', numbers: { key: 'config' } },
      { kind: 'ttl', numbers: { group: 'country:*', current: 300, outdatedShare: 0 } },
      { kind: 'no-reuse', numbers: { route: '/once', repeatedShare: 0 } }
    ])
    t.equal(recommendations.length, 3)
  })
})

t.test('a monitor that was stopped hears nothing, until it is started again', async (t) => {
  const here = watched(t)
  lookup(here, 'hit')
  await here.monitor.stop()
  await here.monitor.stop()
  lookup(here, 'hit')
  t.equal(here.monitor.getPerformanceReport().performanceMetrics.lastMinute.lookups, 1)
  t.notOk(here.cache.parts.events.heard('lookup'))
  here.monitor.startMonitoring()
  lookup(here, 'hit')
  t.equal(here.monitor.getPerformanceReport().performanceMetrics.lastMinute.lookups, 2)
})
