import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import cache from '../../plugins/index.ts'

/** An app whose hooks and handlers send without returning the reply, and what its handlers did. */
async function sloppyApp (cached: boolean): Promise<{ app: FastifyInstance, runs: string[] }> {
  const app = Fastify()
  if (cached) await app.register(cache, { strategy: 'memory', http: { storePost: true } })
  const runs: string[] = []
  const handler = async (): Promise<string> => {
    runs.push('handler')
    return 'done'
  }
  for (const hook of ['onRequest', 'preHandler'] as const) {
    app.delete(`/guarded/${hook}`, { [hook]: async (_request: unknown, reply: { code: (status: number) => { send: (payload: object) => void } }) => { reply.code(401).send({ error: 'no' }) } }, handler)
    app.put(`/answered/${hook}`, { [hook]: async (_request: unknown, reply: { send: (payload: string) => void }) => { reply.send('as before') } }, handler)
  }
  app.post('/sent', async (_request, reply) => { reply.send('sent') })
  app.post('/later', async (_request, reply) => {
    await null
    reply.code(201).send({ id: 1 })
  })
  app.post('/posted', { config: { cache: { ttl: 60 } } }, async (_request, reply) => { reply.header('cache-control', 'max-age=60').header('content-location', '/posted').send('posted') })
  app.post('/named', { config: { cache: { invalidates: ['a'] } } }, async (_request, reply) => { reply.send('named') })
  app.patch('/failing', async () => { throw new Error('mine') })
  app.setErrorHandler(async (_error, _request, reply) => { reply.code(200).send('handled') })
  app.setNotFoundHandler(async (_request, reply) => { reply.code(404).send('nothing') })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, runs }
}

const REQUESTS = [['DELETE', '/guarded/onRequest'], ['DELETE', '/guarded/preHandler'], ['PUT', '/answered/onRequest'], ['PUT', '/answered/preHandler'], ['POST', '/sent'], ['POST', '/later'], ['POST', '/posted'], ['POST', '/named'], ['PATCH', '/failing'], ['POST', '/nowhere']] as const

t.test('who sends in an async hook or handler and returns nothing is answered as without the cache, and nothing runs behind', async (t) => {
  const answers: unknown[][] = []
  for (const cached of [false, true]) {
    const { app, runs } = await sloppyApp(cached)
    t.teardown(() => app.close())
    const { port } = app.server.address() as { port: number }
    const seen: unknown[] = []
    for (const [method, path] of REQUESTS) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
      seen.push([method, path, response.status, await response.text()])
    }
    t.same(runs, [])
    answers.push(seen)
  }
  t.same(answers[1], answers[0])
  t.match(answers[1]?.[0], ['DELETE', '/guarded/onRequest', 401])
})
