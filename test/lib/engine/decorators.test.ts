import { isDeepStrictEqual } from 'node:util'
import { runInThisContext } from 'node:vm'
import t from 'tap'
import fc from 'fast-check'
import Fastify from 'fastify'
import ts from 'typescript'
import { CacheManager } from '../../../lib/cache-manager.ts'
import { cached, cacheInvalidate, closeCacheManager, getCacheManager } from '../../../lib/default-manager.ts'
import { argumentKey } from '../../../lib/engine/argument-key.ts'
import { parseTemplate } from '../../../lib/engine/name-template.ts'
import { parameterNames } from '../../../lib/engine/parameter-names.ts'
import fastifyResponseCache from '../../../plugins/cache.ts'
import { fakeClock } from '../../support/fake-clock.ts'

interface Product { id: string, title: string }

class ProductService {
  readonly cache: CacheManager
  readonly loads: string[] = []
  failing = false
  constructor (cache: CacheManager) { this.cache = cache }

  @cached({ ttl: 300, keyPrefix: 'product' })
  async getProduct (productId: string): Promise<Product | undefined> {
    this.loads.push(productId)
    return productId === 'none' ? undefined : { id: productId, title: `Trowel ${this.loads.length}` }
  }

  @cached({ key: 'title:{productId}', tags: (title: string) => [`word:${title.split(' ')[0] ?? ''}`] })
  async title (productId: string): Promise<string> {
    return (await this.getProduct(productId))?.title ?? ''
  }

  @cached({ key (this: ProductService, page: number) { return `page:${this.loads.length >= 0 ? page : 0}` }, tags: ['catalog', 'page:{page}:{1}'] })
  async page (page: number, sort: string): Promise<string> {
    this.loads.push(`page ${page} ${sort}`)
    return `${page} ${sort}`
  }

  @cacheInvalidate({ keys: ['catalog:*', 'product:getProduct:{productId}'] })
  async update (productId: string, title: string): Promise<boolean> {
    if (this.failing) throw new Error(`no ${productId} ${title}`)
    return true
  }

  @cacheInvalidate({ tags: (removed: number, page: number) => removed > 0 ? [`page:${page}:title`] : [] })
  async trim (page: number): Promise<number> {
    return page
  }

  @cached({ keyPrefix: 'count' })
  static async count (this: typeof ProductService & { cache: CacheManager }): Promise<number> {
    return 7
  }
}

t.test('a cached method', async (t) => {
  const clock = fakeClock()
  const cache = new CacheManager({ staleIfError: 0 }, { clock, random: () => 0 })
  t.teardown(async () => { await cache.close() })
  const service = new ProductService(cache)

  t.test('runs once for equal arguments while its result is fresh', async (t) => {
    t.same(await service.getProduct('1'), { id: '1', title: 'Trowel 1' })
    t.same(await service.getProduct('1'), { id: '1', title: 'Trowel 1' })
    clock.advance(300_000)
    t.same(await service.getProduct('1'), { id: '1', title: 'Trowel 2' })
    t.equal(await cache.exists('product:getProduct:"1"'), true, 'under the key that the brief names')
  })
  t.test('runs once for all who ask at the same time', async (t) => {
    const before = service.loads.length
    await Promise.all([service.getProduct('2'), service.getProduct('2'), service.getProduct('2')])
    t.equal(service.loads.length, before + 1)
  })
  t.test('hands "nothing" on and does not store it', async (t) => {
    const before = service.loads.length
    t.equal(await service.getProduct('none'), undefined)
    t.equal(await service.getProduct('none'), undefined)
    t.equal(service.loads.length, before + 2)
  })
  t.test('goes when what it read through the cache goes', async (t) => {
    const title = await service.title('3')
    t.equal(await service.title('3'), title)
    await service.update('3', 'Spade')
    t.not(await service.title('3'), title)
  })
  t.test('is purged by the tags that its value names, and by templates', async (t) => {
    const title = await service.title('4')
    await cache.invalidate({ tags: ['word:Trowel'] })
    t.equal(await cache.exists('title:4'), false, title)
    await service.page(1, 'title')
    await service.page(1, 'price')
    t.same(service.loads.filter((load) => load.startsWith('page')), ['page 1 title'], 'what the key leaves out does not count')
    await cache.invalidate({ tags: ['page:1:title'] })
    await service.page(1, 'price')
    t.equal(service.loads.at(-1), 'page 1 price')
  })
  t.test('may be static', async (t) => {
    Object.assign(ProductService, { cache })
    t.equal(await (ProductService as typeof ProductService & { cache: CacheManager }).count(), 7)
    t.equal(await cache.exists('count:count:'), true)
  })
  t.test('keeps its name and length', async (t) => {
    t.equal(service.getProduct.name, 'getProduct')
    t.equal(service.page.length, 2)
  })
})

t.test('an invalidating method', async (t) => {
  const cache = new CacheManager()
  t.teardown(async () => { await cache.close() })
  const service = new ProductService(cache)

  t.test('purges before its caller has the result: keys, patterns, and nothing beside them', async (t) => {
    await cache.setMany([['catalog:1', 1], ['catalogue', 1], ['product:getProduct:"12"', 1]])
    await service.getProduct('1')
    t.equal(await service.update('1', 'x'), true)
    t.same(await cache.getMany(['catalog:1', 'catalogue', 'product:getProduct:"1"', 'product:getProduct:"12"']), [undefined, 1, undefined, 1])
  })
  t.test('lets its caller wait until the purge holds everywhere, and tells when it cannot', async (t) => {
    const far = new CacheManager()
    const order: string[] = []
    far.invalidate = async () => {
      await new Promise((resolve) => { setImmediate(resolve) })
      order.push('purged')
      return { reach: 'everywhere' }
    }
    const update = cacheInvalidate({ keys: ['a'], manager: far })(() => { order.push('changed') })
    await update()
    order.push('answered')
    t.same(order, ['changed', 'purged', 'answered'])
    Reflect.deleteProperty(far, 'invalidate')
    await far.close()
    await t.rejects(update(), { code: 'FST_ERR_CACHE_CLOSED' })
  })
  t.test('purges nothing when it fails, thrown or rejected', async (t) => {
    await cache.set('catalog:1', 1)
    service.failing = true
    await t.rejects(service.update('1', 'x'), { message: 'no 1 x' })
    const throwing = cacheInvalidate({ keys: ['catalog:*'], manager: cache })((): number => { throw new Error('at once') })
    await t.rejects(throwing(), { message: 'at once' })
    t.equal(await cache.exists('catalog:1'), true)
  })
  t.test('asks its function with the result, and purges nothing if it names nothing', async (t) => {
    await cache.set('page', 1, { tags: ['page:0:title', 'page:5:title'] })
    t.equal(await service.trim(0), 0)
    t.equal(await cache.exists('page'), true)
    t.equal(await service.trim(5), 5)
    t.equal(await cache.exists('page'), false)
  })
  t.test('purges everything when its function fails or answers no names, for the change has been made', async (t) => {
    const failures: Array<[answer: () => unknown, message: RegExp]> = [
      [() => { throw new Error('no names') }, /^no names$/],
      [() => undefined, /answered undefined/],
      [() => 'list', /answered "list"/],
      [async () => ['list'], /answered a promise/],
      [() => [''], /1 to 1024 characters/]
    ]
    for (const [answer, message] of failures) {
      for (const names of [{ keys: answer as () => string[], tags: ['catalog'] }, { keys: ['list'], tags: answer as () => string[] }]) {
        await cache.setMany([['list', 1], ['beside', 1]], { staleWhileRevalidate: 60 })
        await t.rejects(cacheInvalidate({ ...names, manager: cache })(() => 1)(), { message })
        t.same(await cache.getMany(['list', 'beside']), [undefined, undefined])
      }
    }
    await cache.set('soft', 1, { staleWhileRevalidate: 60 })
    await t.rejects(cacheInvalidate({ keys: () => { throw new Error('no names') }, soft: true, manager: cache })(() => 1)(), { message: 'no names' })
    t.equal(await cache.exists('soft'), false)
    t.equal(await cache.getOrSet('soft', () => 2), 1, 'stale, where it is soft')
  })
  t.test('takes wildcards in arguments, and those that a function answers, for what they are', async (t) => {
    await cache.setMany([['product:1', 1], ['product:1:reviews', 1], ['product:*', 1], ['p:ab', 1]])
    const byTemplate = cacheInvalidate({ keys: ['product:{0}', 'p:{0}*'], manager: cache })((_id: string) => {})
    for (const evil of ['*', '?', '[12]', '1:reviews', '\\*', 'product']) await byTemplate(evil)
    await cacheInvalidate({ keys: () => ['*'], manager: cache })(() => {})()
    t.same(await cache.getMany(['product:1', 'product:1:reviews', 'p:ab']), [1, 1, 1])
    await cacheInvalidate({ keys: ['product:\\*'], manager: cache })(() => {})()
    t.same(await cache.getMany(['product:*', 'product:1']), [undefined, 1], 'an escaped wildcard is exact')
  })
  t.test('refuses an empty or missing value before it changes anything', async (t) => {
    let changed = 0
    const update = cacheInvalidate({ keys: ['product:{id}*'], manager: cache })((id: string) => { changed += id.length + 1 })
    await t.rejects(update(''), { code: 'FST_ERR_CACHE_ARGUMENT', message: /\{id\}.*empty/ })
    await t.rejects(Reflect.apply(update, undefined, []), { code: 'FST_ERR_CACHE_ARGUMENT' })
    await t.rejects(Reflect.apply(update, undefined, [['1', '2']]), { code: 'FST_ERR_CACHE_ARGUMENT' })
    t.equal(changed, 0)
  })
  t.test('makes stale instead of gone when it is soft', async (t) => {
    await cache.set('soft', 1, { staleWhileRevalidate: 60 })
    await cacheInvalidate({ keys: ['soft'], soft: true, manager: cache })(() => {})()
    t.equal(await cache.exists('soft'), false)
    t.equal(await cache.getOrSet('soft', () => 2), 1, 'stale while it is refreshed')
  })
})

t.test('legacy decorators behave as the standard ones', async (t) => {
  const cache = new CacheManager()
  t.teardown(async () => { await cache.close() })
  const { outputText } = ts.transpileModule(`
    class Service {
      constructor (cache) { this.cache = cache; this.loads = 0 }
      @cached({ keyPrefix: 'product' }) async get (productId) { return ++this.loads }
      @cached({ key: 'named:{productId}' }) async named (productId) { return ++this.loads }
      @cacheInvalidate({ keys: ['product:*', 'named:{0}'] }) async update (productId) { return productId }
      @cached({ keyPrefix: 'static', manager: (self) => self.held }) static async count (n) { return n }
    }`, { compilerOptions: { experimentalDecorators: true, target: ts.ScriptTarget.ES2022 } })
  t.match(outputText, /__decorate\(\[/, 'these are legacy decorators')
  interface Service { loads: number, get: (id: string) => Promise<number>, named: (id: string) => Promise<number>, update: (id: string) => Promise<string> }
  const Service = runInThisContext(`(cached, cacheInvalidate) => { ${outputText}; return Service }`)(cached, cacheInvalidate) as (new (cache: CacheManager) => Service) & { held: CacheManager, count: (n: number) => Promise<number> }
  const service = new Service(cache)
  t.equal(await service.get('1'), 1)
  t.equal(await service.get('1'), 1)
  t.equal(await service.named('1'), 2)
  t.equal(await service.update('1'), '1')
  t.equal(await service.get('1'), 3)
  t.equal(await service.named('1'), 4)
  Service.held = cache
  t.equal(await Service.count(5), 5)
  t.equal(await cache.get('static:count:5'), 5)
  const getter = ts.transpileModule('class A { @cached() get x () { return 1 } }', { compilerOptions: { experimentalDecorators: true, target: ts.ScriptTarget.ES2022 } }).outputText
  t.throws(() => runInThisContext(`(cached) => { ${getter} }`)(cached), { code: 'FST_ERR_CACHE_DECORATOR' })
})

t.test('function wrappers', async (t) => {
  const cache = new CacheManager({ staleIfError: 0 }, { clock: fakeClock() })
  t.teardown(async () => { await cache.close() })
  let calls = 0
  t.test('cache what the function answers, a promise or not, and a failure never', async (t) => {
    const double = cached({ key: 'double:{0}', manager: cache })((n: number) => { calls++; return 2 * n })
    t.equal(await double(2), 4)
    t.equal(await double(2), 4)
    t.equal(calls, 1)
    const failing = cached({ manager: cache })(async function failing (): Promise<number> { throw new Error(`call ${++calls}`) })
    await t.rejects(failing(), { message: 'call 2' })
    await t.rejects(failing(), { message: 'call 3' })
  })
  t.test('hand `this` on, to the function and to the key', async (t) => {
    const get = cached({ key (this: { tenant: string }, id: number) { return `${this.tenant}:${id}` }, manager: cache })(
      async function (this: { tenant: string }, id: number) { return `${this.tenant} ${id}` })
    t.equal(await get.call({ tenant: 'a' }, 1), 'a 1')
    t.equal(await get.call({ tenant: 'b' }, 1), 'b 1')
  })
  t.test('need a name or a key', async (t) => {
    t.throws(() => cached({ manager: cache })(async () => 1), { code: 'FST_ERR_CACHE_DECORATOR' })
  })
  t.test('of one name would mix their results, unless one has a prefix', async (t) => {
    const make = (value: number) => async function rate (): Promise<number> { return value }
    t.equal(await cached({ manager: cache })(make(1))(), 1)
    await t.rejects(cached({ manager: cache })(make(2))(), { code: 'FST_ERR_CACHE_OPTION_CONFLICT' })
    t.equal(await cached({ manager: cache, keyPrefix: 'two' })(make(2))(), 2)
  })
  t.test('say which argument cannot be part of a key', async (t) => {
    const find = cached({ manager: cache, keyPrefix: 'f' })(async function find (_word: string, _filter: object) { return 1 })
    await t.rejects(find('x', { from: { test: () => true } }), { code: 'FST_ERR_CACHE_ARGUMENT', message: /2 of find \(_filter\)\.from\.test .* is a function/ })
    await t.rejects(find('x', new Map()), { code: 'FST_ERR_CACHE_ARGUMENT', message: /instance of Map/ })
  })
  t.test('are purged by the plain names of their arguments, whatever their type', async (t) => {
    const get = cached({ manager: cache, keyPrefix: 'item' })(async function get (_id: string | number, _lang?: string) { return ++calls })
    const first = [await get('7'), await get(7), await get('8'), await get('a:b', 'en')]
    t.same([await get('7'), await get(7), await get('8'), await get('a:b', 'en')], first)
    await cacheInvalidate({ keys: ['item:get:{0}'], manager: cache })((_id: string) => {})('7')
    t.not(await get('7'), first[0])
    t.not(await get(7), first[1])
    t.equal(await get('8'), first[2])
    await cacheInvalidate({ keys: ['item:get:{0}:{1}'], manager: cache })((_id: string, _lang: string) => {})('a:b', 'en')
    t.not(await get('a:b', 'en'), first[3])
  })
})

t.test('mistakes are told when the decorator is made', async (t) => {
  const unknown = (value: unknown): never => value as never
  t.throws(() => cached({ ttl: -1 }), { code: 'FST_ERR_CACHE_OPTION' })
  t.throws(() => cached(unknown({ tll: 1 })), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean ttl\?$/ })
  t.throws(() => cached({ keyPrefix: '' }), { code: 'FST_ERR_CACHE_OPTION' })
  t.throws(() => cached({ keyPrefix: 'a', key: 'b' }), { code: 'FST_ERR_CACHE_OPTION_CONFLICT' })
  t.throws(() => cached({ key: 'product:{product}' })(async (id: string) => id), { code: 'FST_ERR_CACHE_OPTION', message: /"product".*they are id/ })
  t.throws(() => cached({ key: 'a' })(unknown('text')), { code: 'FST_ERR_CACHE_DECORATOR' })
  t.throws(() => cached({ key: 'a' })(async () => 1, unknown({ kind: 'getter', name: 'x' })), { code: 'FST_ERR_CACHE_DECORATOR', message: /getter/ })
  t.throws(() => cacheInvalidate({}), { code: 'FST_ERR_CACHE_PURGE_EMPTY' })
  t.throws(() => cacheInvalidate({ keys: [] }), { code: 'FST_ERR_CACHE_PURGE_EMPTY' })
  t.throws(() => cacheInvalidate(unknown({ key: ['a'] })), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean keys\?$/ })
  t.throws(() => cacheInvalidate({ keys: unknown('a') })(async () => 1), { code: 'FST_ERR_CACHE_OPTION' })
  t.throws(() => cacheInvalidate({ keys: ['a[b'] })(async () => 1), { code: 'FST_ERR_CACHE_PATTERN' })
  await t.rejects(cached({ key: 'a', manager: unknown({}) })(async () => 1)(), { code: 'FST_ERR_CACHE_OPTION', message: /manager/ })
})

t.test('the cache of a call', async (t) => {
  const get = cached({ key: 'answer' })(async () => 42)
  t.test('is the one of getCacheManager() while no application runs', async (t) => {
    t.equal(await get(), 42)
    t.equal(await (await getCacheManager()).get('answer'), 42)
    await closeCacheManager()
  })
  t.test('is the one of the application that runs, and no longer when it has closed', async (t) => {
    const app = Fastify()
    await app.register(fastifyResponseCache)
    await app.ready()
    await get()
    t.equal(await app.cache.get('answer'), 42)
    await app.close()
    await get()
    t.equal(await (await getCacheManager()).get('answer'), 42)
    await closeCacheManager()
  })
  t.test('is not guessed among several applications', async (t) => {
    const apps = [Fastify(), Fastify()]
    for (const app of apps) await app.register(fastifyResponseCache)
    await t.rejects(get(), { code: 'FST_ERR_CACHE_MANAGER' })
    await apps[0]?.close()
    t.equal(await get(), 42)
    t.equal(await apps[1]?.cache.get('answer'), 42)
    await apps[1]?.close()
  })
  t.test('is one when applications share it, and a second cache of an application does not count', async (t) => {
    const manager = new CacheManager()
    const apps = [Fastify(), Fastify()]
    for (const app of apps) await app.register(fastifyResponseCache, { manager })
    await apps[0]?.register(fastifyResponseCache, { name: 'assets' })
    t.equal(await get(), 42)
    t.equal(await manager.get('answer'), 42)
    for (const app of apps) await app.close()
    await manager.close()
  })
  t.test('can be a namespace, found by a private member', async (t) => {
    const manager = new CacheManager()
    class Shop {
      readonly #cache = manager.namespace('shop')
      @cached({ key: 'x', manager: (self: Shop) => self.#cache })
      async x (): Promise<number> { return 1 }
    }
    t.equal(await new Shop().x(), 1)
    t.equal(await manager.get('shop:x'), 1)
    await manager.close()
  })
})

t.test('keys from arguments', async (t) => {
  const key = (...args: unknown[]): string => argumentKey(args, String)
  t.test('are the same for equal arguments, and only for them', async (t) => {
    const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.bigInt(), fc.constantFrom(undefined, NaN, -0, Infinity), fc.date({ noInvalidDate: true }))
    const given = (args: unknown[]): unknown => structuredClone(args.slice(0, args.findLastIndex((arg) => arg !== undefined) + 1))
    fc.assert(fc.property(fc.array(value, { maxLength: 3 }), fc.array(value, { maxLength: 3 }), (a, b) =>
      (key(...a) === key(...b)) === isDeepStrictEqual(given(a), given(b)) && key(...a) === key(...structuredClone(a))), { numRuns: 1000 })
    t.equal(key({ b: 1, a: [2] }), key({ a: [2], b: 1 }))
    t.equal(key(1, undefined), key(1))
    const different = [[1], ['1'], [1n], [true], ['true'], [null], ['null'], [undefined, 1], [[1]], ['[1]'], [1, 2], ['1,2'], [{}], [{ a: undefined }], [new Date(1)], ['Date(1)'], [-0], [0], [], ['']]
    t.equal(new Set(different.map((args) => key(...args))).size, different.length)
  })
  t.test('stay short', async (t) => {
    t.match(key('x'.repeat(2000)), /^sha256:[\w-]{43}$/)
    t.not(key('x'.repeat(2000)), key('x'.repeat(2001)))
  })
  t.test('refuse what text cannot show', async (t) => {
    const circle: unknown[] = []
    circle.push(circle)
    let deep: unknown = 1
    for (let depth = 0; depth < 100; depth++) deep = [deep]
    for (const value of [Symbol('x'), () => 1, new Map(), new (class Filter {})(), Buffer.from('x'), circle, deep, { [Symbol('x')]: 1 }, [{ a: new Set() }]]) {
      t.throws(() => key(value), { code: 'FST_ERR_CACHE_ARGUMENT' })
    }
    t.equal(key(Object.assign(Object.create(null), { a: 1 })), key({ a: 1 }))
  })
  t.test('in templates can neither forge a neighbour nor be a wildcard', async (t) => {
    const name = (text: string, ...args: unknown[]): string => parseTemplate('key', text, () => {})(args)
    t.equal(name('product:{0}', 42), 'product:42')
    t.equal(name('product:{0.id}:{1}', { id: 'a-b' }, true), 'product:a-b:true')
    fc.assert(fc.property(fc.string({ minLength: 1, unit: 'grapheme', maxLength: 600 }), fc.string({ minLength: 1, unit: 'grapheme' }), (a, b) => {
      const made = name('p:{0}', a)
      return !/[:*?[\]\\]/.test(made.slice(2)) && (a === b) === (made === name('p:{0}', b))
    }))
    t.match(name('p:{0}', '*'.repeat(3000)), /^p:%#[\w-]{43}$/)
    for (const value of ['', null, undefined, {}, [], Symbol('x')]) t.throws(() => name('{0}', value), { code: 'FST_ERR_CACHE_ARGUMENT' })
    t.throws(() => name('{0.constructor.name}', {}), { code: 'FST_ERR_CACHE_ARGUMENT' }, 'own members only')
  })
  t.test('know the names of parameters', async (t) => {
    const names = (source: string): unknown => parameterNames(runInThisContext(`(${source})`) as () => void)
    t.same(names('(a, b = "x,)", ...c) => 1'), ['a', 'b', 'c'])
    t.same(names('async a => a'), ['a'])
    t.same(names('async function f (a /* , x */, { b, c }, d = g(1, [2]), // e\n f) {}'), ['a', undefined, 'd', 'f'])
    t.same(names('({ async m (id, o = {}) {} }).m'), ['id', 'o'])
    t.same(names('() => 1'), [])
  })
})

t.test('a template with a brace that holds no argument is refused, for it would name the same for everybody', async (t) => {
  const ordersOf = async (userId: string): Promise<string> => `orders of ${userId}`
  for (const text of ['orders:{ userId }', 'orders:{userId', 'orders:userId}', 'orders:{}', 'orders:{userId.}', 'orders:{{userId}}']) {
    const refused = { code: 'FST_ERR_CACHE_OPTION', message: `is ${JSON.stringify(text)}, must be a text whose braces hold the name of an argument` }
    t.throws(() => cached({ key: text })(ordersOf), refused, text)
    t.throws(() => cacheInvalidate({ keys: [text] })(ordersOf), refused, text)
    t.throws(() => cacheInvalidate({ tags: [text] })(ordersOf), refused, text)
  }
  const manager = new CacheManager()
  t.teardown(async () => { await manager.close() })
  const page = cached({ manager, key: 'page:{0}' })(async (n: number) => n)
  t.equal(await page(1), 1)
  await t.rejects(page(Number.NaN), { code: 'FST_ERR_CACHE_ARGUMENT', message: /is NaN/ })
})
