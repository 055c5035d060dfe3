import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { CacheManager } from '../../../lib/cache-manager.ts'
import { DependencyTracker } from '../../../lib/engine/dependencies.ts'
import { Flights } from '../../../lib/engine/flights.ts'
import { HotList } from '../../../lib/engine/hot-list.ts'
import { loadMany } from '../../../lib/engine/many.ts'
import { CacheMonitor } from '../../../lib/engine/monitor/cache-monitor.ts'
import { StaticDataCache } from '../../../lib/engine/static-data-cache.ts'
import { CacheWarmingService } from '../../../lib/engine/warming-service.ts'
import type { Purge } from '../../../lib/purge.ts'
import { deferred, turns, type Deferred } from '../../support/cached-app.ts'
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { programRoot, scriptArgs } from '../../support/program.ts'

function kit (config = {}): { cache: CacheManager, clock: FakeClock } {
  const clock = fakeClock()
  return { cache: new CacheManager({ strategy: 'memory', ttlJitter: 0, ...config }, { clock, random: () => 0.5 }), clock }
}

/** A loader whose answers are given by hand, in the order of its calls. */
function byHand<T> (): { load: () => Promise<T>, calls: Array<Deferred<T>> } {
  const calls: Array<Deferred<T>> = []
  return { calls, load: async () => { const call = deferred<T>(); calls.push(call); return await call.promise } }
}

const PURGES: Purge[] = [{ keys: ['product:1'] }, { tags: ['shop'] }, { tags: ['product:1'] }, { patterns: ['product:*'] }, { patterns: ['*:1'] }, { patterns: ['product:?'] }, { everything: true }]
const tags = ['shop']

t.test('a value whose load a purge has overtaken reaches its callers and is not stored', async (t) => {
  for (const soft of [false, true]) {
    for (const purge of PURGES) {
      const { cache } = kit()
      const { load, calls } = byHand<string>()
      const early = cache.getOrSet('product:1', load, { tags })
      await cache.invalidate({ ...purge, soft })
      const late = [cache.getOrSet('product:1', load, { tags }), cache.getOrSet('product:1', load, { tags })]
      t.equal(calls.length, 1)
      calls[0]?.resolve('old')
      t.equal(await early, 'old')
      await turns()
      t.equal(await cache.get('product:1'), undefined, JSON.stringify(purge))
      t.equal(calls.length, 2, 'those who came after the purge share a load of their own')
      calls[1]?.resolve('new')
      t.same(await Promise.all(late), ['new', 'new'], JSON.stringify(purge))
      t.equal(await cache.get('product:1'), 'new')
      await cache.close()
    }
  }
})

t.test('a purge of something else disturbs no load', async (t) => {
  const { cache } = kit()
  const { load, calls } = byHand<string>()
  const early = cache.getOrSet('product:1', load, { tags })
  for (const purge of [{ keys: ['product:2'] }, { tags: ['other'] }, { patterns: ['user:*'] }, { paths: ['/product:1'] }]) await cache.invalidate(purge)
  const late = cache.getOrSet('product:1', load, { tags })
  calls[0]?.resolve('value')
  t.same(await Promise.all([early, late]), ['value', 'value'])
  t.equal(calls.length, 1)
  t.equal(await cache.get('product:1'), 'value')
  await cache.close()
})

t.test('what is set or deleted during a load wins over what the load brings', async (t) => {
  const { cache } = kit()
  const { load, calls } = byHand<string>()
  const one = cache.getOrSet('a', load)
  await cache.set('a', 'set')
  calls[0]?.resolve('loaded')
  t.equal(await one, 'loaded')
  t.equal(await cache.get('a'), 'set')
  const two = cache.getOrSet('b', load)
  await cache.delete('b')
  calls[1]?.resolve('loaded')
  await two
  t.equal(await cache.get('b'), undefined)
  await cache.close()
})

t.test('a purge right behind a set takes what was set, though nobody waited in between', async (t) => {
  for (const purge of PURGES) {
    const { cache } = kit()
    const set = cache.set('product:1', 'old', { tags })
    const purged = cache.invalidate(purge)
    await Promise.all([set, purged])
    t.equal(await cache.get('product:1'), undefined, JSON.stringify(purge))
    await cache.close()
  }
})

t.test('of two sets the later one stays', async (t) => {
  const { cache } = kit()
  await Promise.all([cache.set('a', 1), cache.set('a', 2)])
  t.equal(await cache.get('a'), 2)
  t.same(await cache.setMany([['b', 1], ['c', undefined], ['d', null]]), [true, false, true])
  t.same(await cache.getMany(['b', 'c', 'd']), [1, undefined, null])
  for (const items of [{ a: 1 }, undefined, 5]) await t.rejects(cache.setMany(items as never), { code: 'FST_ERR_CACHE_OPTION', message: /^Option items is .*must be an iterable of pairs/ })
  await t.rejects(cache.entries({ patern: 'b' } as never).next(), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean pattern\?$/ })
  await cache.close()
})

t.test('a purge takes what was built from the thing, however deep', async (t) => {
  const { cache } = kit()
  const page = async (): Promise<unknown> => await cache.getOrSet('page', async () => {
    await turns(1)
    return { list: await cache.getOrSet('list', async () => await Promise.all(['1', '2'].map(async (id) => await cache.getOrSet(`product:${id}`, () => id, { tags: [`brand:${id}`] })))) }
  })
  for (const purge of [{ keys: ['product:1'] }, { tags: ['brand:2'] }, { keys: ['list'] }, { patterns: ['product:*'] }]) {
    await page()
    t.equal(await cache.exists('page'), true)
    await cache.invalidate(purge)
    t.equal(await cache.exists('page'), false, JSON.stringify(purge))
  }
  await cache.getOrSet('absent', async () => await cache.get('nothing') ?? 'none')
  await cache.set('nothing', 'something')
  t.equal(await cache.exists('absent'), false, 'its absence was something to depend on')
  const [one] = await Promise.all([cache.getOrSet('x', async () => await cache.getOrSet('slow', async () => { await turns(2); return 1 })), cache.getOrSet('y', async () => await cache.getOrSet('slow', () => 2))])
  t.equal(one, 1)
  await cache.delete('slow')
  t.same([await cache.exists('x'), await cache.exists('y')], [false, false], 'also for whoever shared the load')
  await cache.close()
})

t.test('what is built from something stale is not stored as if it were fresh', async (t) => {
  const { cache, clock } = kit()
  await cache.set('part', 'old', { ttl: 10, staleWhileRevalidate: 60 })
  clock.advance(20_000)
  const { load, calls } = byHand<string>()
  t.equal(await cache.getOrSet('whole', async () => await cache.getOrSet('part', load, { ttl: 10, staleWhileRevalidate: 60 })), 'old')
  t.equal(await cache.exists('whole'), false)
  calls[0]?.resolve('new')
  await turns()
  t.equal(await cache.getOrSet('whole', async () => await cache.getOrSet('part', load)), 'new')
  t.equal(await cache.exists('whole'), true)
  await cache.close()
})

t.test('stale values: one refresh in the background, or in place of an error, never after a hard purge', async (t) => {
  const { cache, clock } = kit()
  const options = { ttl: 10, staleWhileRevalidate: 10, staleIfError: 60 }
  const { load, calls } = byHand<string>()
  const faults: unknown[] = []
  cache.on('fault', ({ error }) => { faults.push(error) })
  await cache.set('a', 'old', options)
  clock.advance(15_000)
  t.same(await Promise.all([1, 2, 3].map(async () => await cache.getOrSet('a', load, options))), ['old', 'old', 'old'])
  t.equal(calls.length, 1)
  calls[0]?.reject(new Error('down'))
  await turns()
  t.equal(faults.length, 1)
  clock.advance(10_000)
  const inPlace = cache.getOrSet('a', load, options)
  calls[1]?.reject(new Error('down'))
  t.equal(await inPlace, 'old')
  await cache.invalidate({ keys: ['a'], soft: true })
  const soft = cache.getOrSet('a', load, options)
  calls[2]?.reject(new Error('down'))
  t.equal(await soft, 'old')
  const overtaken = cache.getOrSet('a', load, options)
  await cache.invalidate({ keys: ['a'] })
  calls[3]?.reject(new Error('down'))
  await t.rejects(overtaken, { message: 'down' }, 'the purge took the stale value too')
  await cache.set('a', 'old', options)
  clock.advance(71_000)
  const late = cache.getOrSet('a', load, options)
  calls[4]?.reject(new Error('down'))
  await t.rejects(late, { message: 'down' })
  t.match(cache.getStats(), { staleHits: 5, loadErrors: 5 })
  await cache.close()
})

t.test('refresh-ahead renews before anybody has to wait', async (t) => {
  const { cache, clock } = kit()
  const { load, calls } = byHand<string>()
  await cache.set('a', 'old', 10)
  clock.advance(7000)
  t.equal(await cache.getOrSet('a', load, { ttl: 10, refreshAhead: 0.8 }), 'old')
  t.equal(calls.length, 0)
  clock.advance(1000)
  for (let i = 0; i < 3; i++) t.equal(await cache.getOrSet('a', load, { ttl: 10, refreshAhead: 0.8 }), 'old')
  t.equal(calls.length, 1)
  calls[0]?.resolve('new')
  await turns()
  t.equal(await cache.get('a'), 'new')
  await cache.close()
})

t.test('a load that takes too long is given up, and told so', async (t) => {
  const { cache, clock } = kit({ loadTimeout: 5 })
  let signal: AbortSignal | undefined
  const forever = cache.getOrSet('a', async (context) => { signal = context.signal; return await new Promise(() => {}) })
  clock.advance(4999)
  t.equal(signal?.aborted, false)
  clock.advance(1)
  await t.rejects(forever, { code: 'FST_ERR_CACHE_LOAD_TIMEOUT', statusCode: 504 })
  t.equal(signal?.aborted, true)
  t.equal(await cache.getOrSet('a', () => 'next'), 'next', 'the next one is not held up')
  const own = cache.getOrSet('b', async () => await new Promise(() => {}), { timeout: 1 })
  clock.advance(1000)
  await t.rejects(own, { code: 'FST_ERR_CACHE_LOAD_TIMEOUT' })
  await cache.close()
})

t.test('a script that does nothing but await a load that never ends is told so', async (t) => {
  const script = `
    import { CacheManager } from 'fastify-response-cache'
    const error = await new CacheManager().getOrSet('x', () => new Promise(() => {}), { timeout: 0.02 }).catch((error) => error)
    process.exitCode = error.code === 'FST_ERR_CACHE_LOAD_TIMEOUT' ? 0 : 1`
  const child = spawn(process.execPath, scriptArgs(script), { cwd: programRoot, env: { PATH: process.env['PATH'] }, stdio: 'inherit' })
  t.same(await once(child, 'exit'), [0, null])
})

t.test('values: null is one, undefined is none, errors are never kept, and nobody can change what is stored', async (t) => {
  const { cache } = kit()
  let calls = 0
  for (let i = 0; i < 2; i++) t.equal(await cache.getOrSet('null', () => { calls++; return null }), null)
  t.equal(calls, 1)
  for (let i = 0; i < 2; i++) t.equal(await cache.getOrSet('undefined', () => { calls++; return undefined }), undefined)
  t.equal(calls, 3)
  for (let i = 0; i < 2; i++) await t.rejects(cache.getOrSet('error', () => { calls++; throw new Error('no') }), { message: 'no' })
  t.equal(calls, 5)
  const given = { date: new Date(0), list: [{ n: 1 }] }
  const missed = await cache.getOrSet<unknown>('object', () => given)
  const hit = await cache.get<{ list: Array<{ n: number }> }>('object')
  t.same(missed, { date: '1970-01-01T00:00:00.000Z', list: [{ n: 1 }] })
  t.same(hit, missed)
  given.list[0] = { n: 2 }
  t.throws(() => { if (hit !== undefined) hit.list[0] = { n: 3 } }, TypeError)
  t.throws(() => { (hit?.list[0] as { n: number }).n = 3 }, TypeError)
  t.same(await cache.get('object'), missed)
  t.equal(await cache.getOrSet('zero', () => 1, { ttl: 0 }), 1)
  t.equal(await cache.exists('zero'), false)
  t.equal(await cache.getOrSet('by value', () => 5, { ttl: (value) => value, tags: (value) => [`n:${value}`] }), 5)
  await cache.invalidate({ tags: ['n:5'] })
  t.equal(await cache.exists('by value'), false)
  await cache.close()
})

t.test('many at once: one call for what is missing, holes and all', async (t) => {
  const { cache } = kit()
  const asked: Array<readonly string[]> = []
  await cache.set('a', 'stored')
  const loader = async (keys: readonly string[]): Promise<Map<string, string>> => { asked.push([...keys]); await turns(1); return new Map(keys.filter((key) => key !== 'hole').map((key) => [key, `loaded ${key}`])) }
  t.same(await cache.getOrSetMany(['a', 'b', 'hole', 'b', 'c'], loader), ['stored', 'loaded b', undefined, 'loaded b', 'loaded c'])
  t.same(asked, [['b', 'hole', 'c']])
  t.same(await cache.getOrSetMany(['b', 'hole'], loader), ['loaded b', undefined])
  t.same(asked[1], ['hole'])
  t.same(await cache.getOrSetMany([], loader), [])
  await t.rejects(cache.getOrSetMany(['x', ''], loader), { code: 'FST_ERR_CACHE_KEY' })
  await t.rejects(cache.getOrSetMany(['y'], () => ['one', 'two']), { code: 'FST_ERR_CACHE_VALUE' })
  await t.rejects(cache.getOrSetMany(['y', 'z'], async () => await Promise.reject(new Error('down'))), { message: 'down' })
  t.same(await cache.getOrSetMany(['y', 'z'], (keys) => Object.fromEntries(keys.map((key) => [key, key]))), ['y', 'z'])
  t.same(await cache.getOrSetMany(['p', 'q'], (keys) => keys.map((key) => key.toUpperCase())), ['P', 'Q'])
  await cache.close()
})

t.test('batches that overlap share what the other loads, and do not wait for each other in a circle', async (t) => {
  const { cache } = kit()
  const asked: Array<readonly string[]> = []
  const gate = deferred()
  const loader = async (keys: readonly string[]): Promise<string[]> => { asked.push([...keys]); await gate.promise; return [...keys] }
  const single = cache.getOrSet('s', async () => { await gate.promise; return 's' })
  const batches = [cache.getOrSetMany(['a', 'b', 's'], loader), cache.getOrSetMany(['c', 'b', 'a'], loader), cache.getOrSetMany(['c', 'd', 's'], loader)]
  await turns()
  t.same(asked, [['a', 'b'], ['c'], ['d']])
  await cache.invalidate({ keys: ['b'] })
  const after = cache.getOrSetMany(['b', 'a'], loader)
  gate.resolve()
  t.same(await Promise.all(batches), [['a', 'b', 's'], ['c', 'b', 'a'], ['c', 'd', 's']])
  t.same(await after, ['b', 'a'])
  t.equal(await single, 's')
  t.same(asked[3], ['b'], 'the purge made a new load necessary')
  await cache.close()
})

t.test('a batch goes on when one of its keys needs no load after all', async (t) => {
  const values = await loadMany<string>(async (key, load) => key === 'elsewhere' ? await turns(1).then(() => 'from another process') : await load({ key, signal: new AbortController().signal }),
    ['a', 'elsewhere', 'b'], (keys) => keys.map((key) => `loaded ${key}`), new DependencyTracker(true), (key) => key)
  t.same(values, ['loaded a', 'from another process', 'loaded b'])
})

t.test('a loader of many that throws at once fails all of them, whichever was decided last', async (t) => {
  const { cache } = kit()
  const throwing = (): never => { throw new Error('at once') }
  await t.rejects(cache.getOrSetMany(['x', 'y', 'z'], throwing), { message: 'at once' })
  await turns()
  t.same(await Promise.all(['x', 'y', 'z'].map(async (key) => await cache.getOrSet(key, () => `${key} again`))), ['x again', 'y again', 'z again'])
  await t.rejects(loadMany(async (key, load) => key === 'elsewhere' ? await turns(1) : await load({ key, signal: new AbortController().signal }), ['a', 'elsewhere'], throwing, new DependencyTracker(true), (key) => key), { message: 'at once' })
  await cache.close()
})

t.test('each value of many is built from all that their loader read', async (t) => {
  const { cache, clock } = kit()
  let rate = 1
  const load = async (keys: readonly string[]): Promise<string[]> => {
    const read = await cache.getOrSet('rate', () => rate, { ttl: 10, staleWhileRevalidate: 60 })
    return keys.map((key) => `${key}@${read}`)
  }
  const keys = ['a', 'b', 'c']
  const page = async (): Promise<unknown> => await cache.getOrSet('page', async () => await cache.getOrSetMany(keys, load))
  t.same(await page(), ['a@1', 'b@1', 'c@1'])
  rate = 2
  await cache.invalidate({ keys: ['rate'] })
  t.same(await cache.getMany(['page', ...keys]), [undefined, undefined, undefined, undefined])
  t.same(await page(), ['a@2', 'b@2', 'c@2'])
  await cache.invalidate({ keys: ['a'] })
  t.same(await cache.getMany(['rate', ...keys]), [2, undefined, 'b@2', 'c@2'], 'and from nothing of each other')
  clock.advance(11_000)
  await cache.invalidate({ keys })
  t.same(await cache.getOrSetMany(keys, load), ['a@2', 'b@2', 'c@2'])
  t.same(await cache.getMany(keys), [undefined, undefined, undefined], 'the rate was stale')
  await cache.close()
})

t.test('close gives up what still loads, and lets nothing begin', async (t) => {
  const { cache } = kit()
  let signal: AbortSignal | undefined
  const loading = cache.getOrSet('a', async (context) => { signal = context.signal; return await new Promise(() => {}) })
  await cache.set('b', 1)
  await Promise.all([t.rejects(loading, { code: 'FST_ERR_CACHE_CLOSED' }), cache.close()])
  t.equal(signal?.aborted, true)
  for (const call of [async () => await cache.getOrSet('c', () => 1), async () => await cache.set('c', 1), async () => await cache.delete('c'), async () => await cache.invalidate({ everything: true })] as Array<() => Promise<unknown>>) await t.rejects(call, { code: 'FST_ERR_CACHE_CLOSED' })
  t.equal(await cache.get('b'), undefined)
  await cache.close()
})

t.test('a closed cache is an empty one to readers, and nothing to others', async (t) => {
  const cache = new CacheManager()
  await cache.set('k', 1)
  await cache.close()
  t.equal(await cache.get('k'), undefined)
  t.same(await cache.getMany(['k']), [undefined])
  t.equal(await cache.exists('k'), false)
  const closed = { code: 'FST_ERR_CACHE_CLOSED' }
  await t.rejects(cache.getOrSet('k', () => 1), closed)
  await t.rejects(cache.getOrSetMany(['k'], () => [1]), closed)
  await t.rejects(cache.set('k', 1), closed)
  await t.rejects(cache.delete('k'), closed)
  await t.rejects(cache.invalidate({ keys: ['k'] }), closed)
  await t.rejects(cache.clear(), closed)
})

t.test('a loader that asks for its own value is told so, and does not wait for itself', async (t) => {
  const { cache } = kit()
  t.teardown(async () => { await cache.close() })
  const code = 'FST_ERR_CACHE_LOAD_CYCLE'
  await t.rejects(cache.getOrSet('a', async () => await cache.getOrSet('a', () => 1)), { code, message: /loader of a / })
  await t.rejects(cache.getOrSet('a', async () => await cache.getOrSet('b', async () => { await turns(); return await cache.getOrSet('a', () => 1) })), { code })
  await t.rejects(cache.getOrSet('a', async () => await cache.getOrSetMany(['a', 'b'], () => [1, 2])), { code })
  const batch = async (own: string): Promise<unknown> => await cache.getOrSetMany(['g', 'h'], async (keys) => { await cache.getOrSet(own, () => 1); return [...keys] })
  for (const own of ['g', 'h']) await t.rejects(batch(own), { code }, `a batch, for ${own}`)
  t.same(await batch('i'), ['g', 'h'])
  t.equal(await cache.getOrSet('a', async () => { await cache.set('a', 'inner'); return await cache.getOrSet('a', () => 1) }), 'inner', 'what is there by then needs no load')
  const [one, other] = await Promise.all([cache.getOrSet('d', async () => await cache.getOrSet('e', () => 1)), cache.getOrSet('e', () => 2)])
  t.same([one, other], [1, 1], 'to wait for the load of another is no cycle')
  let again: Promise<number> | undefined
  const outlives = cache.getOrSet('f', () => {
    again = turns().then(async () => await cache.getOrSet('f', () => 2, { ttl: 1 }))
    return 1
  })
  t.equal(await outlives, 1)
  await cache.delete('f')
  t.equal(await again, 2, 'what outlives the load is no part of it')
})

t.test('arguments of other types are told by name', async (t) => {
  const cache = new CacheManager()
  t.teardown(async () => { await cache.close() })
  const wrong = async (name: string, value: string, call: (given: never) => Promise<unknown>, given: unknown): Promise<void> => {
    await t.rejects(call(given as never), { code: 'FST_ERR_CACHE_OPTION', message: new RegExp(`^Option ${name} is ${value}, must be `) }, `${name} ${value}`)
  }
  await wrong('loader', 'undefined', async (given) => await cache.getOrSet('k', given), undefined)
  await wrong('loader', '5', async (given) => await cache.getOrSetMany(['k'], given), 5)
  await wrong('keys', '"abc"', async (given) => await cache.getOrSetMany(given, () => []), 'abc')
  await wrong('keys', '"abc"', async (given) => await cache.getMany(given), 'abc')
  await wrong('keys', '"abc"', async (given) => await cache.deleteMany(given), 'abc')
  await wrong('tags', '"abc"', async (given) => await cache.getOrSet('k', () => 1, { tags: given }), 'abc')
  await wrong('options', '60', async (given) => await cache.getOrSet('k', () => 1, given), 60)
  await wrong('ttl', '"60"', async (given) => await cache.set('k', 1, given), '60')
  await wrong('tags', '"abc"', async (given) => await cache.set('k', 1, { tags: given }), 'abc')
  await wrong('purge', 'undefined', async (given) => await cache.invalidate(given), undefined)
  await wrong('purge', '"x"', async (given) => await cache.invalidate(given), 'x')
  await wrong('everything', '"yes"', async (given) => await cache.invalidate(given), { everything: 'yes' })
  await wrong('soft', '1', async (given) => await cache.invalidate(given), { keys: ['k'], soft: 1 })
  t.equal(await cache.set('k', 1), true, 'the cache is none the worse for it')
})

t.test('namespaces keep to themselves, and count in the whole', async (t) => {
  const { cache } = kit()
  const [a, b] = [cache.namespace('a'), cache.namespace('a*')]
  await a.set('k', 1, { tags: ['t'] })
  await b.set('k', 2, { tags: ['t'] })
  t.equal(await cache.get('a:k'), 1)
  await a.invalidate({ tags: ['t'] })
  t.same([await a.get('k'), await b.get('k')], [undefined, 2])
  await a.set('k', 1)
  await b.clear()
  t.same([await a.get('k'), await b.get('k')], [1, undefined], 'a name that looks like a pattern is none')
  t.equal(a.getStats().hits + b.getStats().hits + 1, cache.getStats().hits)
  await cache.set('k', 3)
  const within = a.namespace('response')
  await within.set('k', 4)
  await b.set('k', 2)
  t.equal((await a.previewInvalidation({ everything: true })).touched, 2)
  await a.invalidate({ everything: true })
  t.same([await cache.get('k'), await a.get('k'), await b.get('k'), await within.get('k')], [3, undefined, 2, undefined], 'everything is what is in it')
  await cache.set('page', 5, { tags: ['a:t'] })
  await a.invalidate({ everything: true })
  t.equal(await cache.get('page'), undefined, 'and what is tagged by it')
  t.throws(() => cache.namespace('a:b'), { code: 'FST_ERR_CACHE_KEY', message: /a:b/ }, 'its key c would be b:c of the namespace a')
  t.throws(() => cache.namespace(undefined as never), { code: 'FST_ERR_CACHE_KEY' })
  await cache.close()
})

t.test('a namespace is refused by what works on a whole cache, and so is nothing at all', async (t) => {
  const { cache } = kit()
  for (const given of [cache.namespace('a'), undefined, 5]) {
    for (const Service of [StaticDataCache, CacheWarmingService, CacheMonitor, HotList]) t.throws(() => new Service(given as never), { code: 'FST_ERR_CACHE_OPTION', message: /^Option manager is / }, Service.name)
  }
  await cache.close()
})

t.test('a flight is forgotten when it ends, also by an error, and never before', async (t) => {
  const flights = new Flights<string>()
  const call = deferred<string>()
  const begin = (): { at: number, result: Promise<string> } => ({ at: 1, result: call.promise })
  const join = async (): Promise<string> => await flights.join('a', begin, { since: 0, heard: () => 1, overtaken: () => true, onWait: () => {} })
  const joined = [join(), join()]
  t.equal(flights.size, 1)
  call.reject(new Error('down'))
  for (const each of joined) await t.rejects(each, { message: 'down' })
  t.equal(flights.size, 0)
})
