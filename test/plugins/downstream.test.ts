import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import cache, { CacheManager, type CachePluginOptions, type HandedPurge } from '../../plugins/index.ts'
import { cachedApp, cacheStatus, deferred, turns } from '../support/cached-app.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { startRedis } from '../support/redis-server.ts'
import { onRedis } from '../support/until.ts'

const list = { items: Array.from({ length: 400 }, (_, id) => ({ id, title: `Product ${id}`, sku: (id * 2654435761 % 2 ** 32).toString(36) })) }
const text = JSON.stringify(list)

const decoded = ({ headers, rawPayload }: LightMyRequestResponse): string => {
  const coding = headers['content-encoding']
  return (coding === 'br' ? brotliDecompressSync(rawPayload) : coding === 'gzip' ? gunzipSync(rawPayload) : rawPayload).toString()
}

/** Requests `/list` until it is answered from the store. */
async function stored (t: Test, app: FastifyInstance, url = '/list'): Promise<LightMyRequestResponse> {
  await app.inject(url)
  const hit = await app.inject(url)
  t.match(cacheStatus(hit), /^hit|;collapsed$/)
  return hit
}

t.test('a precompressed response goes out in the coding that each client likes best', async (t) => {
  const { app } = await cachedApp()
  app.get('/list', { config: { cache: { precompress: ['br', 'gzip'] } } }, async () => list)
  const miss = await app.inject({ url: '/list', headers: { 'accept-encoding': 'br' } })
  t.equal(miss.headers['content-encoding'], undefined, 'whoever gets it first does not wait for a compressor')
  t.equal(miss.headers.vary, 'Accept-Encoding')
  const plain = await stored(t, app)
  t.match(plain.headers, { vary: 'Accept-Encoding', etag: miss.headers.etag, 'content-length': String(text.length) })
  for (const [accept, coding] of [['br', 'br'], ['gzip, deflate, br', 'br'], ['gzip', 'gzip'], ['br;q=0.5, gzip', 'gzip'], ['*', 'br'], ['br;q=0, *', 'gzip'], ['deflate', undefined], ['identity, br;q=0.1', undefined], ['br;q=0, gzip;q=0', undefined], ['', undefined], ['gzip;q=9', undefined]] as const) {
    const hit = await app.inject({ url: '/list', headers: { 'accept-encoding': accept } })
    t.equal(hit.headers['content-encoding'], coding, `Accept-Encoding: ${accept}`)
    t.equal(decoded(hit), text)
    t.match(cacheStatus(hit), /^hit;ttl=/)
    t.match(hit.headers, { vary: 'Accept-Encoding', 'content-type': /json/, 'content-length': String(hit.rawPayload.length) })
    if (coding !== undefined) t.ok(hit.rawPayload.length < text.length / 2)
  }
  t.equal(app.cache.getStats().loads, 1)
  await app.close()
})

t.test('each coding has an entity-tag of its own, and each of them is recognised', async (t) => {
  const { app } = await cachedApp()
  app.get('/list', { config: { cache: { precompress: ['br', 'gzip'] } } }, async () => list)
  app.get('/strong', { config: { cache: { precompress: ['gzip'] } } }, async (_request, reply) => await reply.header('etag', '"v1"').header('accept-ranges', 'bytes').send(list))
  const plain = await stored(t, app)
  const as = async (headers: Record<string, string>, url = '/list', method: 'GET' | 'HEAD' = 'GET'): Promise<LightMyRequestResponse> => await app.inject({ url, method, headers })
  const tags = [plain, await as({ 'accept-encoding': 'br' }), await as({ 'accept-encoding': 'gzip' })].map(({ headers }) => String(headers.etag))
  t.equal(new Set(tags).size, 3)
  for (const tag of tags) {
    for (const accept of ['br', 'gzip', 'identity']) {
      const answer = await as({ 'if-none-match': tag, 'accept-encoding': accept })
      t.equal(answer.statusCode, 304, `${tag} for a client that accepts ${accept}`)
      t.match(answer.headers, { etag: tag, vary: 'Accept-Encoding', 'content-encoding': undefined }, 'and the client is told which of its copies is still good')
    }
  }
  t.equal((await as({ 'if-none-match': 'W/"other-br"', 'accept-encoding': 'br' })).statusCode, 200)
  t.match((await as({ 'if-none-match': '*', 'accept-encoding': 'br' })).headers, { etag: tags[1] })
  for (const tag of tags) {
    await app.cache.invalidate({ paths: ['/list'] })
    const answer = await as({ 'if-none-match': tag })
    t.match([answer.statusCode, cacheStatus(answer), answer.headers.etag], [304, /^fwd=uri-miss.*stored/, tag], `${tag} on a miss`)
  }
  await stored(t, app)

  const head = await as({ 'accept-encoding': 'br' }, '/list', 'HEAD')
  const full = await as({ 'accept-encoding': 'br' })
  t.match(head.headers, { 'content-encoding': 'br', etag: tags[1], 'content-length': full.headers['content-length'] })
  t.equal(head.body, '')

  await stored(t, app, '/strong')
  const coded = await as({ 'accept-encoding': 'gzip' }, '/strong')
  t.match(coded.headers, { etag: 'W/"v1-gzip"', 'content-encoding': 'gzip', 'accept-ranges': undefined })
  const part = await as({ 'accept-encoding': 'gzip', range: 'bytes=0-9' }, '/strong')
  t.match([part.statusCode, part.body, part.headers], [206, text.slice(0, 10), { etag: '"v1"', 'content-encoding': undefined, 'content-range': `bytes 0-9/${text.length}` }], 'parts are parts of the body as it was stored')
  t.match((await as({ 'accept-encoding': 'gzip', range: 'bytes=0-9', 'if-range': 'W/"v1-gzip"' }, '/strong')), { statusCode: 200, headers: { 'content-encoding': 'gzip' } })
  t.equal((await as({ 'accept-encoding': 'gzip', range: 'bytes=0-9', 'if-range': '"v1"' }, '/strong')).statusCode, 206)
  await app.close()
})

t.test('what must not or need not be compressed is stored as it came', async (t) => {
  const { app } = await cachedApp({ precompress: ['gzip'] })
  const noise = randomBytes(3000)
  const answers: Record<string, (reply: { header: (name: string, value: string) => unknown }) => unknown> = {
    short: () => 'x'.repeat(1000),
    image: (reply) => { reply.header('content-type', 'image/png'); return text },
    untransformed: (reply) => { reply.header('cache-control', 'max-age=60, no-transform'); return list },
    digested: (reply) => { reply.header('content-digest', 'sha-256=:AAAA:'); return list },
    coded: (reply) => { reply.header('content-encoding', 'x-own'); reply.header('content-type', 'text/plain'); return Buffer.from(text) },
    noise: (reply) => { reply.header('content-type', 'text/plain'); return noise }
  }
  for (const [name, answer] of Object.entries(answers)) app.get(`/${name}`, { config: { cache: true } }, async (_request, reply) => answer(reply))
  app.get('/off', { config: { cache: { precompress: [] } } }, async () => list)
  for (const name in answers) {
    const headers = { 'accept-encoding': 'gzip' }
    const miss = await app.inject({ url: `/${name}`, headers })
    const hit = await app.inject({ url: `/${name}`, headers })
    t.match(cacheStatus(hit), /^hit|;collapsed$/, name)
    t.ok(hit.headers['content-encoding'] !== 'gzip', name)
    t.ok(hit.rawPayload.equals(miss.rawPayload), name)
  }
  t.equal((await stored(t, app, '/off')).headers.vary, undefined, 'a route can do without')
  await app.close()
  for (const precompress of [['deflate'], ['br', 'br'], 'br', true]) {
    await t.rejects(cachedApp({ precompress: precompress as never }), { code: 'FST_ERR_CACHE_OPTION', message: /precompress is .*must be an array of "br" and "gzip"/ })
  }
})

t.test('coded bodies are accounted for, go with a purge, and are left out where they do not fit', async (t) => {
  const { app } = await cachedApp({ memoryMaxEntryBytes: text.length + 2500 })
  app.get('/list', { config: { cache: { precompress: ['br', 'gzip'], tags: ['lists'] } } }, async () => list)
  app.get('/plain', { config: { cache: { tags: ['lists'] } } }, async () => list)
  await stored(t, app, '/plain')
  const without = app.cache.getStats().bytes
  t.equal((await stored(t, app)).headers['content-encoding'], undefined)
  t.equal((await app.inject({ url: '/list', headers: { 'accept-encoding': 'br' } })).headers['content-encoding'], undefined, 'too large with its codings, kept without')
  await app.close()

  const { app: roomy } = await cachedApp()
  roomy.get('/list', { config: { cache: { precompress: ['br', 'gzip'], tags: ['lists'] } } }, async () => list)
  await stored(t, roomy)
  const sizes = await Promise.all(['br', 'gzip'].map(async (coding) => (await roomy.inject({ url: '/list', headers: { 'accept-encoding': coding } })).rawPayload.length))
  t.ok(roomy.cache.getStats().bytes >= without + sizes.reduce((sum, size) => sum + size), 'memory is charged for all bodies')
  await roomy.cache.invalidate({ tags: ['lists'] })
  t.match(cacheStatus(await roomy.inject({ url: '/list', headers: { 'accept-encoding': 'br' } })), /^fwd=uri-miss/)
  await roomy.close()
})

t.test('a purge during the compression wins', async (t) => {
  const { app } = await cachedApp()
  app.get('/list', { config: { cache: { precompress: ['br'] } } }, async () => list)
  await app.inject('/list')
  await app.cache.invalidate({ paths: ['/list'] })
  t.match(cacheStatus(await app.inject('/list')), /^fwd=uri-miss/)
  await app.close()
})

for (const order of ['before', 'after'] as const) {
  t.test(`beside @fastify/compress, registered ${order} the cache, nothing is compressed twice`, async (t) => {
    const app = Fastify()
    const options: CachePluginOptions = { clock: fakeClock(), random: () => 0, metrics: false, exposeStats: false, precompress: ['br', 'gzip'] }
    if (order === 'before') await app.register(compress)
    await app.register(cache, options)
    if (order === 'after') await app.register(compress)
    app.get('/list', { config: { cache: true } }, async () => list)
    const miss = await app.inject({ url: '/list', headers: { 'accept-encoding': 'gzip' } })
    t.match([miss.headers['content-encoding'], decoded(miss)], ['gzip', text], 'on a miss it does what it always does')
    for (const accept of ['br', 'gzip', 'br, gzip']) {
      const hit = await app.inject({ url: '/list', headers: { 'accept-encoding': accept } })
      t.equal(decoded(hit), text)
      t.match(hit.headers, { 'content-encoding': accept.split(',')[0], etag: /-(?:br|gzip)"$/ }, 'the body that was compressed ahead, which it lets pass')
      t.match(String(hit.headers.vary).toLowerCase(), /^accept-encoding$/)
    }
    t.equal((await app.inject('/list')).body, text)
    await app.close()
  })
}

t.test('in Redis the coded bodies stand beside the body, so one instance compresses for all', async (t) => {
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  const make = async (): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(cache, { strategy: 'redis', redisUrl: redis.url, redisTimeout: 10, metrics: false, exposeStats: false, precompress: ['br', 'gzip'] })
    app.get('/list', { config: { cache: true } }, async () => list)
    await app.ready()
    await onRedis(app.cache)
    return app
  }
  const [one, two] = [await make(), await make()]
  await stored(t, one)
  for (const coding of ['br', 'gzip']) {
    const [here, there] = await Promise.all([one, two].map(async (app) => await app.inject({ url: '/list', headers: { 'accept-encoding': coding } })))
    if (here === undefined || there === undefined) throw new Error('no answer')
    t.match(cacheStatus(there), /^hit/)
    t.equal(there.headers['content-encoding'], coding)
    t.equal(decoded(there), text)
    t.ok(there.rawPayload.equals(here.rawPayload))
  }
  t.equal((await two.inject('/list')).body, text)
  await Promise.all([one.close(), two.close()])
})

t.test('a CDN is told what responses are made of', async (t) => {
  const lines: Array<Record<string, unknown>> = []
  const { app } = await cachedApp({ cdn: { tagHeader: 'Surrogate-Key' } }, { logger: { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } } } })
  app.get('/page', { config: { cache: { tags: ['catalog', 'two words, and ünïcode'] } } }, async (_request, reply) => {
    reply.header('surrogate-key', 'their-own')
    return await app.cache.getOrSet('product:42', () => ({ id: 42 }))
  })
  app.get('/stream', { config: { cache: { tags: ['catalog'] } } }, async (_request, reply) => {
    return await reply.type('text/plain').send(Readable.from((async function * () {
      yield String(await app.cache.getOrSet('late', () => 'late'))
    })()))
  })
  for (const streams of [false, true]) {
    app.get(`/late/${streams}`, { config: { cache: { tags: ['catalog'] } }, onSend: async (_request, reply) => { reply.cacheTags('from a hook') } }, async () => streams ? Readable.from(['page']) : 'page')
  }
  app.get('/tagged', { config: { cache: { tags: Array.from({ length: 900 }, (_, n) => `tag-${n}-of-many-tags`) } } }, async () => 'page')
  const expected = 'their-own catalog two%20words%2c%20and%20%c3%bcn%c3%afcode product:42'
  for (const turn of ['miss', 'hit']) t.equal((await app.inject('/page')).headers['surrogate-key'], expected, turn)
  t.equal((await app.inject('/stream')).headers['surrogate-key'], 'catalog', 'the head of a stream names what is known when it goes out')
  t.equal((await app.inject('/stream')).headers['surrogate-key'], 'catalog late', 'its hits name all')
  for (const turn of ['miss', 'hit']) {
    for (const path of ['/late/false', '/late/true']) t.equal((await app.inject(path)).headers['surrogate-key'], 'catalog from%20a%20hook', `${path}, ${turn}`)
  }

  for (let turn = 0; turn < 2; turn++) t.ok(String((await app.inject({ url: '/tagged', query: { turn: String(turn) } })).headers['surrogate-key']).length <= 16 * 1024)
  t.equal(lines.length, 1, 'one warning a route')
  t.match(lines[0], { route: '/tagged', omitted: 900 - String((await app.inject('/tagged?turn=0')).headers['surrogate-key']).split(' ').length, msg: /a purge of the others does not reach the CDN/ })
  await app.close()
})

t.test('purges are handed on to the CDN after they hold here', async (t) => {
  const handed: HandedPurge[] = []
  let entered = deferred()
  let gate = deferred()
  const { app, clock } = await cachedApp({
    cdn: {
      wait: true,
      timeout: 2,
      async purge (purge) {
        handed.push(purge)
        entered.resolve()
        await gate.promise
      }
    }
  })
  const faults: Array<{ where: string, error: unknown }> = []
  app.cache.on('fault', (fault) => { faults.push(fault) })
  app.get('/products/:id', { config: { cache: { tags: ['catalog'] } } }, async () => 'page')
  app.put('/products/:id', { config: { cache: { invalidates: ['product:42'] } } }, async (_request, reply) => { await reply.code(204).send() })
  await app.inject('/products/42')

  const put = app.inject({ method: 'PUT', url: '/products/42' })
  await entered.promise
  t.match(cacheStatus(await app.inject('/products/42')), /^fwd=uri-miss/, 'what the CDN fetches now is new')
  const others = [app.cache.invalidate({ tags: ['a'], soft: true }), app.cache.invalidate({ paths: ['/list', '/categories/*'], patterns: ['user:*'] }), app.cache.delete('key')]
  entered = deferred()
  await turns()
  t.equal(handed.length, 1, 'one call at a time')
  gate.resolve()
  t.equal((await put).statusCode, 204)
  await Promise.all(others)
  t.strictSame(handed, [
    { tags: ['product:42'], paths: ['/products/42'], patterns: [], everything: false, soft: false },
    { tags: ['a', 'key'], paths: ['/list', '/categories/*'], patterns: ['user:*'], everything: false, soft: false }
  ], 'what is purged meanwhile goes together, and a soft purge beside a hard one is hard')

  await app.cache.invalidate({ tags: ['a b'], soft: true })
  t.match(handed.at(-1), { tags: ['a%20b'], soft: true }, 'spelled as in the header')
  await app.cache.invalidate({ tags: Array.from({ length: 10_001 }, (_, n) => `tag-${n}`) })
  t.strictSame(handed.at(-1), { tags: [], paths: [], patterns: [], everything: true, soft: false }, 'too many names are everything')

  gate = deferred()
  entered = deferred()
  const before = handed.length
  const late = app.cache.invalidate({ tags: ['slow'] })
  for (let attempt = 1; attempt <= 4; attempt++) {
    await entered.promise
    entered = deferred()
    t.equal(handed.length, before + attempt)
    clock.advance(2000)
    await turns()
    clock.advance(1000)
  }
  t.strictSame(await late, { reach: 'everywhere' }, 'whoever purges hears of it by an event, not by an error')
  t.match(faults, [{ where: 'handing a purge on', error: { code: 'FST_ERR_CACHE_HAND_OFF' } }])
  await app.close()
})

t.test('a stored response that its handler has superseded is purged here, and is nothing to a CDN', async (t) => {
  const handed: HandedPurge[] = []
  const { app, clock } = await cachedApp({ cdn: { purge (purge) { handed.push(purge) } } })
  let gone = false
  app.get('/x', { config: { cache: { ttl: 10, staleIfError: 60 } } }, async (_request, reply) => gone ? await reply.code(404).send('gone') : 'page')
  await app.inject('/x')
  clock.advance(20_000)
  gone = true
  const { tip } = app.cache.parts.log
  await app.cache.invalidate({ tags: ['a'], soft: true })
  await app.inject('/x')
  await app.cache.invalidate({ tags: ['b'], soft: true })
  t.equal(app.cache.parts.log.tip, tip + 3)
  await app.close()
  t.match(handed.map(({ tags, soft }) => [tags, soft]), [[['a'], true], [['b'], true]])
})

t.test('nobody waits for a CDN unless told to, and closing gives it its last chance', async (t) => {
  const handed: string[] = []
  const gate = deferred()
  const { app } = await cachedApp({ cdn: { async purge ({ tags }) { handed.push(...tags); await gate.promise } } })
  t.strictSame(await app.cache.invalidate({ tags: ['a'] }), { reach: 'everywhere' })
  await app.cache.invalidate({ tags: ['b'] })
  t.strictSame(handed, ['a'])
  const closed = app.close()
  await turns()
  gate.resolve()
  await closed
  t.strictSame(handed, ['a', 'b'])

  let attempts = 0
  const never = await cachedApp({ retryAttempts: 5, cdn: { purge: () => { attempts++; throw new Error('no such service') } } })
  const faults: unknown[] = []
  never.app.cache.on('fault', ({ error }) => { faults.push(error) })
  await never.app.cache.invalidate({ everything: true })
  await never.app.close()
  t.match(faults, [{ message: 'no such service' }], 'closing does not wait for the pauses between attempts')
  t.equal(attempts, 2)
})

t.test('options of a CDN that make no sense are refused', async (t) => {
  const wrong: Array<[unknown, RegExp]> = [
    [true, /cdn is true/],
    [{}, /cdn is {}, must be an object with tagHeader, purge or both/],
    [{ tagHeader: 'X-Tags' }, /cdn\.tagHeader is "X-Tags", must be "Surrogate-Key" or "Cache-Tag"/],
    [{ purge: 'https://cdn.example' }, /cdn\.purge/],
    [{ wait: 'yes' }, /cdn\.wait/],
    [{ timeout: 0 }, /cdn\.timeout/],
    [{ purges: () => {} }, /cdn\.purges does not exist.*purge/]
  ]
  for (const [cdn, message] of wrong) {
    await t.rejects(cachedApp({ cdn: cdn as never }), { code: /^FST_ERR_CACHE_OPTION/, message })
    t.throws(() => new CacheManager({}, { cdn: cdn as never }), { code: /^FST_ERR_CACHE_OPTION/, message })
  }
  const manager = new CacheManager()
  await t.rejects(cachedApp({ manager, clock: undefined as never, random: undefined as never, cdn: { purge: () => {} } }), { code: 'FST_ERR_CACHE_OPTION_CONFLICT' })
  await manager.close()
})
