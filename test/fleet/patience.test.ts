import Fastify, { type FastifyInstance } from 'fastify'
import cache, { CacheManager, type CachePluginOptions } from 'fastify-response-cache'
import t from 'tap'
import { deferred, turns, type Deferred } from '../support/cached-app.ts'
import { fakeClock, type FakeClock } from '../support/fake-clock.ts'
import { startRedis } from '../support/redis-server.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { onRedis } from '../support/until.ts'

/*
 * How long somebody waits for a Redis that falls silent. The Redis is a real one, and frozen; the deadline is counted by a
 * clock that moves by hand: what needs a second deadline does not end after one, however slow or fast the machine is.
 */
const DEADLINE_MS = 200
const SOFT_TIMEOUT_MS = 2000

process.on('unhandledRejection', (error) => { t.fail('unhandled rejection', { error }) })

type Test = Parameters<Parameters<typeof t.test>[0]>[0]

const server = await startRedis()
t.teardown(async () => { await server.stop() })
let apps = 0

interface Scene { readonly app: FastifyInstance, readonly clock: FakeClock, readonly handlers: Array<Deferred<void>>, readonly runs: () => number }

/** An app on a Redis that is well. Its handlers wait to be let go. */
async function open (t: Test, options: CachePluginOptions = {}): Promise<Scene> {
  const clock = fakeClock()
  const app = Fastify()
  const handlers: Array<Deferred<void>> = []
  let runs = 0
  await app.register(cache, { strategy: 'hybrid', clock, redisUrl: server.url, redisPrefix: `patience${++apps}:`, redisTimeout: DEADLINE_MS / 1000, random: () => 0, metrics: false, ...options })
  for (const [url, vary, softTimeout] of [['/plain'], ['/varied', 'accept-language'], ['/impatient', undefined, SOFT_TIMEOUT_MS / 1000]] as const) {
    app.get(url, { config: { cache: { ttl: 60, ...softTimeout !== undefined && { softTimeout, staleWhileRevalidate: 0 } } } }, async (_request, reply) => {
      const gate = deferred()
      handlers.push(gate)
      if (vary !== undefined) reply.header('vary', vary)
      await gate.promise
      return { run: ++runs }
    })
  }
  app.get<{ Params: { asks: string } }>('/asking/:asks', { config: { cache: { ttl: 60 } } }, async ({ params, query }) => {
    if ('slowly' in (query as object)) {
      const gate = deferred()
      handlers.push(gate)
      await gate.promise
    }
    const answers: number[] = []
    for (let n = 0; n < Number(params.asks); n++) answers.push(await app.cache.getOrSet(`asked ${n}`, () => n))
    return answers
  })
  t.teardown(async () => {
    server.thaw()
    const closing = app.close()
    await turns()
    clock.advance(10_000)
    await closing
  })
  return { app, clock, handlers, runs: () => runs }
}

/** From now on each read of the store waits for its gate. */
function heldReads (app: FastifyInstance): Array<Deferred<void>> {
  const { store } = app.cache.parts
  const read = store.read.bind(store)
  const gates: Array<Deferred<void>> = []
  store.read = async (key) => {
    const gate = deferred()
    gates.push(gate)
    await gate.promise
    return await read(key)
  }
  return gates
}

async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await turns(1)
}

/** Whether it ends without another moment passing on the clock. What a frozen Redis delays never does. */
async function isOver (promise: Promise<unknown>): Promise<boolean> {
  return await Promise.race([promise.then(() => true, () => true), turns(250).then(() => false)])
}

for (const url of ['/plain', '/varied']) {
  t.test(`${url}: who waits for the response of another is not kept by its way into Redis`, async (t) => {
    const { app, handlers, runs } = await open(t)
    const asked = Array.from({ length: 5 }, async () => await app.inject(url))
    await until(() => handlers.length === 1 && app.cache.getStats().coalescedLoads === 4)
    server.freeze()
    handlers[0]?.resolve()
    const answers = await Promise.all(asked)
    t.same(answers.map(({ body }) => body), answers.map(() => '{"run":1}'), 'without any time passing')
    t.equal(runs(), 1)
    t.match((await app.inject(url)).headers['cache-status'], /hit/)
  })
}

t.test('with Redis as the only store they wait for it as long as everybody does', async (t) => {
  const { app, clock, handlers } = await open(t, { strategy: 'redis' })
  const asked = Promise.all(Array.from({ length: 3 }, async () => await app.inject('/plain')))
  await until(() => handlers.length === 1 && app.cache.getStats().coalescedLoads === 2)
  server.freeze()
  handlers[0]?.resolve()
  t.notOk(await isOver(asked))
  clock.advance(DEADLINE_MS)
  await until(() => handlers.length === 3)
  for (const handler of handlers) handler.resolve()
  t.same((await asked).map(({ statusCode }) => statusCode), [200, 200, 200])
})

for (const strategy of ['hybrid', 'redis'] as const) {
  t.test(`${strategy}: a request costs one deadline, whatever it asks Redis`, async (t) => {
    const { app, clock, handlers } = await open(t, { strategy })
    server.freeze()
    const asked = app.inject('/plain')
    t.notOk(await isOver(asked))
    clock.advance(DEADLINE_MS)
    await until(() => handlers.length === 1)
    handlers[0]?.resolve()
    t.equal((await asked).statusCode, 200)
  })

  for (const asks of [1, 5]) {
    t.test(`${strategy}: so does one whose handler asks ${asks} times`, async (t) => {
      const { app, clock } = await open(t, { strategy })
      server.freeze()
      const asked = app.inject(`/asking/${asks}`)
      t.notOk(await isOver(asked))
      clock.advance(DEADLINE_MS)
      t.ok(await isOver(asked))
      t.same((await asked).json(), Array.from({ length: asks }, (_, n) => n))
    })
  }

  t.test(`${strategy}: a handler that is the first to notice that Redis is silent waits for one deadline, whatever it asks`, async (t) => {
    const { app, clock, handlers } = await open(t, { strategy })
    const asked = app.inject('/asking/5?slowly')
    await until(() => handlers.length === 1)
    server.freeze()
    handlers[0]?.resolve()
    t.notOk(await isOver(asked))
    clock.advance(DEADLINE_MS)
    t.ok(await isOver(asked))
  })

  t.test(`${strategy}: who waits for the load of another process finds out within one deadline that Redis is silent`, async (t) => {
    const [here, there] = [await open(t, { strategy, redisPrefix: `lease-${strategy}:` }), await open(t, { strategy, redisPrefix: `lease-${strategy}:` })]
    const asked = here.app.inject('/plain')
    await until(() => here.handlers.length === 1)
    const waiting = there.app.inject('/plain')
    t.notOk(await isOver(waiting))
    server.freeze()
    t.equal(there.handlers.length, 0)
    // It looks every 50 ms at the latest, and one of these looks is not answered.
    for (let spentMs = 0; spentMs < 100 + DEADLINE_MS; spentMs += 50) {
      there.clock.advance(50)
      await turns(20)
    }
    await until(() => there.handlers.length === 1)
    for (const handler of [...here.handlers, ...there.handlers]) handler.resolve()
    t.equal((await waiting).statusCode, 200)
    t.equal((await asked).statusCode, 200)
  })

  t.test(`${strategy}: getOrSet has one deadline of patience in all, before the load and after it`, async (t) => {
    const { app, clock } = await open(t, { strategy })
    server.freeze()
    const first = app.cache.getOrSet('silent before', () => 1)
    t.notOk(await isOver(first))
    clock.advance(DEADLINE_MS)
    t.equal(await first, 1)

    server.thaw()
    const other = await open(t, { strategy })
    const gate = deferred()
    let loading = false
    const second = other.app.cache.getOrSet('silent after', async () => {
      loading = true
      await gate.promise
      return 2
    })
    await until(() => loading)
    server.freeze()
    gate.resolve()
    t.notOk(await isOver(second))
    other.clock.advance(DEADLINE_MS)
    t.equal(await second, 2)
  })

  for (const [name, change] of Object.entries<(cache: CacheManager) => Promise<unknown>>({
    set: async (cache) => await cache.set('k', 1),
    delete: async (cache) => await cache.delete('k'),
    'invalidate, by key': async (cache) => await cache.invalidate({ keys: ['k'] })
  })) {
    t.test(`${strategy}: ${name} costs one deadline`, async (t) => {
      const { app, clock } = await open(t, { strategy })
      server.freeze()
      const changed = change(app.cache)
      t.notOk(await isOver(changed))
      clock.advance(DEADLINE_MS)
      t.ok(await isOver(changed))
      if (strategy === 'hybrid') t.equal(await app.cache.get('k'), name === 'set' ? 1 : undefined)
    })
  }
}

t.test('closing waits for what getOrSet left behind', async (t) => {
  const { app, clock } = await open(t)
  const { store } = app.cache.parts
  const gate = deferred()
  const write = store.write.bind(store)
  let writing = false
  store.write = async (...fill) => {
    writing = true
    await gate.promise
    return await write(...fill)
  }
  const value = app.cache.getOrSet('slow to store', () => 1)
  await until(() => writing)
  t.notOk(await isOver(value))
  clock.advance(DEADLINE_MS)
  t.equal(await value, 1)
  const closed = app.cache.close()
  t.notOk(await isOver(closed))
  gate.resolve()
  await closed
})

t.test('strict: who asks after a purge elsewhere does not share a load that began before it', async (t) => {
  const settings = { strategy: 'hybrid', consistency: 'strict', redisUrl: server.url, redisPrefix: 'patience-strict:', redisTimeout: 10 } as const
  const [here, there] = [new CacheManager(settings), new CacheManager(settings)]
  await Promise.all([here.initialize(), there.initialize()])
  await onRedis(here, there)
  t.teardown(async () => { await Promise.all([here.close(), there.close()]) })
  let price = 'old'
  for (let round = 0; round < 20; round++) {
    price = 'old'
    const gate = deferred()
    let loading = false
    const early = here.getOrSet('price', async () => {
      const read = price
      loading = true
      await gate.promise
      return read
    })
    await until(() => loading)
    price = 'new'
    await there.invalidate({ keys: ['price'] })
    const late = here.getOrSet('price', () => price)
    await turns()
    gate.resolve()
    t.equal(await early, 'old')
    t.equal(await late, 'new')
    await here.invalidate({ keys: ['price'] })
  }
})

t.test('strict: who is cut off shares no load that began before they asked, and what they load themselves is shared', async (t) => {
  const proxy = await startTcpProxy(server.port)
  const settings = { strategy: 'hybrid', consistency: 'strict', redisPrefix: 'patience-cut-off:', redisTimeout: 10 } as const
  const [here, there] = [new CacheManager({ ...settings, redisUrl: proxy.url }), new CacheManager({ ...settings, redisUrl: server.url })]
  await Promise.all([here.initialize(), there.initialize()])
  await onRedis(here, there)
  t.teardown(async () => {
    await Promise.all([here.close(), there.close()])
    await proxy.close()
  })
  let price = 'old'
  let loads = 0
  const gates = [deferred(), deferred()]
  const load = async (): Promise<string> => {
    const read = price
    await gates[loads++]?.promise
    return read
  }
  const early = here.getOrSet('price', load)
  await until(() => loads === 1)
  proxy.mode = 'refuse'
  await until(() => here.parts.connection?.ready === false)
  price = 'new'
  t.same(await there.invalidate({ keys: ['price'] }), { reach: 'everywhere' })
  const late = [here.getOrSet('price', load), here.getOrSet('price', load), here.getOrSetMany(['price'], async () => [await load()])]
  await until(() => here.getStats().coalescedLoads === 3)
  gates[0]?.resolve()
  t.equal(await early, 'old')
  await until(() => loads === 2)
  gates[1]?.resolve()
  t.same((await Promise.all(late)).flat(), ['new', 'new', 'new'])
  t.equal(loads, 2)
})

t.test('a batch does not wait with its own load for a key that another instance loads', async (t) => {
  const managers = await Promise.all([1, 2].map(async () => await new CacheManager({ strategy: 'hybrid', redisUrl: server.url, redisPrefix: 'batch:', redisTimeout: 10 }).initialize()))
  t.teardown(async () => { await Promise.all(managers.map(async (manager) => { await manager.close() })) })
  await onRedis(...managers)
  const [here, there] = managers as [CacheManager, CacheManager]
  const gate = deferred<string>()
  let begun = false
  const single = there.getOrSet('b', async () => {
    begun = true
    return await gate.promise
  })
  await until(() => begun)
  const asked: string[][] = []
  const batch = here.getOrSetMany(['b', 'a', 'c'], (keys) => {
    asked.push([...keys])
    return keys.map((key) => `${key} here`)
  })
  await until(() => asked.length > 0)
  t.same(asked.map((keys) => [...keys].sort()), [['a', 'c']])
  gate.resolve('b there')
  t.same(await batch, ['b there', 'a here', 'c here'])
  t.equal(await single, 'b there')
})

t.test('a list of variants and the variant itself share one deadline', async (t) => {
  const { app, clock, handlers } = await open(t, { strategy: 'redis' })
  const first = app.inject('/varied')
  await until(() => handlers.length === 1)
  handlers[0]?.resolve()
  await first
  await until(() => app.cache.getStats().sets === 1)
  const reads = heldReads(app)
  const asked = app.inject('/varied')
  await until(() => reads.length === 1)
  clock.advance(DEADLINE_MS - 50)
  reads[0]?.resolve()
  await until(() => reads.length === 2)
  clock.advance(50)
  await until(() => handlers.length === 2)
  handlers[1]?.resolve()
  t.match((await asked).headers['cache-status'], /vary-miss/)
})

t.test('who waits for the load of another spends one deadline on Redis, before it and after it', async (t) => {
  const { app, clock, handlers } = await open(t, { strategy: 'redis' })
  const reads = heldReads(app)
  const asked = [app.inject('/plain'), app.inject('/plain')] as const
  await until(() => reads.length === 2)
  clock.advance(DEADLINE_MS - 50)
  for (const gate of reads) gate.resolve()
  // The first one looks once more, under its lease.
  await until(() => reads.length === 3 && app.cache.getStats().coalescedLoads === 1)
  reads[2]?.resolve()
  await until(() => handlers.length === 1)
  // However long the handler takes, that is not the time of Redis.
  clock.advance(2 * DEADLINE_MS)
  handlers[0]?.resolve()
  t.equal((await asked[0]).statusCode, 200)
  // It is stored where no variants are known.
  await until(() => reads.length === 4)
  reads[3]?.resolve()
  await until(() => reads.length === 5)
  t.notOk(await isOver(asked[1]))
  t.equal(handlers.length, 1)
  clock.advance(50)
  await until(() => handlers.length === 2)
  handlers[1]?.resolve()
  t.match((await asked[1]).headers['cache-status'], /collapsed=\?0/)
})

t.test('who may be served something stale meanwhile spends one deadline on Redis, before the wait for the handler and after it', async (t) => {
  const { app, clock, handlers } = await open(t, { strategy: 'redis' })
  const first = app.inject('/impatient')
  await until(() => handlers.length === 1)
  handlers[0]?.resolve()
  await first
  await until(() => app.cache.getStats().sets === 1)
  clock.advance(61_000)
  await onRedis(app.cache)
  const reads = heldReads(app)
  const asked = app.inject('/impatient')
  await until(() => reads.length === 1)
  clock.advance(DEADLINE_MS - 50)
  reads[0]?.resolve()
  // The refresh looks for itself, and once more under its lease.
  for (const look of [1, 2]) {
    await until(() => reads.length === look + 1)
    reads[look]?.resolve()
  }
  await until(() => handlers.length === 2)
  clock.advance(SOFT_TIMEOUT_MS)
  await until(() => reads.length === 4)
  t.notOk(await isOver(asked))
  t.equal(handlers.length, 2)
  clock.advance(50)
  await until(() => handlers.length === 3)
  for (const handler of handlers) handler.resolve()
  t.equal((await asked).statusCode, 200)
})

t.test('what was purged while somebody waited does not stand in for a failure, though Redis no longer says so', async (t) => {
  const { app, clock, handlers } = await open(t, { strategy: 'redis' })
  const first = app.inject('/plain')
  await until(() => handlers.length === 1)
  handlers[0]?.resolve()
  await first
  await until(() => app.cache.getStats().sets === 1)
  // Past fresh and past stale-while-revalidate.
  clock.advance(75_000)
  await onRedis(app.cache)
  const { store } = app.cache.parts
  const read = store.read.bind(store)
  let silent = false
  store.read = async (key) => silent ? await new Promise(() => {}) : await read(key)
  const asked = [app.inject('/plain'), app.inject('/plain')] as const
  await until(() => handlers.length === 2 && app.cache.getStats().coalescedLoads === 1)
  await app.cache.invalidate({ paths: ['/plain'] })
  silent = true
  handlers[1]?.resolve()
  t.equal((await asked[0]).statusCode, 200)
  // Redis has its chance to take what the other one has, and then to be asked for it.
  for (const what of ['stored', 'read']) {
    t.notOk(await isOver(asked[1]), what)
    t.equal(handlers.length, 2)
    clock.advance(DEADLINE_MS)
  }
  await until(() => handlers.length === 3)
  handlers[2]?.reject(new Error('the database is away'))
  t.equal((await asked[1]).statusCode, 500)
})

t.test('the variants of a URL do not wait for each other in the fleet, and each is loaded once', async (t) => {
  const running: Array<{ readonly language: string, readonly finish: () => void }> = []
  let version = 1
  const apps = await Promise.all(Array.from({ length: 3 }, async () => {
    const app = Fastify()
    await app.register(cache, { strategy: 'hybrid', consistency: 'strict', redisUrl: server.url, redisPrefix: 'patience-variants:', redisTimeout: 10, coalesceTimeout: 60, metrics: false })
    app.get('/page', { config: { cache: { ttl: 60, tags: ['page'] } } }, async (request, reply) => {
      const answer = { language: request.headers['accept-language'], version }
      const gate = deferred()
      running.push({ language: String(answer.language), finish: gate.resolve })
      await gate.promise
      reply.header('vary', 'accept-language')
      return answer
    })
    await app.ready()
    t.teardown(async () => { await app.close() })
    await onRedis(app.cache)
    return app
  }))
  const [one, two, three] = apps as [FastifyInstance, FastifyInstance, FastifyInstance]
  const ask = async (app: FastifyInstance, language: string): Promise<unknown> => (await app.inject({ url: '/page', headers: { 'accept-language': language } })).json()
  const runs = (language: string): typeof running => running.filter((run) => run.language === language)
  const begun = async (language: string, count: number): Promise<void> => { await until(() => runs(language).length >= count) }
  const finish = (language: string): void => { runs(language).at(-1)?.finish() }

  // Nobody knows yet that there are variants.
  const german = ask(one, 'de')
  await begun('de', 1)
  const english = [ask(two, 'en'), ask(three, 'en')]
  finish('de')
  await german
  await begun('en', 1)
  english.push(ask(one, 'en'))
  finish('en')
  t.same(await Promise.all(english), Array.from({ length: 3 }, () => ({ language: 'en', version: 1 })))
  t.same([runs('de').length, runs('en').length], [1, 1])

  version = 2
  t.same(await one.cache.invalidate({ tags: ['page'] }), { reach: 'everywhere' })
  const both = [ask(one, 'de'), ask(two, 'en'), ask(three, 'en'), ask(three, 'de')]
  await Promise.all([begun('de', 2), begun('en', 2)])
  finish('en')
  finish('de')
  t.same((await Promise.all(both)).map((answer) => (answer as { version: number }).version), [2, 2, 2, 2])
  t.same([runs('de').length, runs('en').length], [2, 2], 'side by side, each of them once')

  version = 3
  await one.cache.invalidate({ tags: ['page'] })
  const overtaken = ask(one, 'en')
  await begun('en', 3)
  version = 4
  await two.cache.invalidate({ paths: ['/page'] })
  const late = ask(three, 'en')
  finish('en')
  t.same(await overtaken, { language: 'en', version: 3 })
  await begun('en', 4)
  finish('en')
  t.same(await late, { language: 'en', version: 4 })
  t.same(await Promise.all(apps.map(async (app) => await ask(app, 'en'))), apps.map(() => ({ language: 'en', version: 4 })), 'what a purge has overtaken is nowhere')
})
