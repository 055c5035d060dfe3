import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { applicationName } from '../../lib/application-name.ts'
import { CacheManager } from '../../lib/cache-manager.ts'
import type { CacheDeps } from '../../lib/compose.ts'
import { DEFAULT_CACHE_CONFIG, resolveConfig, type CacheConfig } from '../../lib/config.ts'
import { suggest } from '../../lib/nearest.ts'
import { resolvePluginOptions } from '../../plugins/options.ts'

const OPTION = { code: 'FST_ERR_CACHE_OPTION' }
const CONFLICT = { code: 'FST_ERR_CACHE_OPTION_CONFLICT' }

t.test('a URL names a database by its number, or none', async (t) => {
  for (const redisUrl of ['redis://h/zz', 'redis://h/1/2', 'redis://h/1?db=x', 'redis:h', 'http://h', 'redis://h:abc', 'redis://u:%zz@h']) {
    t.throws(() => resolveConfig({ redisUrl }), OPTION, redisUrl)
    t.throws(() => resolveConfig({}, { CACHE_REDIS_URL: redisUrl }), { ...OPTION, message: /^Option CACHE_REDIS_URL/ }, redisUrl)
  }
  for (const [redisUrl, db] of [['redis://h', 0], ['redis://h/', 0], ['rediss://u:p@h:6380/7', 7], ['redis://h?db=2', 2]] as const) {
    t.equal(resolveConfig({ redisUrl }).redisDb, db, redisUrl)
  }
})

t.test('redisDb and the URL do not contradict each other', async (t) => {
  const redisUrl = 'redis://u:SECRET@h/1'
  t.equal(resolveConfig({ redisUrl, redisDb: 1 }).redisDb, 1)
  t.equal(resolveConfig({ redisUrl: 'redis://h', redisDb: 3 }).redisDb, 3)
  t.throws(() => resolveConfig({ redisUrl, redisDb: 3 }), { ...CONFLICT, message: /redisDb: 3 .*\/\/\*\*\*@h\/1/ })
  t.throws(() => resolveConfig({ redisUrl, redisDb: 0 }), CONFLICT)
  t.throws(() => resolveConfig({ redisUrl }, { CACHE_REDIS_DB: '3' }), CONFLICT)
})

t.test('an application is known by the nearest package.json that has a name', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'response-cache-name-'))
  t.teardown(async () => { await rm(folder, { recursive: true }) })
  const at = (...path: string[]): string => join(folder, ...path)
  await mkdir(at('shop', 'dist', 'jobs'), { recursive: true })
  await mkdir(at('node_modules', 'tool'), { recursive: true })
  await writeFile(at('shop', 'package.json'), '{ "name": "@garden/shop" }')
  await writeFile(at('shop', 'dist', 'package.json'), '{ "type": "module" }')
  await writeFile(at('shop', 'dist', 'jobs', 'package.json'), 'no JSON')
  await writeFile(at('node_modules', 'tool', 'package.json'), '{ "name": "tool" }')
  t.equal(applicationName(at('shop', 'dist', 'jobs', 'nightly.js'), folder), '@garden/shop')
  t.equal(applicationName(at('node_modules', 'tool', 'run.js'), at('shop')), '@garden/shop', 'a tool runs the application of the working directory')
  t.equal(applicationName(undefined, at('shop')), '@garden/shop', 'so does node --eval')
  t.equal(applicationName(at('elsewhere.js'), at('shop')), undefined)
})

t.test('no message and no print shows a password', async (t) => {
  for (const [given, env] of [[{ redisUrl: 'redis://u:SECRET@127.0.0.1:abc' }, {}], [{}, { CACHE_REDIS_URL: 'redis://u:SECRET@127.0.0.1:abc' }], [{ redisPassword: ['SECRET'] }, {}]] as const) {
    try {
      resolveConfig(given as unknown as Partial<CacheConfig>, env)
      t.fail('accepted')
    } catch (error) {
      t.match(error, OPTION)
      t.notMatch(inspect(error), 'SECRET')
    }
  }
  const cache = new CacheManager({ redisUrl: 'redis://u:SECRET@h/1', redisPassword: 'SECRET' })
  t.teardown(async () => { await cache.close() })
  t.equal(cache.config.redisPassword, 'SECRET', 'whoever asks for it has it')
  for (const text of [cache, cache.config, { cache }].flatMap((value) => [JSON.stringify(value), inspect(value, { depth: 9 })])) {
    t.notMatch(text, 'SECRET')
    t.match(text, /\*\*\*@h\/1/)
  }
  t.same(resolveConfig(cache.config), cache.config, 'a configuration can be used again')
})

t.test('what a program brings along is looked at', async (t) => {
  for (const deps of [{ redis: 5 }, { redis: {} }, { redis: 'redis://u:SECRET@h:abc' }, { clock: 5 }, { clock: {} }, { random: 0.5 }, { serializer: {} }, { serializer: null }, { compression: 'gzip' }, { compression: { codec: 'lz4' } }, { compression: { codec: { name: 'br', compress () {}, decompress () {} } } }, { compression: { codec: { name: 'a b', compress () {}, decompress () {} } } }, { compression: { minBytes: -1 } }]) {
    const [name = ''] = Object.keys(deps)
    t.throws(() => new CacheManager({}, deps as unknown as CacheDeps), { ...OPTION, message: new RegExp(`^Option ${name}`) }, JSON.stringify(deps))
  }
})

t.test('what nobody can bring along is refused', async (t) => {
  t.throws(() => new CacheManager({}, { nonsense: 1 } as unknown as CacheDeps), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /^Option nonsense does not exist/ })
  t.throws(() => new CacheManager({}, { serialiser: {} } as unknown as CacheDeps), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean serializer\?$/ })
  const misspelt: Array<[redis: object, option: string]> = [
    [{ hosst: 'h' }, 'redis.hosst'],
    [{ cluster: [{ host: 'h', port: 1 }], option: {} }, 'redis.option'],
    [{ cluster: [{ host: 'h', port: 1 }], options: { scaleRead: 'slave' } }, 'redis.options.scaleRead'],
    [{ cluster: [{ host: 'h', port: 1 }], options: { redisOptions: { pasword: 'SECRET' } } }, 'redis.options.redisOptions.pasword']
  ]
  t.throws(() => new CacheManager({}, { redis: { sentinels: [{ host: 'h', port: 26379 }] } }), { ...OPTION, message: /^Option redis\.name is undefined, must be the name by which the sentinels know the master/ })
  for (const [redis, option] of misspelt) t.throws(() => new CacheManager({}, { redis }), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: new RegExp(`^Option ${option} does not exist`) })
})

t.test('how to compress and not to compress exclude each other, and options that compression does not have are refused', async (t) => {
  t.throws(() => new CacheManager({ enableCompression: false }, { compression: { codec: 'gzip' } }), { ...CONFLICT, message: /^Options compression and enableCompression: false/ })
  t.throws(() => new CacheManager({}, { compression: { threshold: 1 } } as unknown as CacheDeps), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /^Option compression\.threshold does not exist/ })
})

t.test('what has no options is told from options', async (t) => {
  const cache = new CacheManager({ strategy: 'memory' })
  t.teardown(async () => { await cache.close() })
  t.throws(() => new CacheManager('memory' as unknown as object), { ...OPTION, message: 'Option options is "memory", must be an object' })
  await t.rejects(cache.invalidate(['a'] as unknown as object), { ...OPTION, message: /^Option purge is/ })
  await t.rejects(cache.entries('b*' as unknown as object).next(), OPTION)
  await t.rejects(cache.entries({ pattern: 5 } as unknown as object).next(), { code: 'FST_ERR_CACHE_PATTERN' })
  await t.rejects(cache.setMany([{ key: 'a', value: 1 }] as unknown as Array<[string, number]>), { ...OPTION, message: /^Option items is .*, must be pairs of a key and a value/ })
  for (const tags of [() => 'x', () => undefined]) await t.rejects(cache.getOrSet('k', () => 1, { tags } as unknown as object), { ...OPTION, message: /^Option tags is a function that answered ("x"|undefined), must be/ })
})

t.test('where Redis is can be said once', async (t) => {
  for (const given of [{ redisUrl: 'redis://h' }, { redisDb: 1 }, { redisPassword: 'SECRET' }]) {
    const [name = ''] = Object.keys(given)
    t.throws(() => new CacheManager(given, { redis: 'redis://h' }), { ...CONFLICT, message: `Options redis and ${name} do not go together: both say where Redis is, and how to get in` })
  }
  const cache = new CacheManager({ strategy: 'redis', redisPassword: null }, { redis: 'redis://127.0.0.1:1' })
  t.ok(cache.parts.connection, 'nothing is said with null')
  await cache.close()
})

t.test('memory beside a Redis is a contradiction, unless only the environment says so', async (t) => {
  const redis = (deps: CacheDeps, given: Partial<CacheConfig> = {}) => () => new CacheManager({ strategy: 'memory', ...given }, deps)
  const message = (option: string): string => `Options strategy: "memory" and ${option} do not go together: memory knows no Redis; "hybrid" and "redis" do`
  t.throws(redis({ redis: 'redis://h' }), { ...CONFLICT, message: message('redis') })
  for (const given of [{ redisUrl: 'redis://:SECRET@h' }, { redisDb: 1 }, { redisPassword: 'SECRET' }, { redisRequired: true }]) {
    t.throws(redis({}, given), { ...CONFLICT, message: message(String(Object.keys(given)[0])) })
  }
  t.throws(() => resolvePluginOptions({ strategy: 'memory', redisNamespace: 'cache' }), { ...CONFLICT, message: 'Options strategy: "memory" and redisNamespace do not go together: memory has no connection to lend' })

  const env = { CACHE_REDIS_URL: 'redis://h', CACHE_REDIS_REQUIRED: 'true', CACHE_STRATEGY: 'memory' }
  const before = { ...process.env }
  t.teardown(() => { process.env = before })
  Object.assign(process.env, { ...env, CACHE_STRATEGY: '' })
  const caches = [redis({})(), redis({}, { ...DEFAULT_CACHE_CONFIG, strategy: 'memory' })()]
  Object.assign(process.env, env)
  caches.push(new CacheManager({ redisUrl: 'redis://h' }, {}), new CacheManager({}, { redis: 'redis://h' }), new CacheManager(resolveConfig({ strategy: 'memory' }, env)))
  for (const cache of caches) {
    t.equal(cache.config.strategy, 'memory')
    t.equal(cache.parts.connection, undefined)
    await cache.close()
  }
})

t.test('milliseconds are not taken for the seconds that every request may wait', async (t) => {
  t.throws(() => resolveConfig({ redisTimeout: 200 }), { code: 'FST_ERR_CACHE_OPTION', message: 'Option redisTimeout is 200, must be a number of seconds, above 0 and at most 60' })
  t.equal(resolveConfig({ redisTimeout: 60 }).redisTimeout, 60)
})

t.test('a name that is none is answered with the one that was meant', async (t) => {
  for (const [typo, meant] of [['memoryMaxsize', 'memoryMaxSize'], ['memory_ttl', 'memoryTtl'], ['redisTLL', 'redisTtl'], ['stratgey', 'strategy'], ['staleWhile', 'staleWhileRevalidate']] as const) {
    t.throws(() => resolveConfig({ [typo]: 1 }), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: `Option ${typo} does not exist. Did you mean ${meant}?` })
  }
  t.equal(suggest('tll', ['tags', 'ttl']), 'Did you mean ttl?')
  t.equal(suggest('x', ['tags', 'ttl']), 'Known are tags, ttl')
  t.equal(suggest('ttl', ['memoryTtl', 'redisTtl', 'tags']), 'Did you mean memoryTtl or redisTtl?')
})

t.test('the plugin is as particular about its options', async (t) => {
  for (const [typo, meant] of [['memoryMaxsize', 'memoryMaxSize'], ['memoryTTL', 'memoryTtl'], ['cacheState', 'cacheStatus']] as const) {
    t.throws(() => resolvePluginOptions({ [typo]: 1 }), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: `Option ${typo} does not exist. Did you mean ${meant}?` })
  }
  for (const [given, meant] of [[{ admin: { tokn: 'x' } }, 'token'], [{ warmup: { path: [] } }, 'paths'], [{ monitor: { intervall: 1 } }, 'interval'], [{ monitor: { alertThresholds: { hitrate: 1 } } }, 'hitRate'], [{ monitor: { webhook: { url: 'http://h', header: {} } } }, 'headers']] as const) {
    t.throws(() => resolvePluginOptions(given as object), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: new RegExp(`Did you mean ${meant}\\?$`) })
  }
  for (const given of [{ manager: {} }, { manager: 5 }, { registry: {} }, { registry: 'prom' }]) {
    const [[name, value] = []] = Object.entries(given)
    t.throws(() => resolvePluginOptions(given as object), { ...OPTION, message: `Option ${String(name)} is ${JSON.stringify(value)}, must be ${name === 'manager' ? 'a CacheManager' : 'a Registry of prom-client'}` })
  }
  for (const name of ['url', 'method', 'my-cache']) t.throws(() => resolvePluginOptions({ name }), { ...OPTION, message: /^Option name is/ }, 'Fastify has other plans for it')
  for (const option of ['redis', 'serializer', 'compression', 'clock', 'random', 'memoryTtl']) t.throws(() => resolvePluginOptions({ manager: new CacheManager({ strategy: 'memory' }), [option]: {} }), { ...CONFLICT, message: new RegExp(`^Options manager and ${option} `) })
  t.equal(resolvePluginOptions({ clock: 0 } as object).deps.clock, 0, 'what is given is handed on, to be refused where it is used')
})

t.test('a value that JSON has no form for is shown by its kind', (t) => {
  for (const [value, shown] of [[Promise.resolve(5), '[object Promise]'], [new Map([[1, 2]]), '[object Map]'], [{}, '{}'], [Object.create(null), '{}'], [10n, '10n']] as const) {
    t.throws(() => resolveConfig({ memoryTtl: value as never }), { code: 'FST_ERR_CACHE_OPTION', message: `Option memoryTtl is ${shown}, must be` })
  }
  t.end()
})
