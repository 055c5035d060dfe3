import t from 'tap'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'

t.test('a path of entities that leads nowhere is told once for each route, and only of what is stored', async (t) => {
  const warnings: Array<{ route?: string, entities?: string[], msg?: string }> = []
  const { app } = await cachedApp({}, { logger: { level: 'warn', stream: { write (line: string) { warnings.push(JSON.parse(line) as object) } } } })
  t.teardown(() => app.close())
  const said = (): Array<[string?, string[]?]> => warnings.splice(0).map(({ route, entities }) => [route, entities])
  const entities = { product: 'itms[].id', brand: 'brand.id' }
  const page = { items: [{ id: 1 }], brand: { id: 2 } }
  let stock: object[] = []
  app.get('/payload', { config: { cache: { entities } } }, async () => page)
  app.get('/objects', { config: { cache: { entities: { product: 'items[]' } } } }, async () => page)
  app.get('/text', { config: { cache: { entities } } }, async (_request, reply) => await reply.type('application/json').send(JSON.stringify(page)))
  app.get('/right', { config: { cache: { entities: { product: 'items[].id' } } } }, async () => page)
  app.get('/empty', { config: { cache: { entities: { product: 'items[].id' } } } }, async () => ({ items: stock }))
  app.get('/nothing', { config: { cache: { entities } } }, async () => ({}))
  app.get('/created', { config: { cache: { entities, statuses: [203] } } }, async (_request, reply) => await reply.code(203).send({ page: 1 }))
  app.get('/refused', { config: { cache: { entities } } }, async (_request, reply) => await reply.header('cache-control', 'no-store').send(page))
  app.get('/json', { config: { cache: { entities: { product: 'id' } } } }, async () => ({ toJSON: () => ({ id: 1 }) }))

  for (const query of ['', '?again']) for (const path of ['/payload', '/objects', '/text', '/right', '/empty', '/nothing', '/created', '/json']) t.match(cacheStatus(await app.inject(path + query)), /;stored/, path)
  t.match(cacheStatus(await app.inject('/refused')), /no-store/)
  t.match(warnings[0]?.msg, 'responses of /payload are cached without the tags of product (itms[].id): no id is where config.cache.entities points')
  t.same(said(), [['/payload', ['product']], ['/objects', ['product']], ['/text', ['product']]])
  stock = [{ sku: 1 }]
  await app.inject('/empty?now')
  t.same(said(), [['/empty', ['product']]], 'an empty list says nothing of its items')
})

t.test('a purge reaches what only the JSON of a payload names, beside what the payload itself does', async (t) => {
  const warnings: string[] = []
  const { app } = await cachedApp({}, { logger: { level: 'warn', stream: { write (line: string) { warnings.push(line) } } } })
  t.teardown(() => app.close())
  class Product {
    readonly #id: number
    constructor (id: number) { this.#id = id }
    get id (): number { return this.#id }
    toJSON (): object { return { id: this.#id } }
  }
  class ObjectId {
    readonly #hex: string
    constructor (hex: string) { this.#hex = hex }
    toJSON (): string { return this.#hex }
  }
  const entities = { product: ['id', 'items[].id'], brand: 'brand.id' }
  const response = { 200: { type: 'object', properties: { id: { type: 'integer' }, brand: { type: 'object', properties: { id: { type: 'integer' } } } } } }
  app.get('/getter', { config: { cache: { entities } } }, async () => ({ id: 1, brand: { id: 7 }, items: [new Product(42)] }))
  app.get('/object', { config: { cache: { entities } } }, async () => ({ id: 1, brand: { id: 7 }, items: [{ id: new ObjectId('42') }] }))
  app.get('/bigint', { schema: { response }, config: { cache: { entities } } }, async () => ({ id: 42n, brand: { id: 7 }, items: [] }))
  app.get('/dropped', { schema: { response }, config: { cache: { entities } } }, async () => ({ id: 1, brand: new Product(7), items: [{ id: 42 }] }))
  for (const path of ['/getter', '/object', '/bigint', '/dropped']) {
    for (const tag of ['product:42', 'brand:7']) {
      await app.inject(path)
      t.match(cacheStatus(await app.inject(path)), /^hit/, path)
      await app.cache.invalidate({ tags: [tag] })
      t.match(cacheStatus(await app.inject(path)), /uri-miss.*;stored/, `${path} ${tag}`)
    }
  }
  t.same(warnings, [])
})
