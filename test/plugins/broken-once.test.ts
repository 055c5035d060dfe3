import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import { cachedApp, cacheStatus, deferred, turns } from '../support/cached-app.ts'

const token = 'a'.repeat(20)
const authorization = `Bearer ${token}`

t.test('a handler that answers through the reply is waited for, though the lookup took a while', async (t) => {
  const { app } = await cachedApp({ strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1' })
  t.teardown(() => app.close())
  app.get('/page', { config: { cache: true } }, (_request, reply) => { setImmediate(() => { reply.send('the page') }) })
  t.equal((await app.inject('/page')).body, 'the page')
  t.equal((await app.inject('/page')).body, 'the page')
})

t.test('so is one that leads after it has waited for another', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  const sends: Array<() => void> = []
  app.get('/page', { config: { cache: true } }, (_request, reply) => { sends.push(() => { reply.send('the page') }) })
  const first = app.inject('/page')
  const second = app.inject('/page')
  await turns()
  await app.cache.invalidate({ everything: true })
  sends.shift()?.()
  t.equal((await first).body, 'the page')
  await turns()
  sends.shift()?.()
  t.equal((await second).body, 'the page')
})

t.test('a refresh does not store the page of whoever has logged in meanwhile', async (t) => {
  const { app, clock } = await cachedApp()
  t.teardown(() => app.close())
  const sessions: Record<string, string> = { s1: 'anonymous' }
  const users = new WeakMap<object, string>()
  let gate = deferred()
  gate.resolve()
  app.addHook('onRequest', async (request) => {
    const session = String(request.headers.cookie)
    await gate.promise
    users.set(request, sessions[session] ?? 'anonymous')
  })
  app.get('/me', { config: { cache: { ttl: 10, staleWhileRevalidate: 60, partition: (request) => users.get(request) } } }, async (request) => `page of ${users.get(request)}`)
  await app.inject({ url: '/me', headers: { cookie: 's1' } })
  clock.advance(11_000)
  const passing = gate
  const stale = app.inject({ url: '/me', headers: { cookie: 's1' } })
  await turns(1)
  gate = deferred()
  await stale
  sessions['s1'] = 'alice'
  gate.resolve()
  passing.resolve()
  await turns(20)
  t.equal((await app.inject('/me')).body, 'page of anonymous')
})

t.test('what a stream is made from counts, though it is made while it flows', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let price = 'old'
  app.get('/greeting', { config: { cache: true } }, async ({ headers }) => Readable.from((async function * () {
    yield 'hello '
    yield headers['x-name'] ?? 'nobody'
  })()))
  app.get('/price', { config: { cache: true } }, async () => Readable.from((async function * () {
    yield 'price: '
    yield await app.cache.getOrSet('price', () => price)
  })()))
  await app.inject({ url: '/greeting', headers: { 'x-name': 'evil' } })
  t.equal((await app.inject('/greeting')).body, 'hello nobody')
  await app.inject('/price')
  t.match(cacheStatus(await app.inject('/price')), /^hit/)
  price = 'new'
  await app.cache.delete('price')
  t.equal((await app.inject('/price')).body, 'price: new')
})

t.test('a client that chooses the id of its request chooses nothing else', async (t) => {
  const { app } = await cachedApp({}, { requestIdHeader: 'x-request-id' })
  t.teardown(() => app.close())
  app.get('/page', { config: { cache: true } }, async (_request, reply) => {
    reply.header('x-frame-options', 'DENY')
    return 'page'
  })
  app.get('/id', { config: { cache: true } }, async ({ id }) => id)
  await app.inject({ url: '/page', headers: { 'x-request-id': 'DENY' } })
  t.equal((await app.inject('/page')).headers['x-frame-options'], 'DENY')
  await app.inject({ url: '/id', headers: { 'x-request-id': 'evil' } })
  t.not((await app.inject('/id')).body, 'evil')
})

t.test('a host, a scheme and a rewritten target are what the handler sees of them', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/shop', { config: { cache: true } }, async ({ hostname }) => hostname)
  await app.inject({ url: '/shop', headers: { host: 'Shop.example' } })
  t.equal((await app.inject({ url: '/shop', headers: { host: 'shop.example' } })).body, 'shop.example')

  const { app: rewriting } = await cachedApp({}, { rewriteUrl: () => '/page' })
  t.teardown(() => rewriting.close())
  rewriting.get('/page', { config: { cache: true } }, async ({ originalUrl }) => originalUrl)
  await rewriting.inject('/evil')
  t.equal((await rewriting.inject('/good')).body, '/good')

  const { app: proxied } = await cachedApp({}, { trustProxy: true })
  t.teardown(() => proxied.close())
  proxied.get('/x', { config: { cache: true } }, async () => 'x')
  proxied.get('/a', { config: { cache: true } }, async () => 'a')
  await proxied.inject({ url: '/x', headers: { host: 'e.example', 'x-forwarded-proto': 'http://good.example/a?b' } })
  t.equal((await proxied.inject({ url: '/a?b://e.example/x', headers: { host: 'good.example' } })).body, 'a')
})

t.test('a change reaches what is stored, however the change was addressed', async (t) => {
  const { app } = await cachedApp({}, { routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false } })
  t.teardown(() => app.close())
  let version = 0
  app.get('/products/:id', { config: { cache: true } }, async () => `version ${version}`)
  app.put('/products/:id', async () => `changed to ${++version}`)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const ask = async (method: string, target: string): Promise<string> => await new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(`${method} ${target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`))
    socket.on('data', (chunk) => { text += String(chunk) }).on('close', () => { resolve(text) })
  })
  for (const target of ['http://shop.example/products/1', '/products/1#x', '//products/1', '/products/1/', '/PRODUCTS/1', '/products/%31']) {
    await ask('GET', '/products/1')
    t.match(await ask('PUT', target), /changed to/, target)
    t.match(await ask('GET', '/products/1'), new RegExp(`version ${version}`), target)
  }
})

t.test('what hooks behind the lookup of a public route answer or add is theirs', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.addHook('preHandler', async (request, reply) => {
    reply.header('x-user', request.headers.authorization ?? 'nobody')
    if (request.headers['user-agent'] === 'bot') return await reply.send('bots are not welcome')
  })
  app.get('/a', { config: { cache: { public: true } } }, async () => 'page')
  app.get('/b', { config: { cache: { public: true } } }, async () => 'page')
  await app.inject({ url: '/a', headers: { authorization: 'alice' } })
  t.not((await app.inject('/a')).headers['x-user'], 'alice')
  t.match(cacheStatus(await app.inject({ url: '/b', headers: { 'user-agent': 'bot' } })), /detail=answered-before/)
  t.equal((await app.inject({ url: '/b', headers: { 'user-agent': 'person' } })).body, 'page')
})

t.test('what is built because a load failed goes when its key is set', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/price', { config: { cache: true } }, async () => await app.cache.getOrSet('price', () => { throw new Error('down') }).catch(() => 'not available'))
  t.equal((await app.inject('/price')).body, 'not available')
  await app.cache.set('price', '5 euros')
  t.equal((await app.inject('/price')).body, '5 euros')
})

t.test('explaining and warming run no uncached handler, though targets are rewritten', async (t) => {
  const { app } = await cachedApp({ admin: { token } }, { rewriteUrl: ({ url }) => (url ?? '').replace(/^\/api/, '') || '/' })
  t.teardown(() => app.close())
  let runs = 0
  app.get('/danger', async () => ++runs)
  await app.inject({ url: '/cache/explain?url=/api/danger', headers: { authorization } })
  await app.inject({ method: 'POST', url: '/cache/warm', headers: { authorization }, payload: { paths: ['/api/danger'] } })
  await turns(20)
  t.equal(runs, 0)
})

t.test('a partition for many does not excuse what depends on one', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/page', { config: { cache: { partition: () => 'tenant' } } }, async ({ headers }) => `hello ${headers.authorization ?? 'nobody'}`)
  await app.inject({ url: '/page', headers: { authorization: 'alice' } })
  t.equal((await app.inject({ url: '/page', headers: { authorization: 'bob' } })).body, 'hello bob')
})

t.test('what is made private while the head is written is not stored', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.addHook('onRequest', async (_request, { raw }) => {
    const writeHead = raw.writeHead.bind(raw) as (status: number, headers: object) => typeof raw
    Object.assign(raw, { writeHead: (status: number, headers: object) => writeHead(status, { ...headers, 'cache-control': 'private' }) })
  })
  app.get('/page', { config: { cache: true } }, async () => 'page')
  await app.inject('/page')
  t.notMatch(cacheStatus(await app.inject('/page')), /^hit/)
})

t.test('a change whose consequences the route cannot name takes everything with it', async (t) => {
  const lines: string[] = []
  const { app } = await cachedApp({ admin: { token: undefined } as object }, { logger: { level: 'info', stream: { write (line: string) { lines.push(line) } } } })
  t.teardown(() => app.close())
  t.match(lines.join(''), 'no admin routes')
  let version = 0
  app.get('/list', { config: { cache: { tags: ['list'] } } }, async () => `version ${version}`)
  app.put('/item', { config: { cache: { invalidates: () => { throw new Error('mine') } } } }, async () => ++version)
  await app.inject('/list')
  t.equal((await app.inject({ method: 'PUT', url: '/item' })).statusCode, 500)
  t.equal((await app.inject('/list')).body, 'version 1')
  t.match(lines.join(''), 'config.cache.invalidates of /item has failed after the change: everything is purged')
})

t.test('a client that leaves does not take along what its response is built from', async (t) => {
  for (const hooked of [false, true]) {
    const { app } = await cachedApp()
    t.teardown(() => app.close())
    let price = 1
    let runs = 0
    const arrived = deferred()
    if (hooked) app.addHook('preHandler', async () => {})
    app.get('/page', { config: { cache: { ttl: 60 } } }, async (_request, { raw }) => {
      if (++runs === 1) {
        arrived.resolve()
        await new Promise((resolve) => { raw.once('close', resolve) })
        await turns(5)
      }
      return { price: await app.cache.getOrSet('price', () => price) }
    })
    const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
    const client = connect(port, '127.0.0.1').on('error', () => {})
    client.write('GET /page HTTP/1.1\r\nHost: a\r\n\r\n')
    await arrived.promise
    const loaded = new Promise<void>((resolve) => { app.cache.on('store', ({ kind }) => { if (kind === 'data') resolve() }) })
    client.destroy()
    await loaded
    await turns(5)
    price = 2
    await app.cache.delete('price')
    t.same((await app.inject({ url: '/page', headers: { host: 'a' } })).json(), { price: 2 })
  }
})

t.test('a source that goes on when another response has drained is still followed', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let price = 1
  const slow = deferred()
  app.get('/slow', async () => { await slow.promise; return 'slow' })
  app.get('/stream', { config: { cache: { ttl: 60 } } }, async (_request, reply) => {
    reply.type('text/plain')
    slow.resolve()
    return Readable.from((async function * () {
      for (let part = 0; part < 6; part++) yield 'x'.repeat(300_000)
      yield `price ${await app.cache.getOrSet('price', () => price)}`
    })())
  })
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
  const client = connect(port, '127.0.0.1').resume()
  client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await once(client, 'close')
  t.match(cacheStatus(await app.inject({ url: '/stream', headers: { host: 'a' } })), /^hit/)
  price = 2
  await app.cache.delete('price')
  t.match((await app.inject({ url: '/stream', headers: { host: 'a' } })).body, /price 2$/)
})

t.test('a read that a hook has begun and the handler waits for is as old as the hook', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let price = 1
  const loading = deferred()
  const purged = deferred()
  const reads = new WeakMap<object, Promise<number>>()
  app.addHook('preHandler', async (request) => {
    const now = price
    reads.set(request, app.cache.getOrSet('price', async () => { await purged.promise; return now }))
    loading.resolve()
    await turns(3)
    await purged.promise
  })
  app.get('/page', { config: { cache: { ttl: 60 } } }, async (request) => ({ price: await reads.get(request) }))
  const first = app.inject('/page')
  await loading.promise
  price = 2
  await app.cache.delete('price')
  purged.resolve()
  await first
  t.same((await app.inject('/page')).json(), { price: 2 })
})

t.test('what names a header of the same name does not name the address of the client', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/named', { config: { cache: { ttl: 60, headers: ['ip', 'target'] } } }, async ({ ip }) => ip)
  app.get('/kept', { config: { cache: { ttl: 60, partition: ({ ip }) => ip } } }, async ({ ip }) => ip)
  t.match(cacheStatus(await app.inject({ url: '/named', remoteAddress: '10.0.0.1' })), /unkeyed-input; @ip/)
  for (const remoteAddress of ['10.0.0.1', '10.0.0.2']) {
    t.equal((await app.inject({ url: '/kept', remoteAddress })).body, remoteAddress)
    t.match(cacheStatus(await app.inject({ url: '/kept', remoteAddress })), /^hit/)
  }
})

t.test('headers that a hook has looked at before, and the way the connection is to be used, are inputs', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.addHook('onRequest', async ({ raw }) => raw.headersDistinct && undefined)
  app.get('/distinct', { config: { cache: { ttl: 60 } } }, async ({ raw }) => raw.headersDistinct['x-forwarded-host']?.[0] ?? 'none')
  app.get('/connection', { config: { cache: { ttl: 60 } } }, async ({ headers }) => headers.connection ?? 'none')
  app.get('/all', { config: { cache: { ttl: 60 } } }, async ({ headers }) => headers)
  const { headers } = await fetch(new URL('/distinct', await app.listen({ host: '127.0.0.1', port: 0 })), { headers: { 'x-forwarded-host': 'evil' } })
  t.match(headers.get('cache-status'), /unkeyed-input; \*/)
  for (const [url, input] of [['/connection', 'connection'], ['/all', '\\*']] as const) {
    t.match(cacheStatus(await app.inject({ url, headers: { 'x-forwarded-host': 'evil', connection: 'evil' } })), new RegExp(`unkeyed-input; ${input}`), url)
  }
})

t.test('a client that leaves before its turn on a connection came holds nobody up', async (t) => {
  const { app } = await cachedApp({ monitor: false })
  t.teardown(() => app.close())
  const slow = deferred()
  const begun = deferred()
  let runs = 0
  app.get('/slow', async () => { await slow.promise })
  app.get('/page', { config: { cache: true } }, async (_request, reply) => {
    runs++
    begun.resolve()
    return reply.type('text/plain').send(Readable.from(Array.from({ length: 40 }, () => 'x'.repeat(10_000))))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\nGET /page HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await begun.promise
  socket.destroy()
  const { body, headers } = await app.inject({ url: '/page', headers: { host: 'localhost' } })
  t.equal(body.length, 400_000)
  t.match(headers['cache-status'], /collapsed=\?0/, 'whom it waited for has left')
  t.equal(runs, 2)
  slow.resolve()
})

t.test('of those who wait for a page, only one who is still there runs the handler in turn', async (t) => {
  const { app } = await cachedApp({ monitor: false })
  t.teardown(() => app.close())
  const gates = [deferred<string>(), deferred<string>()]
  let runs = 0
  const led = deferred()
  app.get('/page', { config: { cache: true } }, async () => {
    const gate = gates[runs++]
    if (runs === 2) led.resolve()
    return await gate?.promise
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
  for (const socket of sockets) {
    socket.write('GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n')
    socket.on('error', () => {})
  }
  while (app.cache.getStats().coalescedLoads < 19) await turns()
  const live = app.inject({ url: '/page', headers: { host: 'localhost' } })
  while (app.cache.getStats().coalescedLoads < 20) await turns()
  await Promise.all(sockets.map(async (socket) => {
    socket.destroy()
    await once(socket, 'close')
  }))
  await led.promise
  await turns(20)
  t.equal(runs, 2, 'the one whose client left, and the one whose client is there')
  gates[0]?.resolve('for nobody')
  gates[1]?.resolve('for who is there')
  t.match((await live).body, /for/)
  t.equal(runs, 2)
})

t.test('a hit with a header that cannot be written is an error, not a silence', async (t) => {
  for (const config of [{ ttl: 60 }, { ttl: 60, public: true }]) {
    const { app } = await cachedApp()
    t.teardown(() => app.close())
    let bad = false
    app.addHook('onRequest', async (_request, reply) => { if (bad) reply.header('x-bad', 'a\nb') })
    app.get('/page', { config: { cache: config } }, async () => 'page')
    await app.inject('/page')
    bad = true
    t.equal((await app.inject('/page')).statusCode, 500)
    bad = false
    t.match((await app.inject('/page')).headers['cache-status'], /;hit/)
  }
})

t.test('where cookies are stored, those of hooks are not, and each visitor has their own', async (t) => {
  for (const mode of ['serve', 'observe'] as const) {
    const { app } = await cachedApp({ http: { storeSetCookie: true }, mode })
    t.teardown(() => app.close())
    app.addHook('onRequest', async ({ headers }, reply) => { if (headers['x-user'] !== undefined) reply.header('set-cookie', `sid=${String(headers['x-user'])}`) })
    app.get('/page', { config: { cache: { ttl: 60 } } }, async (_request, reply) => reply.header('set-cookie', 'lang=de').send('page'))
    app.get('/two', { config: { cache: { ttl: 60 } } }, async (_request, reply) => reply.header('set-cookie', 'a=1').header('set-cookie', 'b=2').send('page'))
    app.addHook('onSend', async ({ headers }, reply) => { if (headers['x-late'] !== undefined) reply.header('set-cookie', `late=${String(headers['x-late'])}`) })
    const cookies = async (url: string, headers = {}): Promise<unknown> => [(await app.inject({ url, headers })).headers['set-cookie']].flat()
    for (const user of ['1', '2', '3']) t.same(await cookies('/page', { 'x-user': user }), [`sid=${user}`, 'lang=de'], `${mode}, user ${user}`)
    t.same(await cookies('/page'), ['lang=de'])
    for (const late of ['1', '2']) t.same(await cookies('/two', { 'x-late': late }), ['a=1', 'b=2', `late=${late}`], mode)
    t.same(await cookies('/two'), ['a=1', 'b=2'])
  }
})
