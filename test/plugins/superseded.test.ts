import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
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
