import { connect as connect2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import cache from '../../plugins/index.ts'
import { cachedApp, cacheStatus, deferred, turns } from '../support/cached-app.ts'
import { listening, rawRequest, type RawAnswer } from '../support/raw-http.ts'

t.test('routes of a context that was loaded before the plugin go on as they were, and purge', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async (child) => {
    child.get('/health', async () => 'ok')
    child.put('/x', async () => 'changed')
  })
  await app.register(cache, { strategy: 'memory' })
  let n = 0
  app.get('/x', { config: { cache: true } }, async () => `page ${++n}`)
  t.equal((await app.inject('/health')).body, 'ok')
  await app.inject('/x')
  t.equal((await app.inject('/x')).body, 'page 1')
  t.equal((await app.inject({ method: 'PUT', url: '/x' })).body, 'changed')
  t.equal((await app.inject('/x')).body, 'page 2')
})

const LATE_READERS: ReadonlyArray<readonly [name: string, answer: (request: FastifyRequest, reply: FastifyReply) => unknown]> = [
  ['behind reply.send', (request, reply) => {
    const out = new PassThrough()
    reply.send(out)
    out.end(`for ${String(request.headers['x-tenant'])}`)
  }],
  ['a turn later', (request, reply) => {
    const out = new PassThrough()
    setImmediate(() => { out.end(`for ${String(request.headers['x-tenant'])}`) })
    return reply.send(out)
  }],
  ['in a web stream, some promises later', async (request) => new ReadableStream({
    async start (controller) {
      for (let i = 0; i < 6; i++) await null
      controller.enqueue(Buffer.from(`for ${request.ip}`))
      controller.close()
    }
  })]
]

for (const trackDependencies of [true, false]) {
  for (const [name, answer] of LATE_READERS) {
    t.test(`what the maker of a stream reads ${name} counts, ${trackDependencies ? 'with' : 'without'} dependencies`, async (t) => {
      const { app } = await cachedApp({ trackDependencies })
      t.teardown(() => app.close())
      app.get('/x', { config: { cache: true } }, async (request, reply) => await answer(request, reply) as object)
      await app.inject({ url: '/x', headers: { 'x-tenant': 'evil' } })
      t.notMatch(cacheStatus(await app.inject({ url: '/x', headers: { 'x-tenant': 'good' } })), /^hit/)
    })
  }
}

t.test('what hooks read while a stream begins does not count', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  for (let i = 0; i < 3; i++) {
    app.addHook('onSend', async (request, reply) => {
      await turns(1)
      reply.header(`x-saw-${i}`, request.headers['accept-encoding'] ?? 'nothing')
    })
  }
  app.get('/x', { config: { cache: true } }, async (_request, reply) => {
    const out = new PassThrough()
    turns(10).then(() => { out.end('page') }, () => {})
    return await reply.send(out)
  })
  await app.inject('/x')
  t.match(cacheStatus(await app.inject('/x')), /^hit/)
})

t.test('what a hook of the app loaded before a purge is not stored after it', async (t) => {
  for (const inChild of [true, false]) {
    const { app } = await cachedApp()
    let stored = 'old'
    const loaded = deferred()
    const go = deferred()
    let first = true
    const pages = new WeakMap<object, string>()
    const add = (instance: typeof app): void => {
      instance.addHook('preHandler', async (request) => {
        pages.set(request, stored)
        if (!first) return
        first = false
        loaded.resolve()
        await go.promise
      })
      instance.get('/x', { config: { cache: { tags: ['t'] } } }, async (request) => pages.get(request))
    }
    if (inChild) await app.register(async (child) => { add(child as typeof app) })
    else add(app)
    const early = app.inject('/x')
    await loaded.promise
    stored = 'new'
    await app.cache.invalidate({ tags: ['t'] })
    go.resolve()
    t.equal((await early).body, 'old')
    t.equal((await app.inject('/x')).body, 'new')
    await app.close()
  }
})

t.test('those who waited while a purge came are served by one run more, though their hooks ran before it', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.addHook('preHandler', async () => {})
  let runs = 0
  const gate = deferred()
  app.get('/x', { config: { cache: { tags: ['t'] } } }, async () => {
    const run = ++runs
    if (run === 1) await gate.promise
    return `page ${run}`
  })
  const all = Array.from({ length: 50 }, async () => await app.inject('/x'))
  await turns()
  await app.cache.invalidate({ tags: ['t'] })
  gate.resolve()
  const [leader, ...others] = await Promise.all(all)
  t.equal(leader?.body, 'page 1')
  t.same(new Set(others.map(({ body }) => body)), new Set(['page 2']))
  t.equal(runs, 2)
  t.match(cacheStatus(await app.inject('/x')), /^hit/)
})

t.test('a closed query that drops who asks makes the request pass by', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  const users = new WeakMap<object, unknown>()
  app.addHook('onRequest', async (request) => { users.set(request, (request.query as Record<string, unknown>)['token'] ?? (request.query as Record<string, unknown>)['api_key']) })
  const querystring = { type: 'object', additionalProperties: false, properties: { page: { type: 'integer' }, sid: { type: 'string' } } }
  app.get('/x', { schema: { querystring }, config: { cache: true } }, async (request) => `page of ${String(users.get(request))}`)
  for (const name of ['alice', 'bob']) {
    for (const parameter of ['token', 'api_key']) {
      const answer = await app.inject(`/x?page=1&${parameter}=${name}`)
      t.equal(answer.body, `page of ${name}`)
      t.equal(cacheStatus(answer), 'fwd=bypass;detail=credentials')
    }
  }
  for (const says of [/stored$/, /^hit/]) t.match(cacheStatus(await app.inject('/x?page=1&utm_source=mail&sid=7')), says, 'others are dropped, and what is declared is in the key')
})

t.test('what an error handler answers is not stored for the answer it stands for', async (t) => {
  const broken = new Error('db down')
  const causes: ReadonlyArray<readonly [name: string, handler: (request: FastifyRequest, reply: FastifyReply) => unknown]> = [
    ['thrown', () => { throw broken }],
    ['rejected', async () => { throw broken }],
    ['sent', (_request, reply) => { reply.send(broken) }]
  ]
  for (const [name, handler] of causes) {
    for (const [options, answer] of [[{ ttl: 0 }, undefined], [{ ttl: 60 }, 200]] as const) {
      const { app } = await cachedApp()
      if (answer !== undefined) app.setErrorHandler(async (_error, _request, reply) => await reply.code(answer).send({ ok: false }))
      app.get('/x', { config: { cache: options } }, (request, reply) => {
        reply.header('cache-control', 'public, max-age=60')
        return handler(request, reply)
      })
      t.match(cacheStatus(await app.inject('/x')), /thrown/, name)
      t.notMatch(cacheStatus(await app.inject('/x')), /^hit/, name)
      await app.close()
    }
  }
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.addHook('preSerialization', async () => { throw broken })
  app.get('/x', { config: { cache: { ttl: 0 } } }, async (_request, reply) => {
    reply.header('cache-control', 'public, max-age=60')
    return { page: 1 }
  })
  t.match(cacheStatus(await app.inject('/x')), /thrown/, 'by a hook behind the handler')
})

t.test('a Cache-Control that a hook puts onto the raw response is the last word', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.addHook('onSend', async (_request, reply) => { reply.raw.setHeader('cache-control', 'no-store') })
  app.get('/x', { config: { cache: true } }, async () => 'page')
  const answer = await app.inject('/x')
  t.equal(answer.headers['cache-control'], 'no-store')
  t.match(cacheStatus(answer), /detail=no-store/)
})

t.test('a no-break space is part of a value, as it is for the application', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/cookie', { config: { cache: { cookies: ['theme'] } } }, async ({ headers }) => JSON.stringify(headers.cookie))
  app.get('/vary', { config: { cache: true } }, async ({ headers }, reply) => {
    reply.header('vary', 'x-lang, accept-language')
    return JSON.stringify([headers['x-lang'], headers['accept-language']])
  })
  const spellings = ['theme=dark', '\u00a0theme=dark', 'theme=\u00a0dark', 'theme\u00a0=dark', 'theme=dark\u00a0']
  for (const cookie of spellings) t.equal((await app.inject({ url: '/cookie', headers: { cookie } })).body, JSON.stringify(cookie))
  for (const name of ['x-lang', 'accept-language']) {
    for (const value of ['de', 'de\u00a0', '\u00a0de']) t.same((await app.inject({ url: '/vary', headers: { [name]: value } })).json(), name === 'x-lang' ? [value, null] : [null, value])
  }
})

t.test('no namespace has the keys of responses', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  t.throws(() => app.cache.namespace('response'), { code: 'FST_ERR_CACHE_KEY' })
  t.throws(() => app.cache.namespace('response:x'), { code: 'FST_ERR_CACHE_KEY' })
  await t.rejects(app.cache.namespace('tenant').get('x'.repeat(1020)), { code: 'FST_ERR_CACHE_KEY' })
  t.equal(await app.cache.namespace('responses').set('x', 1), true)
})

t.test('paths are purged by what their parameters were decoded to, and a query in one is a mistake', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/brands/:name', { config: { cache: true } }, async ({ params }) => (params as { name: string }).name)
  for (const name of ['café', 'a b', 'ключ', '🔑', 'a%2Fb']) {
    const url = `/brands/${name.includes('%') ? name : encodeURIComponent(name)}`
    await app.inject(url)
    t.match(cacheStatus(await app.inject(url)), /^hit/)
    await app.cache.invalidate({ paths: [`/brands/${name}`] })
    t.match(cacheStatus(await app.inject(url)), /^fwd=uri-miss/, name)
  }
  for (const path of ['/brands?page=1', '/brands#x']) await t.rejects(app.cache.invalidate({ paths: [path] }), { code: 'FST_ERR_CACHE_OPTION', message: /without a query/ })
  for (const path of ['/brands/:id', '/:brand']) await t.rejects(app.cache.invalidate({ paths: [path] }), { code: 'FST_ERR_CACHE_OPTION', message: /as they were asked for, such as \/products\/42/ })
  for (const path of ['/brands/*/models', '/**']) await t.rejects(app.cache.invalidate({ paths: [path] }), { code: 'FST_ERR_CACHE_OPTION', message: /a \* only at the end/ })
  for (const path of ['brands', '**']) await t.rejects(app.cache.invalidate({ paths: [path] }), { code: 'FST_ERR_CACHE_OPTION', message: /paths that begin with \/$/ })
})

t.test('an authority that is not the host passes by', async (t) => {
  const app = Fastify({ http2: true })
  await app.register(cache, { strategy: 'memory' })
  app.get('/x', { config: { cache: true } }, async ({ raw }) => (raw as unknown as { authority: string }).authority)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const session = connect2(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  t.teardown(async () => {
    session.close()
    await app.close()
  })
  const ask = async (headers: Record<string, string>): Promise<{ says: string, body: string }> => await new Promise((resolve) => {
    let says = ''
    let body = ''
    session.request({ ':path': '/x', ...headers })
      .on('response', (fields) => { says = String(fields['cache-status']) })
      .on('data', (chunk: Buffer) => { body += chunk.toString() })
      .on('end', () => { resolve({ says, body }) })
  })
  t.match(await ask({ ':authority': 'good.example' }), { says: /stored/ })
  t.match(await ask({ ':authority': 'evil.example', host: 'good.example' }), { says: /invalid-host/, body: 'evil.example' })
  t.match(await ask({ ':authority': 'good.example' }), { says: /;hit;/, body: 'good.example' })
})

t.test('entities that cannot be read leave nothing behind that no purge would find', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/x', { config: { cache: { entities: { product: '[].id' } } } }, async () => '{"id":1}\n{"id":2}\n')
  t.match(cacheStatus(await app.inject('/x')), /detail=tags-failed/)
})

t.test('a page that repeats the nonce of its Content-Security-Policy is for one response', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  for (const [url, body] of [['/nonce', '<script nonce="abc123"></script>'], ['/none', '<p>']] as const) {
    app.get(url, { config: { cache: true } }, async (_request, reply) => {
      reply.headers({ 'content-type': 'text/html', 'content-security-policy': "default-src 'self'; script-src 'nonce-abc123'" })
      return body
    })
  }
  t.match(cacheStatus(await app.inject('/nonce')), /detail=csp-nonce/)
  t.match(cacheStatus(await app.inject('/none')), /stored/)
})

t.test('a list of headers that a late writeHead gets is read as well, and so is a blank for a dash', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.addHook('onSend', async (request, reply) => {
    if (request.url !== '/list') return
    const { writeHead } = reply.raw
    reply.raw.writeHead = function (this: typeof reply.raw, status: number, headers: Record<string, string>) {
      return writeHead.call(this, status, [...Object.entries(headers).flat(), 'set-cookie', 'sid=1'] as never)
    } as never
  })
  app.get('/list', { config: { cache: true } }, async () => 'page')
  app.get('/blank', { config: { cache: true } }, async (_request, reply) => { reply.header('cache-control', 'max-age=60, no store'); return 'page' })
  for (const url of ['/list', '/blank']) {
    await app.inject(url)
    t.notMatch(cacheStatus(await app.inject(url)), /^hit/, url)
  }
})

t.test('the answer to a HEAD of what has no body has the length of nothing', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/x', { config: { cache: true } }, async () => 'page')
  app.get('/none', { config: { cache: true } }, async (_request, reply) => await reply.code(204).send())
  const port = await listening(app)
  const head = async (url: string, ...conditions: string[]): Promise<RawAnswer> => await rawRequest(port, [`HEAD ${url} HTTP/1.1`, 'Host: localhost', ...conditions])
  const { headers: { etag } } = await app.inject({ url: '/x', headers: { host: 'localhost' } })
  await app.inject({ url: '/none', headers: { host: 'localhost' } })
  t.match(await head('/x'), { status: 200, headers: { 'content-length': '4' } })
  for (const [answer, status] of [[await head('/x', `If-None-Match: ${String(etag)}`), 304], [await head('/none'), 204]] as const) {
    t.match(answer, { status, headers: { 'cache-status': /hit;ttl/, 'content-length': undefined, 'content-type': undefined } })
  }
})

t.test('credentials that a guard has taken off the request count as they were sent', async (t) => {
  const users: Record<string, string> = { 'Bearer a': 'alice', 'Bearer b': 'bob', 'session=a': 'alice', 'session=b': 'bob' }
  const takes: Record<string, (headers: Record<string, unknown>, name: string) => void> = {
    deletes: (headers, name) => { Reflect.deleteProperty(headers, name) },
    empties: (headers, name) => { headers[name] = undefined }
  }
  for (const hook of ['onRequest', 'preHandler'] as const) {
    for (const [how, take] of Object.entries(takes)) {
      const { app } = await cachedApp()
      t.teardown(() => app.close())
      app.decorateRequest('user', '')
      app.addHook(hook, (async (request: { headers: Record<string, unknown>, user: string }) => {
        for (const name of ['authorization', 'cookie']) {
          request.user ||= users[String(request.headers[name])] ?? ''
          take(request.headers, name)
        }
      }) as never)
      app.get('/me', { config: { cache: { ttl: 60 } } }, async (request) => (request as unknown as { user: string }).user)
      app.get('/page', { config: { cache: { ttl: 60, cookies: ['lang'] } } }, async (request) => (request as unknown as { user: string }).user)
      for (const headers of [{ authorization: 'Bearer a' }, { authorization: 'Bearer b' }, { cookie: 'session=a' }, { cookie: 'session=b' }]) {
        for (const url of ['/me', '/page']) {
          const response = await app.inject({ url, headers })
          t.match([response.body, cacheStatus(response)], [users[Object.values(headers)[0] as string], 'fwd=bypass;detail=credentials'], `${hook} ${how} ${JSON.stringify(headers)} ${url}`)
        }
      }
    }
  }
})

t.test('a header or cookie of the key that a hook has taken off the request is in the key all the same', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.decorateRequest('money', '')
  app.addHook('preHandler', (async (request: { headers: Record<string, unknown>, money: string }) => {
    request.money = `${String(request.headers['x-currency'])} ${String(request.headers['cookie'])}`
    delete request.headers['x-currency']
    delete request.headers['cookie']
  }) as never)
  app.get('/price', { config: { cache: { headers: ['x-currency'], cookies: ['lang'] } } }, async (request) => (request as unknown as { money: string }).money)
  for (const [currency, lang] of [['EUR', 'de'], ['USD', 'de'], ['USD', 'fr']]) {
    t.equal((await app.inject({ url: '/price', headers: { 'x-currency': currency, cookie: `lang=${lang}` } })).body, `${currency} lang=${lang}`)
  }
})

t.test('a field that a hook has taken off the request tells variants apart all the same, and is there again for a refresh', async (t) => {
  const { app, clock } = await cachedApp()
  t.teardown(() => app.close())
  app.decorateRequest('lang', '')
  app.addHook('onRequest', (async (request: { headers: Record<string, unknown>, lang: string }) => {
    request.lang = String(request.headers['x-lang'])
    delete request.headers['x-lang']
  }) as never)
  let version = 1
  app.get('/page', { config: { cache: { ttl: 10, staleWhileRevalidate: 60 } } }, async (request, reply) => {
    reply.header('vary', 'x-lang')
    return `${(request as unknown as { lang: string }).lang} ${version}`
  })
  const ask = async (lang: string): Promise<unknown[]> => {
    const response = await app.inject({ url: '/page', headers: { 'x-lang': lang } })
    return [response.body, cacheStatus(response)?.split(';')[0]]
  }
  for (const lang of ['de', 'fr']) {
    t.same(await ask(lang), [`${lang} 1`, lang === 'de' ? 'fwd=uri-miss' : 'fwd=vary-miss'])
    t.same(await ask(lang), [`${lang} 1`, 'hit'])
  }
  version = 2
  clock.advance(11_000)
  t.same(await ask('fr'), ['fr 1', 'hit'])
  await turns()
  t.same(await ask('fr'), ['fr 2', 'hit'])
  t.same(await ask('de'), ['de 1', 'hit'])
})

t.test('a credential that a hook has cut out of the cookie counts as it was sent', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.decorateRequest('user', '')
  app.addHook('onRequest', (async (request: { headers: Record<string, string | undefined>, user: string }) => {
    request.user = /sid=(\w+)/.exec(request.headers['cookie'] ?? '')?.[1] ?? 'nobody'
    request.headers['cookie'] = request.headers['cookie']?.replace(/sid=\w+; ?/, '')
  }) as never)
  app.get('/me', { config: { cache: { cookies: ['theme'] } } }, async (request) => (request as unknown as { user: string }).user)
  for (const [cookie, user] of [['sid=ada; theme=dark', 'ada'], ['sid=bob; theme=dark', 'bob'], ['theme=dark', 'nobody']]) {
    t.equal((await app.inject({ url: '/me', headers: { cookie } })).body, user)
  }
  t.match(cacheStatus(await app.inject({ url: '/me', headers: { cookie: 'theme=dark' } })), /^hit/)
})

t.test('what a handler takes off the request once it has read it counts as read', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/me', { config: { cache: { public: true, cookies: ['lang'] } } }, async (request) => {
    const page = `page of ${String(request.headers.cookie)}`
    delete request.headers.cookie
    return page
  })
  for (const cookie of ['lang=de; sid=ada', 'lang=de; sid=bob']) t.equal((await app.inject({ url: '/me', headers: { cookie } })).body, `page of ${cookie}`)
})

t.test('a response is found again by the headers of its request, whatever its handler or a hook behind the lookup makes of them', async (t) => {
  const changes: Record<string, (headers: Record<string, unknown>) => void> = {
    overwrites: (headers) => { headers['x-lang'] = 'en' },
    defines: (headers) => { Object.defineProperty(headers, 'x-lang', { value: 'en', configurable: true, enumerable: true, writable: true }) },
    deletes: (headers) => { delete headers['x-lang'] }
  }
  for (const [how, change] of Object.entries(changes)) {
    const { app } = await cachedApp()
    t.teardown(() => app.close())
    app.decorateRequest('lang', '')
    const answer = (request: FastifyRequest, reply: FastifyReply): string => {
      reply.header('vary', 'x-lang')
      return `page in ${(request as unknown as { lang: string }).lang}`
    }
    const read = (request: FastifyRequest): void => {
      (request as unknown as { lang: string }).lang = String(request.headers['x-lang'])
      change(request.headers)
    }
    let seen: unknown
    app.get('/handler', { config: { cache: true } }, async (request, reply) => {
      read(request)
      seen = [request.headers['x-lang'], 'x-lang' in request.headers, Object.keys(request.headers).includes('x-lang'), { ...request.headers }['x-lang']]
      return answer(request, reply)
    })
    app.get('/hook', { preHandler: async (request) => { read(request) }, config: { cache: { public: true } } }, async (request, reply) => answer(request, reply))
    for (const url of ['/handler', '/hook']) {
      for (const lang of ['de', 'en', 'fr', 'de', 'en']) {
        t.equal((await app.inject({ url, headers: { 'x-lang': lang } })).body, `page in ${lang}`, `${how} ${url} ${lang}`)
      }
    }
    t.same(seen, how === 'deletes' ? [undefined, false, false, undefined] : ['en', true, true, 'en'], 'the handler sees what it has made')
  }
})

t.test('names made of what is not there are known for what they are, wherever that stands', async (t) => {
  const warnings: string[] = []
  const { app } = await cachedApp({}, { logger: { level: 'warn', stream: { write (line: string) { warnings.push((JSON.parse(line) as { msg: string }).msg) } } } })
  t.teardown(() => app.close())
  const user: { id?: string } = {}
  const unmade = [`user-${String(user)}`, `acme.${String(user.id)}`, `user_${String(user.id)}`, `user:${String(user.id)}`]
  for (const [at, name] of [...unmade, 'null-pointer'].entries()) app.get(`/p${at}`, { config: { cache: { partition: () => name } } }, async () => 'page')
  app.get('/tagged', { config: { cache: { tags: () => [`user:${String(user.id)}`] } } }, async () => 'page')
  for (const [at, name] of unmade.entries()) t.equal(cacheStatus(await app.inject(`/p${at}`)), 'fwd=bypass;detail=no-partition', name)
  t.match(cacheStatus(await app.inject(`/p${unmade.length}`)), /stored/, 'null-pointer')
  await app.inject('/tagged')
  t.ok(warnings.some((warning) => warning.includes('config.cache.tags of /tagged')))
})

t.test('a credential that a hook has taken off keeps a response that is not for everybody out of the store', async (t) => {
  const { app } = await cachedApp({ http: { shareByDirective: true } })
  t.teardown(() => app.close())
  app.decorateRequest('user', '')
  app.addHook('onRequest', (async (request: { headers: Record<string, unknown>, user: string }) => {
    request.user = String(request.headers['authorization'])
    delete request.headers['authorization']
  }) as never)
  app.get('/me', { config: { cache: { ttl: 60 } } }, async (request) => (request as unknown as { user: string }).user)
  for (const authorization of ['a', 'b']) t.equal((await app.inject({ url: '/me', headers: { authorization } })).body, authorization)
  t.equal((await app.inject('/me')).body, 'undefined')
})

t.test('a query that hooks have changed, or whose values text cannot show, counts as it was sent', async (t) => {
  const closed = (properties: object): object => ({ querystring: { type: 'object', additionalProperties: false, properties } })
  const { app } = await cachedApp({}, {
    ajv: {
      plugins: [(ajv: { addKeyword: (keyword: object) => void }) => {
        ajv.addKeyword({
          keyword: 'asSet',
          modifying: true,
          validate: (_schema: unknown, value: string, _parent: unknown, { parentData, parentDataProperty }: { parentData: Record<string, unknown>, parentDataProperty: string }) => {
            parentData[parentDataProperty] = new Set([value])
            return true
          }
        })
      }] as never
    }
  })
  t.teardown(() => app.close())
  const paging = async (request: { query: unknown, page?: unknown }): Promise<void> => {
    const query = request.query as Record<string, unknown>
    request.page = query['page']
    delete query['page']
  }
  app.get('/items', { schema: closed({ page: { type: 'integer', default: 1 } }), preHandler: paging as never, config: { cache: true } }, async (request) => String((request as { page?: unknown }).page))
  for (const isPublic of [false, true]) {
    app.get(`/set/${String(isPublic)}`, { schema: closed({ tag: { asSet: true } }), config: { cache: { public: isPublic } } }, async ({ query }) => [...(query as { tag: Set<string> }).tag])
  }
  for (const page of [1, 2, 3, 2]) t.equal((await app.inject(`/items?page=${page}`)).body, String(page))
  for (const isPublic of [false, true]) {
    for (const tag of ['a', 'b', 'a']) t.same((await app.inject(`/set/${String(isPublic)}?tag=${tag}`)).json(), [tag])
  }
})

t.test('what validation refuses has no key in common with what it lets pass', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  app.get('/x', { schema: { querystring: { type: 'object', additionalProperties: false, properties: { ids: { type: 'array', items: { type: 'integer' } } } } }, config: { cache: { public: true } } }, async ({ query }) => query)
  for (const [valid, refused] of [['/x?ids=1&ids=2', '/x?ids=[1,2]'], ['/x?ids=1', '/x?ids=[1]']] as const) {
    t.equal((await app.inject(valid)).statusCode, 200)
    t.match(cacheStatus(await app.inject(valid)), /^hit/)
    t.equal((await app.inject(refused)).statusCode, 400)
  }
})

t.test('a request for a WebSocket is answered from no store', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  for (const url of ['/live', '/public']) {
    app.get(url, { config: { cache: { public: url === '/public' } } }, async () => 'page')
  }
  for (const url of ['/live', '/public']) {
    await app.inject(url)
    t.match(cacheStatus(await app.inject(url)), /^hit/)
    t.match(cacheStatus(await app.inject({ url, headers: { connection: 'Upgrade', upgrade: 'WebSocket' } })), /^fwd=bypass;detail=upgrade/)
  }
})

t.test('a route that is made from a cached one is cached by itself, and waits for nobody', async (t) => {
  for (const isPublic of [false, true]) {
    const { app } = await cachedApp({ coalesceTimeout: 600 })
    t.teardown(() => app.close())
    app.addHook('onRoute', function (route) {
      if (route.url.startsWith('/p') && route.method === 'GET') this.route({ ...route, url: `/v1${route.url}` })
    })
    let runs = 0
    app.get('/p/:id', { config: { cache: { public: isPublic, entities: { product: 'id' } } }, onRequest: async () => {} }, async ({ params }) => {
      runs++
      return { id: (params as { id: string }).id }
    })
    for (const url of ['/p/1', '/v1/p/1']) {
      t.match(cacheStatus(await app.inject(url)), /^fwd=uri-miss;ttl=\d+;stored$/)
      t.match(cacheStatus(await app.inject(url)), /^hit/)
      await app.cache.invalidate({ tags: ['product:1'] })
      t.match(cacheStatus(await app.inject(url)), /^fwd=uri-miss/)
    }
    t.equal(runs, 4)
  }
})

t.test('credentials without cookie are told of where requests have cookies', async (t) => {
  for (const [credentials, decorator, expected] of [[['authorization', 'x-api-key'], 'session', 1], [['authorization', 'cookie'], 'session', 0], [['authorization'], 'other', 0]] as const) {
    const warnings: string[] = []
    const { app } = await cachedApp({ credentials: [...credentials] }, { logger: { level: 'warn', stream: { write (line: string) { warnings.push((JSON.parse(line) as { msg: string }).msg) } } } })
    app.decorateRequest(decorator, null)
    await app.ready()
    await app.close()
    t.equal(warnings.filter((line) => line.startsWith('cache: credentials has no cookie')).length, expected, `${credentials.join()} ${decorator}`)
  }
})
