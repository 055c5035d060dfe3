import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { CachePluginOptions } from '../../plugins/index.ts'
import { cachedApp, cacheStatus, turns, type CachedApp } from '../support/cached-app.ts'

type Answer = (reply: FastifyReply, request: FastifyRequest) => unknown

const GOOD: Answer = () => 'page'
const FAILED: Answer = () => { throw new Error('down') }

/** A page that is stored, and stale by now; its handler answers from now on as it is told. */
async function staled (route: object): Promise<CachedApp & { now: (answer: Answer) => void }> {
  const cached = await cachedApp()
  let answer = GOOD
  cached.app.get('/x', { exposeHeadRoute: false, config: { cache: { ttl: 10, ...route } } }, async (request, reply) => await answer(reply, request))
  await cached.app.inject('/x')
  cached.clock.advance(20_000)
  return { ...cached, now: (next) => { answer = next } }
}

const CHANGED: ReadonlyArray<readonly [name: string, Answer]> = [
  ['that it is gone', (reply) => reply.code(404).send('gone')],
  ['that it is gone, by throwing', () => { throw Object.assign(new Error('gone'), { statusCode: 410 }) }],
  ['that nobody may keep it', (reply) => reply.header('cache-control', 'no-store').send('secret')],
  ['that it is for one user', (reply) => reply.header('cache-control', 'private').send('yours')],
  ['that it cannot be told apart', (reply) => reply.header('vary', '*').send('any')],
  ['with more than can be kept', (reply) => reply.send(Buffer.alloc(6_000_000))]
]

for (const [name, answer] of CHANGED) {
  t.test(`once a handler has said ${name}, what it said before is served to nobody`, async (t) => {
    await t.test('in place of an error', async (t) => {
      const { app, now } = await staled({ staleIfError: 600 })
      now(answer)
      await app.inject('/x')
      now(FAILED)
      t.equal((await app.inject('/x')).statusCode, 500)
      await app.close()
    })
    await t.test('while it is refreshed', async (t) => {
      const { app, now } = await staled({ staleWhileRevalidate: 600 })
      now(answer)
      t.match(cacheStatus(await app.inject('/x')), /stale-while-revalidate/)
      await turns(20)
      t.match(cacheStatus(await app.inject('/x')), /^fwd=uri-miss/)
      await app.close()
    })
  })
}

const PARTICULAR: ReadonlyArray<readonly [name: string, Answer]> = [
  ['a failure', FAILED],
  ['that it has too much to do', (reply) => reply.code(429).send('later')],
  ['something to this client alone', (reply, { headers }) => headers['x-key'] === undefined ? reply.code(401).send('who are you?') : 'page'],
  ['to this address alone', (reply, { ip }) => reply.code(ip === '' ? 200 : 403).send('not you')]
]

for (const [name, answer] of PARTICULAR) {
  t.test(`an answer that tells others nothing (${name}) leaves what is stored for a failure`, async (t) => {
    const { app, now } = await staled({ staleIfError: 600 })
    now(answer)
    await app.inject('/x')
    now(FAILED)
    t.match(cacheStatus(await app.inject('/x')), /detail=stale-if-error/)
    await app.close()
  })
}

t.test('a HEAD that does not agree with the stored GET takes it away', async (t) => {
  for (const [etag, then] of [['"2"', 500], ['"1"', 200], [undefined, 200]] as const) {
    const { app, clock } = await cachedApp()
    let down = false
    app.get('/x', { exposeHeadRoute: false, config: { cache: { ttl: 10, staleIfError: 600 } } }, async (_request, reply) => {
      if (down) throw new Error('down')
      return await reply.header('etag', '"1"').send('page')
    })
    app.head('/x', { config: { cache: { ttl: 10 } } }, async (_request, reply) => {
      if (etag !== undefined) reply.header('etag', etag)
      return await reply.send()
    })
    await app.inject('/x')
    clock.advance(20_000)
    await app.inject({ method: 'HEAD', url: '/x' })
    down = true
    t.equal((await app.inject('/x')).statusCode, then, String(etag))
    await app.close()
  }
})

const WHOLE = '0123456789'

/** A part of a page that is not stored as a whole, and is fresh for long; its handler answers from now on as it is told. */
async function inParts (route: object = {}, options: CachePluginOptions = {}): Promise<CachedApp & { now: (answer: Answer) => void, part: (range: string, headers?: Record<string, string>) => Promise<string> }> {
  const cached = await cachedApp(options)
  let answer: Answer | undefined
  cached.app.get('/x', { exposeHeadRoute: false, config: { cache: { ttl: 600, staleIfError: 0, http: { storeParts: true }, ...route } } }, async (request, reply) => {
    if (answer !== undefined) return await answer(reply, request)
    const [, first = '', last = ''] = /^bytes=(\d)-(\d)$/.exec(request.headers.range ?? '') ?? []
    reply.header('etag', '"1"').header('vary', 'accept-language')
    return first === '' ? WHOLE : await reply.code(206).header('content-range', `bytes ${first}-${last}/10`).send(WHOLE.slice(Number(first), Number(last) + 1))
  })
  const part = async (range: string, headers = {}): Promise<string> => cacheStatus(await cached.app.inject({ url: '/x', headers: { range: `bytes=${range}`, ...headers } }))
  for (const language of ['de', 'en']) {
    await part('0-4', { 'accept-language': language })
    if (!/^hit/.test(await part('1-2', { 'accept-language': language }))) throw new Error('no part is stored')
  }
  return { ...cached, part, now: (next) => { answer = next } }
}

for (const [name, answer] of CHANGED.slice(0, 5)) {
  for (const range of [undefined, 'bytes=8-9']) {
    t.test(`once a handler has said ${name}, asked for ${range ?? 'the whole'}, parts are served to nobody`, async (t) => {
      const { app, now, part } = await inParts()
      now(answer)
      await app.inject({ url: '/x', headers: { 'accept-language': 'de', ...range !== undefined && { range } } })
      now(FAILED)
      for (const language of ['de', 'en']) t.match(await part('1-2', { 'accept-language': language }), /^fwd=/)
      await app.close()
    })
  }
}

for (const [name, answer] of [...PARTICULAR, ['that there is no such part', (reply) => reply.code(416).header('content-range', 'bytes */10').send()], ['with more than can be kept', (reply) => reply.send(Buffer.alloc(6_000_000))]] satisfies ReadonlyArray<readonly [string, Answer]>) {
  t.test(`an answer that tells nothing of parts (${name}) leaves them`, async (t) => {
    const { app, now, part } = await inParts()
    now(answer)
    for (const headers of [{}, { range: 'bytes=8-9' }]) await app.inject({ url: '/x', headers })
    t.match(await part('1-2', { 'accept-language': 'de' }), /^hit/)
    await app.close()
  })
}

t.test('parts do not come back when a whole that was stored after them has ended', async (t) => {
  for (const [name, answer] of [['a 404', (reply) => reply.code(404).send('gone')], ['another page', (reply) => reply.header('cache-control', 'max-age=10').send('another')]] satisfies ReadonlyArray<readonly [string, Answer]>) {
    const { app, clock, now, part } = await inParts({ notFoundTtl: 10 })
    now(answer)
    await app.inject('/x')
    t.match(cacheStatus(await app.inject('/x')), /^hit/, name)
    clock.advance(20_000)
    t.match(await part('1-2', { 'accept-language': 'de' }), /^fwd=uri-miss/, name)
    await app.close()
  }
})

t.test('a whole that was put together from parts takes their place, and stays', async (t) => {
  const { app, part } = await inParts()
  const german = { 'accept-language': 'de' }
  t.match(await part('5-9', german), /^fwd=partial.*stored/)
  t.match(cacheStatus(await app.inject({ url: '/x', headers: german })), /^hit/)
  t.match(await part('2-7', german), /^hit/)
  await app.close()
})

t.test('whatever is not stored purges nothing where nothing was kept in parts', async (t) => {
  const { app, now } = await inParts()
  now(GOOD)
  await app.cache.clear()
  const { tip } = app.cache.parts.log
  now((reply) => reply.code(404).send('gone'))
  for (const headers of [{}, { range: 'bytes=8-9' }, {}]) await app.inject({ url: '/x', headers })
  t.equal(app.cache.parts.log.tip, tip)
  await app.close()
})
