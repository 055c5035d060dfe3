import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { cachedApp, type CachedApp } from '../support/cached-app.ts'

const serving = async (build: (app: FastifyInstance) => void): Promise<CachedApp> => {
  const cached = await cachedApp()
  build(cached.app)
  return cached
}

t.test('a hook that changes text gets text of a hit, too', async (t) => {
  const { app } = await serving((app) => {
    app.addHook('onSend', async (request, _reply, payload) => request.headers['x-role'] === 'boss' ? payload : (payload as string).replace('100', '***'))
    app.get('/json', { config: { cache: { ttl: 60, harmlessHeaders: ['x-role'] } } }, async () => ({ name: 'Änne', salary: 100 }))
    app.get('/text', { config: { cache: { ttl: 60 } } }, async (_request, reply) => reply.type('text/html').send('<p>100</p>'))
  })
  for (const [url, hidden] of [['/json', '{"name":"Änne","salary":***}'], ['/text', '<p>***</p>']] as const) {
    const miss = await app.inject(url)
    const hit = await app.inject(url)
    t.match(hit.headers['cache-status'], /hit/)
    t.equal(miss.body, hidden)
    t.equal(hit.body, hidden)
    t.equal(hit.headers['content-type'], miss.headers['content-type'])
    t.equal(hit.headers['content-length'], miss.headers['content-length'])
  }
  t.match((await app.inject({ url: '/json', headers: { 'x-role': 'boss' } })).body, /100/)
})

t.test('so does one that looks at what is stale, or confirmed by its handler', async (t) => {
  let answer: 'full' | 'unchanged' | 'failure' = 'full'
  const seen: unknown[] = []
  const { app, clock } = await serving((app) => {
    app.addHook('onSend', async (_request, _reply, payload) => {
      seen.push(payload)
      return payload
    })
    app.get('/', { config: { cache: { ttl: 10, staleIfError: 100, http: { revalidate: 100 } } } }, async (_request, reply) => {
      if (answer === 'failure') throw new Error('no database')
      if (answer === 'unchanged') return await reply.code(304).send()
      return await reply.header('etag', '"one"').type('text/plain').send('as it was')
    })
  })
  await app.inject('/')
  for (const next of ['unchanged', 'failure'] as const) {
    answer = next
    clock.advance(11_000)
    t.equal((await app.inject('/')).body, 'as it was')
  }
  t.same(seen, ['as it was', 'as it was', 'as it was'])
})

t.test('a serialiser that a hook has chosen is not applied to a hit again', async (t) => {
  const { app } = await serving((app) => {
    app.addHook('preHandler', async (_request, reply) => { reply.serializer((payload: unknown) => `<${JSON.stringify(payload)}>`) })
    app.addHook('onSend', async (_request, _reply, payload) => payload)
    app.get('/', { config: { cache: { ttl: 60 } } }, async (_request, reply) => {
      reply.type('application/x-own')
      return { one: 1 }
    })
  })
  t.equal((await app.inject('/')).body, '<{"one":1}>')
  t.equal((await app.inject('/')).body, '<{"one":1}>')
})

t.test('what a hook changes in place, it changes for its own request', async (t) => {
  const { app } = await serving((app) => {
    app.addHook('onSend', async (request, reply, payload) => {
      const name = request.headers['x-name']
      if (typeof name !== 'string') return payload
      ;(reply.getHeader('link') as unknown as string[]).push(`</${name}>`)
      ;(payload as Buffer).write(name, 6)
      return payload
    })
    app.get('/', { config: { cache: { ttl: 60 } } }, async (_request, reply) => await reply.header('link', ['</a>', '</b>']).type('text/plain').send(Buffer.from('Hello you')))
  })
  await app.inject('/')
  const own = await app.inject({ url: '/', headers: { 'x-name': 'bob' } })
  t.same([own.body, own.headers.link], ['Hello bob', ['</a>', '</b>', '</bob>']])
  const later = await app.inject('/')
  t.match(later.headers['cache-status'], /hit/)
  t.same([later.body, later.headers.link], ['Hello you', ['</a>', '</b>']])
})

t.test('nothing is cut from a hit that a hook looks at, for it may look for something', async (t) => {
  const build = (app: FastifyInstance): void => { app.get('/', { config: { cache: { ttl: 60 } } }, async () => ({ pin: '1234' })) }
  const { app: unseen } = await serving(build)
  const { app: redacting } = await serving((app) => {
    app.addHook('onSend', async (_request, _reply, payload) => String(payload).replace('"pin":"1234"', '"pin":"****"'))
    build(app)
  })
  for (const [app, status, body] of [[unseen, 206, '1234'], [redacting, 200, '{"pin":"****"}']] as const) {
    await app.inject('/')
    const part = await app.inject({ url: '/', headers: { range: 'bytes=8-11' } })
    t.match(part.headers['cache-status'], /hit/)
    t.same([part.statusCode, part.body], [status, body])
  }
})
