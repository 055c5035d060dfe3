import type { FastifyInstance, FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import t from 'tap'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'

const PLACES = [['handler', {}], ['onRequest', { public: true }]] as const

t.test('a validator that lets other parameters pass gives nobody the answer to a query without them', async (t) => {
  const schema = { querystring: { type: 'object', additionalProperties: false, properties: { page: { type: 'string' } } } }
  const lenient = () => (value: unknown) => ({ value })
  const slow = (() => async (value: unknown) => await Promise.resolve(value)) as unknown as FastifySchemaCompiler<object>
  const broken = () => () => { throw new Error('no validator') }
  const schemaController = { compilersFactory: { buildValidator: () => lenient } } as unknown as NonNullable<FastifyServerOptions['schemaController']>
  const ways: ReadonlyArray<readonly [name: string, status: number, server: FastifyServerOptions, before?: (app: FastifyInstance) => void, after?: (app: FastifyInstance) => void]> = [
    ['setValidatorCompiler after the route', 200, {}, undefined, (app) => { app.setValidatorCompiler(lenient) }],
    ['one that says so later', 200, {}, undefined, (app) => { app.setValidatorCompiler(slow) }],
    ['one that throws', 500, {}, undefined, (app) => { app.setValidatorCompiler(broken) }],
    ['schemaController', 200, { schemaController }],
    ['setSchemaController', 200, {}, (app) => { app.setSchemaController(schemaController) }],
    ['ajv without the keyword', 200, { ajv: { onCreate (ajv) { ajv.removeKeyword('additionalProperties').addKeyword('additionalProperties') } } }],
    ['ajv that refuses', 400, { ajv: { customOptions: { removeAdditional: false } } }]
  ]
  for (const [name, status, server, before, after] of ways) {
    for (const [place, cache] of PLACES) {
      const { app } = await cachedApp({ strategy: 'memory' }, server)
      before?.(app)
      app.get('/x', { schema, config: { cache } }, async ({ query }) => query)
      after?.(app)
      await app.inject('/x?page=1')
      const answer = await app.inject('/x?page=1&lang=de')
      t.equal(answer.statusCode, status, `${name}, ${place}`)
      if (status === 200) t.same(answer.json(), { page: '1', lang: 'de' }, `${name}, ${place}`)
      if (status !== 500) t.match(cacheStatus(await app.inject('/x?page=1')), /^hit/, `${name}, ${place}`)
      await app.close()
    }
  }
})

t.test('a default is in the key only where the validator fills it in', async (t) => {
  const schema = { querystring: { type: 'object', additionalProperties: false, properties: { page: { type: 'integer', default: 1 } } } }
  for (const useDefaults of [true, false]) {
    for (const [place, cache] of PLACES) {
      const { app } = await cachedApp({ strategy: 'memory' }, { ajv: { customOptions: { useDefaults } } })
      app.get('/x', { schema, config: { cache } }, async ({ query }) => query)
      await app.inject('/x?page=1')
      const answer = await app.inject('/x')
      t.match(cacheStatus(answer), useDefaults ? /^hit/ : /uri-miss.*;stored/, `${place}, ${useDefaults}`)
      t.same(answer.json(), useDefaults ? { page: 1 } : {}, `${place}, ${useDefaults}`)
      t.match(cacheStatus(await app.inject('/x?page=01')), /^hit/, 'whatever the validator makes the same')
      await app.close()
    }
  }
})
