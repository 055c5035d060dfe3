import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../example-app/app.ts'
import { fencesOf } from './support/markdown.ts'
import { programArgs } from './support/program.ts'
import { askCurl, commandsOf, readCurl, saysSo } from './support/shell.ts'
import { projectRoot } from './support/source-tree.ts'

interface Page { items: Array<{ id: number, title: string, price: number, category: string }>, total: number }

const adminToken = 'token-of-this-test'

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Waits as a load balancer would. */
async function warm (app: FastifyInstance): Promise<void> {
  while ((await app.inject('/ready')).statusCode !== 200) await turn()
}

// whatever Redis may run on this machine is none of our business
process.env['CACHE_STRATEGY'] = 'memory'

t.test('the walk-through of the example is true, line by line', async (t) => {
  const port = await freePort()
  const app = await buildApp({ adminToken, host: `127.0.0.1:${port}` })
  t.teardown(async () => { await app.close() })
  const origin = await app.listen({ host: '127.0.0.1', port })
  await warm(app)
  const markdown = readFileSync(join(projectRoot, 'example-app/README.md'), 'utf8')
  let asked = 0
  for (const { code } of fencesOf(markdown).filter(({ language }) => language === 'sh')) {
    for (const { command, comments } of commandsOf(code).filter(({ command }) => command.startsWith('curl '))) {
      const answer = await askCurl(origin, readCurl(command, comments, { CACHE_ADMIN_TOKEN: adminToken }))
      asked++
      for (const expected of comments) t.ok(saysSo(answer, expected), `${command} says ${expected}`, { answer })
    }
  }
  t.ok(asked > 20, 'it asks a lot')
})

t.test('lists are paged, sorted, filtered and searched', async (t) => {
  const app = await buildApp()
  t.teardown(async () => { await app.close() })
  const page = async (url: string): Promise<Page> => (await app.inject(url)).json<Page>()

  const first = await page('/products?pageSize=15')
  const last = await page('/products?pageSize=15&page=3')
  t.equal(first.total, 40)
  t.same([first.items.length, last.items.length], [15, 10])
  t.same(first.items.map(({ id }) => id), Array.from({ length: 15 }, (_, index) => index + 1))
  const prices = (await page('/products?sort=-price&pageSize=100')).items.map(({ price }) => price)
  t.same(prices, [...prices].sort((a, b) => b - a))
  t.ok((await page('/products?category=audio')).items.every(({ category }) => category === 'audio'))
  t.same((await page('/categories/audio/products')).items, (await page('/products?category=audio')).items)
  t.equal((await page('/products?q=100%25')).total, 0, 'signs that SQL knows mean themselves')
  t.same((await page("/search?q=chef's")).items.map(({ id }) => id), [2])
  t.same((await page('/search?q=LANTERN')).items.map(({ id }) => id), [11, 9], 'best rated first')
  t.equal((await app.inject('/categories')).json<unknown[]>().length, 6)

  t.equal((await app.inject('/products/999')).statusCode, 404)
  t.equal((await app.inject('/categories/none/products')).statusCode, 404)
  t.equal((await app.inject('/products?pageSize=1000')).statusCode, 400)
  t.equal((await app.inject('/search')).statusCode, 400)
  t.equal((await app.inject({ method: 'POST', url: '/products', payload: { title: 'nothing else' } })).statusCode, 400)
  t.equal((await app.inject({ method: 'PATCH', url: '/products/999', payload: { price: 1 } })).statusCode, 404)
  t.equal((await app.inject({ method: 'DELETE', url: '/products/999' })).statusCode, 404)
  t.equal((await app.inject('/cache/entries')).statusCode, 404, 'without a token there are no guarded routes')
})

t.test('a change of what lists are made of shows in every list', async (t) => {
  const app = await buildApp()
  t.teardown(async () => { await app.close() })
  const pages = ['/products', '/products?sort=price', '/categories/garden/products?sort=price', '/search?q=secateurs', '/products/17', '/products/17/description', '/categories']
  for (const url of pages) await app.inject(url)
  for (const url of pages) t.match((await app.inject(url)).headers['cache-status'], /;hit/, `${url} is cached`)

  t.equal((await app.inject({ method: 'PATCH', url: '/products/17', payload: { title: 'Secateurs for the left hand', price: 1, category: 'kitchen' } })).statusCode, 200)
  t.equal((await app.inject('/products?sort=price')).json<Page>().items[0]?.id, 17)
  t.notOk((await app.inject('/categories/garden/products?sort=price')).json<Page>().items.some(({ id }) => id === 17), 'it has left its category')
  for (const url of ['/products', '/search?q=secateurs', '/products/17', '/products/17/description']) t.match((await app.inject(url)).body, 'Secateurs for the left hand', url)
  t.match((await app.inject('/categories')).json(), [{}, { slug: 'garden', products: 6 }, { slug: 'kitchen', products: 8 }])

  t.equal((await app.inject({ method: 'DELETE', url: '/products/17' })).statusCode, 204)
  for (const url of ['/products?pageSize=100', '/products?sort=price', '/search?q=secateurs']) t.notMatch((await app.inject(url)).body, 'Secateurs for the left hand', url)
  t.equal((await app.inject('/products/17')).statusCode, 404)
  t.equal((await app.inject('/products/17/description')).statusCode, 404)
})

t.test('what was asked for most is fetched at the next start', async (t) => {
  const hotList = join(t.testdir(), 'hot-list.json')
  const first = await buildApp({ hotList })
  t.teardown(async () => { await first.close() })
  await warm(first)
  for (let time = 0; time < 3; time++) await first.inject('/products/7')
  await first.close()
  t.ok(statSync(hotList).isFile(), 'the file is the one that was named')
  const second = await buildApp({ hotList })
  t.teardown(async () => { await second.close() })
  await warm(second)
  t.match((await second.inject('/products/7')).headers['cache-status'], /;hit/)
  t.match((await second.inject('/products/8')).headers['cache-status'], /uri-miss/)
})

t.test('the report has what the routes take', async (t) => {
  const app = await buildApp({ adminToken })
  t.teardown(async () => { await app.close() })
  for (const url of ['/products/1', '/products/1', '/products/999', '/nowhere']) await app.inject(url)
  const { performanceMetrics: { operations } } = (await app.inject({ url: '/cache/report', headers: { authorization: `Bearer ${adminToken}` } })).json<{ performanceMetrics: { operations: object[] } }>()
  t.match(operations, [{ operation: 'GET /products/:id', count: 3, errorRate: 0 }])
  t.equal(operations.length, 1, 'what is no route has no part in it')
})

t.test('the command starts, answers and stops', async (t) => {
  const child = spawn(process.execPath, programArgs('example-app/server'),
    { env: { PATH: process.env['PATH'], PORT: '0', CACHE_STRATEGY: 'memory', CACHE_ADMIN_TOKEN: adminToken }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  let said = ''
  for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
    said += text
    if (said.includes('explain?url=')) break
  }
  const [origin = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(said) ?? []
  t.equal((await fetch(`${origin}/products/1`)).status, 200)
  t.equal((await fetch(`${origin}/cache/explain?url=/products/1`, { headers: { authorization: `Bearer ${adminToken}` } })).status, 200)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('a start that cannot be is told in one line, with the cure', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const { port } = taken.address() as AddressInfo
  const product = { id: 7, title: 'Chair', description: 'To sit on.', category: 'home', price: 5 }
  const folder = t.testdir({ 'broken.json': '[{', 'twice.json': JSON.stringify([product, product]), 'no-database.db': 'x'.repeat(4096) })
  const cases: Array<[env: Record<string, string>, args: string[], line: RegExp]> = [
    [{ PORT: String(port) }, [], new RegExp(`^Port ${port} is taken; .*PORT=3001`)],
    [{ PORT: 'abc' }, [], /^PORT is "abc", must be a number/],
    [{}, ['--catalogue', join(folder, 'none.json')], /cannot be read \(ENOENT.*--catalogue$/],
    [{}, ['--catalogue', join(folder, 'broken.json')], /broken\.json is not valid JSON/],
    [{}, ['--catalogue', join(folder, 'twice.json')], /has two products with the id 7/],
    [{}, ['--database', join(folder, 'no-database.db')], /no-database\.db cannot be used.*--database$/],
    [{}, ['--catalog', 'a'], /'--catalog'/],
    [{ CACHE_MEMORY_TTL: 'long' }, [], /^Option CACHE_MEMORY_TTL is "long"/]
  ]
  await Promise.all(cases.map(async ([env, args, line]) => {
    const child = spawn(process.execPath, [...programArgs('example-app/server'), ...args],
      { env: { PATH: process.env['PATH'], PORT: '0', CACHE_STRATEGY: 'memory', ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text })
    t.same(await once(child, 'close'), [1, null], `${line.source} ends with 1`)
    t.match(said.trim(), line)
    t.equal(said.trim().split('\n').length, 1, `${line.source} is one line`, { said })
  }))
})

t.test('a catalogue of one\'s own', async (t) => {
  const folder = t.testdir({
    'products.json': JSON.stringify([{ id: 7, title: 'Chair', description: 'To sit on.', category: 'home-decoration', price: 5, meta: { ignored: true } }]),
    'no-array.json': '{}',
    'no-price.json': JSON.stringify([{ id: 7, title: 'Chair', description: 'To sit on.', category: 'home' }])
  })
  const app = await buildApp({ catalogue: join(folder, 'products.json') })
  t.teardown(async () => { await app.close() })
  t.same((await app.inject('/products/7')).json(), { id: 7, title: 'Chair', description: 'To sit on.', category: 'home-decoration', brand: null, price: 5, stock: 0, rating: 0 })
  t.same((await app.inject('/categories')).json(), [{ slug: 'home-decoration', name: 'Home decoration', products: 1 }])
  await t.rejects(buildApp({ catalogue: join(folder, 'no-array.json') }), { message: /is not a JSON array of products/ })
  await t.rejects(buildApp({ catalogue: join(folder, 'no-price.json') }), { message: /product 1 of .* has no number 'price'/ })
})

t.test('a database that several instances share', async (t) => {
  const database = join(t.testdir(), 'products.db')
  const one = await buildApp({ database })
  const other = await buildApp({ database })
  t.teardown(async () => { await Promise.all([one.close(), other.close()]) })
  t.equal((await one.inject('/products')).json<Page>().total, (await other.inject('/products')).json<Page>().total, 'is filled once')
  // A new one: what the other has in its own memory by now stays there, since without Redis it hears of no purge.
  const { headers: { location = '' } } = await one.inject({ method: 'POST', url: '/products', payload: { title: 'Dibber', description: 'Makes holes.', category: 'garden', price: 12 } })
  t.match((await other.inject(location)).json(), { title: 'Dibber' })
})

const large = process.env['PRODUCTS_FILE'] ?? join(projectRoot, '../shared/data/products.json')

t.test('a large catalogue', { skip: existsSync(large) ? false : 'no such file here; PRODUCTS_FILE names one' }, async (t) => {
  const app = await buildApp({ catalogue: large })
  t.teardown(async () => { await app.close() })
  const count = (JSON.parse(readFileSync(large, 'utf8')) as unknown[]).length
  t.equal((await app.inject('/products')).json<Page>().total, count)
  t.equal((await app.inject('/search?q=mascara')).json<Page>().items[0]?.id, 1)
})
