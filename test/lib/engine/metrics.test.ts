import t from 'tap'
import { AggregatorRegistry, Counter, Registry, type OpenMetricsContentType } from 'prom-client'
import { CacheManager } from '../../../lib/cache-manager.ts'
import { DurationTally } from '../../../lib/engine/duration-tally.ts'
import { EventTally, MAX_ROUTES, REFUSAL_REASONS } from '../../../lib/engine/event-tally.ts'
import { createMetrics, METRIC_NAMES } from '../../../lib/engine/metrics.ts'
import { CacheEventHub } from '../../../lib/events.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { familiesOf, valueOf } from '../../support/exposition.ts'
import { startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

t.test('a duration lies in every bucket that it fits into', async (t) => {
  const tally = new DurationTally([0.01, 0.1])
  for (const ms of [0, 10, 10.1, 100, 5000]) tally.add(ms)
  t.same(tally.read().upTo, [[0.01, 2], [0.1, 4], [Infinity, 5]])
  t.equal(tally.read().count, 5)
  t.ok(Math.abs(tally.read().sum - 5.1201) < 1e-9)
  t.same(new DurationTally([1]).read(), { upTo: [[1, 0], [Infinity, 0]], sum: 0, count: 0 })
})

t.test('the metrics of a cache tell what happened to it, in a format that Prometheus reads', async (t) => {
  const clock = fakeClock()
  const cache = new CacheManager({ memoryMaxSize: 2, ttlJitter: 0 }, { clock })
  const { registry } = createMetrics(cache.parts, { cache: 'cache' })
  t.teardown(async () => { await cache.close() })

  await cache.getOrSet('a', () => 1, { ttl: 10, staleWhileRevalidate: 100 })
  await cache.get('a')
  clock.advance(20_000)
  await cache.getOrSet('a', () => 2, { ttl: 10, staleWhileRevalidate: 100 })
  await cache.get('missing')
  await t.rejects(cache.getOrSet('b', () => { throw new Error('no such thing') }))
  await Promise.all([cache.getOrSet('c', async () => 3), cache.getOrSet('c', async () => 4)])
  await cache.set('d', 5)
  await cache.set('e', 6)
  await cache.invalidate({ keys: ['d'], tags: ['t'] })
  await cache.invalidate({ everything: true, soft: true })
  cache.parts.events.emit('refuse', { key: 'k', reason: 'unkeyed-input; x-forwarded-host' })
  cache.parts.events.emit('refuse', { key: 'k', reason: 'whatever comes next' })
  cache.parts.events.emit('fault', { where: 'here', error: new Error('hm') })
  cache.parts.events.emit('lookup', { key: '/x?secret', result: 'bypass', atMs: 0, durationMs: 0.02, namespace: '', route: '/odd/"\\\n', reason: 'credentials' })
  cache.parts.events.emit('load', { key: '/x', ok: true, atMs: 0, durationMs: 3, route: '/x' })

  const families = familiesOf(await registry.metrics())
  t.same([...families.keys()], METRIC_NAMES, 'each has a name, a meaning and a type')
  const value = (line: string): number | undefined => valueOf(families, line)
  t.equal(value('fastify_cache_lookups_total{cache="cache",route="-",result="hit"}'), 1)
  t.equal(value('fastify_cache_lookups_total{cache="cache",route="-",result="stale"}'), 1)
  t.equal(value('fastify_cache_lookups_total{cache="cache",route="-",result="miss"}'), 5)
  t.equal(value('fastify_cache_lookups_total{cache="cache",route="/odd/\\"\\\\\\n",result="bypass"}'), 1)
  t.equal(value('fastify_cache_lookup_duration_seconds_bucket{cache="cache",result="bypass",le="0.00001"}'), 0)
  t.equal(value('fastify_cache_lookup_duration_seconds_bucket{cache="cache",result="bypass",le="0.000025"}'), 1)
  t.equal(value('fastify_cache_lookup_duration_seconds_count{cache="cache",result="bypass"}'), 1)
  t.equal(value('fastify_cache_load_duration_seconds_sum{cache="cache",route="/x",outcome="ok"}'), 0.003)
  t.equal(value('fastify_cache_load_duration_seconds_count{cache="cache",route="-",outcome="error"}'), 1)
  t.equal(value('fastify_cache_load_duration_seconds_count{cache="cache",route="/x",outcome="error"}'), undefined, 'what never happened has no buckets')
  t.equal(value('fastify_cache_max_entries{cache="cache",tier="memory"}'), 2)
  t.equal(value('fastify_cache_max_bytes{cache="cache",tier="memory"}'), cache.config.memoryMaxBytes)
  t.equal(value('fastify_cache_entries{cache="cache",tier="memory"}'), cache.getStats().entries)
  t.equal(value('fastify_cache_bytes{cache="cache",tier="memory"}'), cache.getStats().bytes)
  t.equal(value('fastify_cache_evictions_total{cache="cache",tier="memory",cause="entries"}'), cache.getStats().evictions.entries)
  t.ok(cache.getStats().evictions.entries > 0)
  const [usage] = cache.parts.store.usage()
  t.equal(value('fastify_cache_tier_lookups_total{cache="cache",tier="memory",result="hit"}'), usage?.hits)
  t.equal(value('fastify_cache_tier_lookups_total{cache="cache",tier="memory",result="miss"}'), usage?.misses)
  t.equal(value('fastify_cache_stores_total{cache="cache",kind="data"}'), cache.getStats().sets)
  t.equal(value('fastify_cache_refusals_total{cache="cache",reason="unkeyed-input"}'), 1)
  t.equal(value('fastify_cache_refusals_total{cache="cache",reason="other"}'), 1)
  t.equal(value('fastify_cache_invalidations_total{cache="cache",kind="keys",reach="everywhere"}'), 1)
  t.equal(value('fastify_cache_invalidations_total{cache="cache",kind="tags",reach="everywhere"}'), 1)
  t.equal(value('fastify_cache_invalidations_total{cache="cache",kind="everything",reach="everywhere"}'), 1)
  t.equal(value('fastify_cache_coalesced_total{cache="cache"}'), 1)
  t.equal(value('fastify_cache_errors_total{cache="cache"}'), 1)
  t.equal(value('fastify_cache_tier_errors_total{cache="cache",tier="memory"}'), 0)
})

t.test('a tier that does not know how much it holds says nothing of it', async (t) => {
  const none = { entries: 0, bytes: 0, expired: 0, purged: 0 }
  const usage = [
    { tier: 'memory', state: 'up', entries: 3, bytes: 30, maxEntries: 10, maxBytes: Infinity, hits: 1, misses: 2, errors: 0, evictions: none },
    { tier: 'redis', state: 'silent', entries: 0, bytes: 0, maxEntries: 0, maxBytes: 0, hits: 4, misses: 5, errors: 6, evictions: none }
  ] as const
  const { store, log } = new CacheManager().parts
  store.usage = () => usage
  const { registry } = createMetrics({ events: new CacheEventHub(), store, log }, { cache: 'cache' })
  const families = familiesOf(await registry.metrics())
  t.equal(valueOf(families, 'fastify_cache_entries{cache="cache",tier="memory"}'), 3)
  t.equal(valueOf(families, 'fastify_cache_max_bytes{cache="cache",tier="memory"}'), Infinity)
  for (const name of ['entries', 'max_entries', 'bytes', 'max_bytes']) t.equal(valueOf(families, `fastify_cache_${name}{cache="cache",tier="redis"}`), undefined)
  t.equal(valueOf(families, 'fastify_cache_tier_lookups_total{cache="cache",tier="redis",result="hit"}'), 4)
  t.equal(valueOf(families, 'fastify_cache_tier_errors_total{cache="cache",tier="redis"}'), 6)
})

t.test('an outage of Redis can be seen while it lasts', async (t) => {
  const server = await startRedis()
  const cache = new CacheManager({ strategy: 'hybrid', redisUrl: server.url, memoryTtl: 60, redisTimeout: 0.1 })
  const { registry } = createMetrics(cache.parts, { cache: 'cache' })
  t.teardown(async () => {
    await cache.close()
    await server.stop()
  })
  await cache.initialize()
  const figures = async (): Promise<Record<string, number | undefined>> => {
    const families = familiesOf(await registry.metrics())
    const value = (name: string, labels = ''): number | undefined => valueOf(families, `fastify_cache_${name}{cache="cache"${labels}}`)
    return {
      memory: value('tier_up', ',tier="memory"'),
      redis: value('tier_up', ',tier="redis"'),
      circuit: value('circuit_open', ',tier="redis"'),
      current: value('log_state', ',state="current"'),
      alone: value('log_state', ',state="alone"'),
      queued: value('purges_queued'),
      misses: value('tier_lookups_total', ',tier="redis",result="miss"')
    }
  }
  const well = { memory: 1, redis: 1, circuit: 0, current: 1, alone: 0, queued: 0 }
  const isWell = async (): Promise<void> => { await until('all is well', () => cache.parts.log.state === 'current' && cache.parts.log.queued === 0) }
  await isWell()
  await cache.get('absent')
  t.same(await figures(), { ...well, misses: 1 })

  for (const [fault, strike] of [['killed', server.kill], ['frozen', async () => { server.freeze() }]] as const) {
    const { misses = NaN } = await figures()
    await strike()
    await cache.get('notices')
    await until(`Redis is ${fault}`, () => cache.parts.connection?.ready === false && cache.parts.log.state === 'alone')
    const { misses: noticed = NaN } = await figures()
    t.ok(noticed - misses <= 1, 'whoever notices has asked')
    for (let i = 0; i < 10; i++) await cache.get(`absent:${i}`)
    await cache.invalidate({ tags: ['x', 'y'] })
    const during = await figures()
    t.match(during, { memory: 1, redis: 0, current: 0, alone: 1, queued: 4, misses: noticed }, `${fault}: nobody asked, so nothing was missed there`)
    if (fault === 'frozen') t.equal(during['circuit'], 1)
    if (fault === 'killed') await server.restart()
    else server.thaw()
    await isWell()
    t.match(await figures(), well, `${fault}, and back`)
  }
})

t.test('a tier that is down is not made up for by another of its name', async (t) => {
  const caches = [new CacheManager({ strategy: 'memory' }), new CacheManager({ strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1' }), new CacheManager({ strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1' })]
  const registry = new Registry()
  for (const { parts } of caches) createMetrics(parts, { cache: 'cache', registry })
  t.teardown(async () => { for (const cache of caches) await cache.close() })
  const families = familiesOf(await registry.metrics())
  t.equal(valueOf(families, 'fastify_cache_tier_up{cache="cache",tier="redis"}'), 0)
  t.equal(valueOf(families, 'fastify_cache_tier_up{cache="cache",tier="memory"}'), 1)
  t.equal(valueOf(families, 'fastify_cache_log_state{cache="cache",state="alone"}'), 2, 'so many are in that state')
  const workers = await AggregatorRegistry.aggregate([await registry.getMetricsAsJSON(), await registry.getMetricsAsJSON()]).metrics()
  t.equal(valueOf(familiesOf(workers), 'fastify_cache_tier_up{cache="cache",tier="memory"}'), 1)
})

t.test('labels cannot explode', async (t) => {
  const events = new CacheEventHub()
  const { registry } = createMetrics({ ...new CacheManager().parts, events }, { cache: 'cache' })
  const tally = new EventTally()
  tally.listen(events)
  for (let i = 0; i < 3000; i++) {
    events.emit('lookup', { key: `key-${i}`, result: 'hit', atMs: 0, durationMs: 0.01, namespace: `space-${i}` })
    events.emit('lookup', { key: `key-${i}`, result: 'miss', atMs: 0, durationMs: 0.01, namespace: '', route: `/route-${i}` })
    events.emit('refuse', { key: `key-${i}`, reason: `reason-${i}; detail` })
    events.emit('refuse', { key: `key-${i}`, reason: `status; ${i}` })
  }
  const text = await registry.metrics()
  t.equal(tally.routes.size, MAX_ROUTES + 1, 'the rest is "other"')
  t.equal(valueOf(familiesOf(text), 'fastify_cache_lookups_total{cache="cache",route="other",result="miss"}'), 3000 - MAX_ROUTES + 1)
  t.equal([...tally.routes.values()].reduce((sum, { lookups }) => sum + lookups.miss, 0), 3000, 'nothing is lost')
  t.same([...tally.refusals], [['other', 3000], ['status', 3000]])
  t.notMatch(text, /key-|space-|reason-|detail/)
  t.ok(text.split('\n').length < MAX_ROUTES + 150)
  t.ok(REFUSAL_REASONS.size < 50)
})

t.test('caches of two names in one registry are told apart, those of one name are counted together', async (t) => {
  const registry = new Registry()
  const caches = Array.from({ length: 3 }, () => new CacheManager())
  const metrics = caches.map((cache, index) => createMetrics(cache.parts, { cache: index === 2 ? 'assets' : 'cache', registry }))
  for (const cache of caches) await cache.get('x')
  const lookups = async (cache: string): Promise<number | undefined> => valueOf(familiesOf(await registry.metrics()), `fastify_cache_lookups_total{cache="${cache}",route="-",result="miss"}`)
  t.equal(await lookups('cache'), 2)
  t.equal(await lookups('assets'), 1)
  registry.resetMetrics()
  t.equal(await lookups('cache'), 2, 'what happened stays')

  metrics[0]?.close()
  await caches[0]?.get('x')
  t.equal(await lookups('cache'), 1, 'one that is closed is gone')
  metrics[1]?.close()
  t.equal(await lookups('cache'), undefined)
  metrics[2]?.close()
  t.equal((await registry.metrics()).trim(), '', 'the last one takes the metrics with it')
  metrics[2]?.close()
  createMetrics(new CacheManager().parts, { cache: 'cache', registry })
  t.equal(familiesOf(await registry.metrics()).size, METRIC_NAMES.length, 'and they can come back')
})

t.test('a registry of an app keeps what it has', async (t) => {
  const registry = new Registry()
  registry.setDefaultLabels({ app: 'shop' })
  new Counter({ name: 'shop_orders_total', help: 'Orders.', registers: [registry] }).inc()
  createMetrics(new CacheManager().parts, { cache: 'cache', registry })
  const text = await registry.metrics()
  t.match(text, 'shop_orders_total{app="shop"} 1')
  t.match(text, 'fastify_cache_coalesced_total{cache="cache",app="shop"} 0')

  const taken = new Registry()
  const foreign = new Counter({ name: 'fastify_cache_lookups_total', help: 'Not ours.', registers: [taken] })
  t.throws(() => createMetrics(new CacheManager().parts, { cache: 'cache', registry: taken }), { code: 'FST_ERR_CACHE_OPTION', message: /fastify_cache_lookups_total/ })
  t.equal(taken.getSingleMetric('fastify_cache_lookups_total'), foreign)
})

t.test('OpenMetrics and the sum over the workers of a cluster come out right', async (t) => {
  const open = new Registry<OpenMetricsContentType>()
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  const cache = new CacheManager()
  createMetrics(cache.parts, { cache: 'cache', registry: open })
  await cache.getOrSet('x', () => 1)
  for (const round of ['first', 'second']) {
    const text = await open.metrics()
    t.match(text, '# TYPE fastify_cache_lookups counter\nfastify_cache_lookups_total{cache="cache",route="-",result="miss"} 1', `the ${round} time`)
    t.ok(text.endsWith('# EOF\n'))
  }

  const workers = [new CacheManager(), new CacheManager()]
  const answers = await Promise.all(workers.map(async (worker) => {
    const { registry } = createMetrics(worker.parts, { cache: 'cache' })
    await worker.getOrSet('x', () => 1)
    return JSON.parse(JSON.stringify(await registry.getMetricsAsJSON())) as object[]
  }))
  const sum = familiesOf(await AggregatorRegistry.aggregate(answers).metrics())
  t.equal(valueOf(sum, 'fastify_cache_lookups_total{cache="cache",route="-",result="miss"}'), 2)
  t.equal(valueOf(sum, 'fastify_cache_load_duration_seconds_bucket{cache="cache",route="-",outcome="ok",le="+Inf"}'), 2)
})

t.test('names and labels follow the customs of Prometheus', async (t) => {
  const { registry } = createMetrics(new CacheManager().parts, { cache: 'cache' })
  for (const { type, name } of familiesOf(await registry.metrics()).values()) {
    t.match(name, /^fastify_cache_[a-z]+(?:_[a-z]+)*$/)
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
    t.notMatch(name, /_(?:ms|milliseconds|kb|mb|count|sum|bucket)(?:_|$)/)
    if (type === 'histogram') t.match(name, /_seconds$/)
  }
})

t.test('the format check finds what is wrong', async (t) => {
  const wrong = (text: string, message: RegExp) => { t.throws(() => familiesOf(text), { message }) }
  const counter = '# HELP a_total A.\n# TYPE a_total counter\n'
  wrong('a_total 1\n', /before its TYPE/)
  wrong(counter + 'a_total{b="1"} 1\na_total{b="1"} 2\n', /twice/)
  wrong(counter + 'a_total{b="1} 1\n', /not a sample/)
  wrong(counter + 'a_total -1\n', /went down/)
  wrong(counter + 'a_total x\n', /no number/)
  wrong('# TYPE a_total counter\n', /no HELP/)
  wrong(counter + counter, /twice/)
  const histogram = '# HELP h H.\n# TYPE h histogram\n'
  wrong(histogram + 'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n', /fall/)
  wrong(histogram + 'h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n', /count/)
  wrong(histogram + 'h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n', /\+Inf/)
  wrong('# HELP a_total A.\n# TYPE a_total counter\na_total 1', /line feed/)
})
