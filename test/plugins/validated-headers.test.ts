import type { FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import t from 'tap'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'

const KEY = { 'X-Api-Key': { type: 'string', const: 'known' } }
const guarded = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => request.validationError === undefined ? { secret: 42 } : await reply.code(401).send({ error: 'who are you?' })

t.test('a handler that goes by the validation of headers serves its response to nobody else', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  const plain = { type: 'object', properties: KEY, required: ['x-api-key'] }
  const routes: Record<string, [RouteShorthandOptions, RegExp]> = {
    '/listed': [{ schema: { headers: plain } }, /unkeyed-input; x-api-key/],
    '/required': [{ schema: { headers: { type: 'object', required: ['x-api-key'] } } }, /unkeyed-input; x-api-key/],
    '/pattern': [{ schema: { headers: { type: 'object', patternProperties: { '^x-api-key$': KEY['X-Api-Key'] }, required: ['x-api-key'] } } }, /unkeyed-input; \*/],
    '/own': [{ schema: { headers: plain }, validatorCompiler: () => (given: unknown) => (given as Record<string, unknown>)['x-api-key'] === 'known' ? { value: given } : { error: new Error('unknown') } }, /unkeyed-input; \*/]
  }
  for (const [url, [options]] of Object.entries(routes)) app.get(url, { ...options, attachValidation: true, config: { cache: true } }, guarded)
  for (const [url, [, says]] of Object.entries(routes)) {
    const known = await app.inject({ url, headers: { 'x-api-key': 'known' } })
    t.same(known.json(), { secret: 42 }, url)
    t.match(cacheStatus(known), says, url)
    t.equal((await app.inject(url)).statusCode, 401, url)
  }
})

t.test('what validation looks at does no harm where it is in the key, or no handler is told of it', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  const schema = { headers: { type: 'object', properties: KEY, required: ['x-api-key'] } }
  app.get('/keyed', { schema, attachValidation: true, config: { cache: { headers: ['x-api-key'] } } }, guarded)
  app.get('/refused', { schema, config: { cache: true } }, guarded)
  app.get('/query', { schema: { querystring: { type: 'object' } }, attachValidation: true, config: { cache: true } }, guarded)
  const headers = { 'x-api-key': 'known' }
  for (const [url, otherwise] of [['/keyed', 401], ['/refused', 400], ['/query', 200]] as const) {
    t.match(cacheStatus(await app.inject({ url, headers })), /;stored/, url)
    t.match(cacheStatus(await app.inject({ url, headers })), /^hit/, url)
    t.equal((await app.inject(url)).statusCode, otherwise, url)
  }
})
