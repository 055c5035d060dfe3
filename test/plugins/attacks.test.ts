import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import cache, { type RouteCacheOptions } from '../../plugins/index.ts'
import { listening, rawRequest } from '../support/raw-http.ts'
import { projectRoot } from '../support/source-tree.ts'

const require = createRequire(import.meta.url)

/* The sample of published attacks, played by its own runner over raw sockets. */

interface SampleCase { part: number, id: string, title: string, expect: object[] }
interface Runner { runCase: (attack: SampleCase, adapter: unknown) => Promise<{ fails: string[] }> }

const tools = process.env.ATTACK_TOOLS ?? projectRoot + '../shared/tools/'
const sample = process.env.ATTACKS ?? projectRoot + '../shared/data/attacks.json'
const present = existsSync(tools + '/attack-runner.cjs') && existsSync(sample)

const sampleCases = (): SampleCase[] => JSON.parse(readFileSync(sample, 'utf8')) as SampleCase[]

t.test('every attack of the published sample that is HTTP gets the right answer', { skip: present ? false : 'the attack sample is not here: name it in ATTACKS and ATTACK_TOOLS' }, async (t) => {
  const { runCase } = require(tools + '/attack-runner.cjs') as Runner
  const adapter: unknown = require('../support/attack-adapter.cjs')
  const cases = sampleCases().filter(({ part }) => part === 1)
  t.ok(cases.length >= 30, 'the sample was read')
  const play = async (attack: SampleCase): Promise<void> => {
    const { fails } = await runCase(attack, adapter)
    t.same(fails, [], `${attack.id} ${attack.title}`)
  }
  // Most cases wait most of the time; those that measure time have the machine for themselves.
  const timed = (attack: SampleCase): boolean => /"(?:m|allM)axMs"/.test(JSON.stringify(attack.expect))
  await Promise.all(cases.filter((attack) => !timed(attack)).map(play))
  for (const attack of cases.filter(timed)) await play(attack)
})

/* Attacks on what is behind HTTP cannot be played by a runner from outside. Each is played by a test of its own part. */

const PLAYED_ELSEWHERE: Readonly<Record<string, readonly [file: string, test: string]>> = {
  R02: ['lib/codec/entry-codec', 'a header is believed only if every member has its type and range'],
  R05: ['lib/codec/compression', 'an unknown codec, a chain of codecs and damaged bytes are no bytes'],
  R08: ['lib/stores/redis', 'what somebody else left under our key is a miss, counted, and overwritten by the next fill'],
  R11: ['lib/codec/entry-codec', 'another version is told from damage, and damage from what was never ours'],
  R14: ['lib/codec/serializer', 'foreign bytes build no class, run no code and pollute no prototype'],
  B02: ['lib/invalidation/log-parts', 'whatever cannot be read is a purge of everything, and never an exception'],
  B05: ['lib/invalidation/log-parts', 'whatever cannot be read is a purge of everything, and never an exception'],
  B08: ['lib/invalidation/redis-log', 'a half-open connection is found out by its silence'],
  G02: ['lib/keyspace/pattern', 'a pattern that says nothing certain is refused'],
  G05: ['lib/keyspace/pattern', 'a pattern that says nothing certain is refused'],
  G08: ['lib/keyspace/pattern', 'escaped text matches itself and nothing else'],
  A02: ['routes/routes', 'takes nothing that a form could send'],
  A05: ['routes/routes', 'refuses a missing and a wrong token alike, on every route and in every spelling of it'],
  A08: ['routes/warm', 'goes nowhere but to paths of this app'],
  A11: ['routes/warm', 'goes nowhere but to paths of this app'],
  A14: ['routes/warm', 'goes nowhere but to paths of this app'],
  A17: ['routes/routes', 'is needed: without one there are no guarded routes'],
  A20: ['plugins/attacks', 'A: no header of a stranger makes the cache run the handler, or take the request for its own']
}

t.test('every attack of the sample that is not HTTP has a test of its own', async (t) => {
  for (const [id, [file, name]] of Object.entries(PLAYED_ELSEWHERE)) t.match(readFileSync(`${projectRoot}test/${file}.test.ts`, 'utf8'), `t.test('${name}'`, id)
  if (present) t.same(sampleCases().filter(({ part }) => part !== 1).map(({ id }) => id).sort(), Object.keys(PLAYED_ELSEWHERE).sort())
})

/* Our own cases: each is a route, an attacker's requests, and an innocent request that must not notice. */

type Line = string
interface Attack {
  readonly name: string
  readonly route?: RouteCacheOptions
  readonly path?: string
  readonly schema?: object
  readonly app?: object
  readonly answer: (request: FastifyRequest, reply: FastifyReply, run: number) => unknown
  /** Requests of the attacker, as head lines; a path alone is a plain GET. */
  readonly attack: ReadonlyArray<readonly Line[] | string>
  readonly victim: readonly Line[] | string
  /** What must not reach the victim. */
  readonly poison: string
  /** What the victim must get. */
  readonly wholesome?: string
}

const get = (path: string, ...fields: string[]): Line[] => [`GET ${path} HTTP/1.1`, ...fields.some((field) => /^host:/i.test(field)) ? [] : ['Host: a.example'], ...fields]
const lines = (request: readonly Line[] | string): readonly Line[] => typeof request === 'string' ? get(request) : request

const reflects = (name: string) => ({ headers }: FastifyRequest): string => `built from ${headers[name]?.toString() ?? 'nothing'}`

const UNKEYED = ['x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-for', 'x-forwarded-port', 'x-forwarded-prefix', 'x-host', 'x-original-url', 'x-rewrite-url', 'x-http-method-override', 'forwarded', 'x-real-ip', 'true-client-ip', 'referer', 'user-agent', 'accept', 'accept-language', 'origin', 'x-nextjs-data', 'rsc', 'x-middleware-prefetch', 'cf-connecting-ip', 'expect', 'via', 'x-anything-else', '__proto__', 'constructor']

const unkeyed: Attack[] = UNKEYED.filter((name) => name !== 'expect').flatMap((name) => [
  { name: `P: a response built from ${name}`, answer: reflects(name), attack: [get('/p', `${name}: evil`)], victim: '/p', poison: 'evil' },
  { name: `P: a response built without ${name}, where it matters that it is absent`, answer: ({ headers }) => headers[name] === undefined ? 'evil' : 'good', attack: ['/p'], victim: get('/p', `${name}: x`), poison: 'evil' }
])

const readers: Attack[] = ([
  ['spreading the headers', ({ headers }) => ({ ...headers })],
  ['listing the headers', ({ headers }) => Object.entries(headers).flat().join()],
  ['destructuring a header', ({ headers: { 'x-evil': evil } }) => evil ?? 'nothing'],
  ['asking whether a header is there', ({ headers }) => 'x-evil' in headers ? 'evil' : 'good'],
  ['asking with hasOwn', ({ headers }) => Object.hasOwn(headers, 'x-evil') ? 'evil' : 'good'],
  ['serialising the headers', ({ headers }) => JSON.stringify(headers)],
  ['cloning the headers', ({ headers }) => Object.assign({}, headers)['x-evil'] ?? 'nothing'],
  ['reading raw.headers', ({ raw }) => raw.headers['x-evil'] ?? 'nothing'],
  ['reading rawHeaders', ({ raw }) => raw.rawHeaders.join()],
  ['reading rawHeaders by includes', ({ raw }) => raw.rawHeaders.includes('evil') ? 'evil' : 'good'],
  ['reading headersDistinct', ({ raw }) => raw.headersDistinct['x-evil']?.join() ?? 'nothing'],
  ['reading a header in a callback', async ({ headers }) => await new Promise((resolve) => setImmediate(() => { resolve(headers['x-evil'] ?? 'nothing') }))]
] satisfies ReadonlyArray<readonly [string, Attack['answer']]>).map(([how, answer]) => ({ name: `P: a response built by ${how}`, answer, attack: [get('/p', 'X-Evil: evil')], victim: '/p', poison: 'evil' }))

const target = ({ raw }: FastifyRequest): string => `made for ${raw.url ?? ''}`
const wildcard = { path: '/*', answer: target }

const targets: Attack[] = [
  { name: 'P: a fragment in the target', path: '/x', answer: ({ query }) => query, attack: ['/x#evil=1', '/x?#evil=1'], victim: '/x', poison: 'evil' },
  { name: 'P: a dot segment', ...wildcard, attack: ['/evil/../x', '/evil/%2e%2e/x', '/evil/%2E./x', '/./x', '/x/.'], victim: '/x', poison: 'evil' },
  { name: 'P: a backslash', ...wildcard, attack: ['/evil\\..\\x', '\\x'], victim: '/x', poison: 'evil' },
  { name: 'P: a doubled slash', ...wildcard, attack: ['//evil.example/x', '/x//'], victim: '/x', poison: 'evil' },
  { name: 'P: an absolute target', ...wildcard, attack: [get('http://evil.example/x', 'Host: a.example')], victim: '/x', poison: 'evil' },
  { name: 'P: a host with a path in it', ...wildcard, answer: ({ host }) => `//${host}/`, attack: [get('/x', 'Host: a.example/evil?x='), get('/x', 'Host: a.example#evil'), get('/x', 'Host: evil@a.example')], victim: '/x', poison: 'evil' },
  { name: 'P: two Host lines', ...wildcard, answer: ({ host }) => `//${host}/`, attack: [get('/x', 'Host: evil.example', 'Host: a.example')], victim: '/x', poison: 'evil' },
  { name: 'P: another port', ...wildcard, answer: ({ host }) => `//${host}/`, attack: [get('/x', 'Host: a.example:6666')], victim: '/x', poison: '6666' },
  { name: 'P: a body on a GET', path: '/x', answer: ({ headers }) => `length ${headers['content-length'] ?? ''}`, attack: [get('/x', 'Content-Length: 1')], victim: '/x', poison: 'length 1' },
  { name: 'P: parameters cloaked behind a semicolon', path: '/x', answer: ({ query }) => query, attack: ['/x?a=1;b=evil', '/x?a=1&b=evil'], victim: '/x?a=1', poison: 'evil' },
  { name: 'P: a parameter given twice', path: '/x', answer: ({ query }) => query, attack: ['/x?a=1&a=evil', '/x?a=evil&a=1'], victim: '/x?a=1', poison: 'evil' },
  { name: 'P: the target itself, where the schema names the parameters that count', path: '/x', schema: { querystring: { type: 'object', additionalProperties: false, properties: { a: { type: 'string' } } } }, answer: target, attack: ['/x?a=1&utm=evil'], victim: '/x?a=1', poison: 'evil' },
  { name: 'P: originalUrl, where the schema names the parameters that count', path: '/x', schema: { querystring: { type: 'object', additionalProperties: false, properties: { a: { type: 'string' } } } }, answer: ({ originalUrl }) => originalUrl, attack: ['/x?a=1&utm=evil'], victim: '/x?a=1', poison: 'evil' },
  { name: 'P: a list that looks like a text', path: '/x', schema: { querystring: { type: 'object', additionalProperties: false, properties: { a: {} } } }, answer: ({ query }) => (query as { a: unknown }).a instanceof Array ? 'evil' : 'good', attack: ['/x?a=1&a=2'], victim: '/x?a=1,2', poison: 'evil' },
  { name: 'P: what a rewrite of the target leaves out', path: '/x', app: { rewriteUrl: () => '/x' }, answer: ({ originalUrl }) => originalUrl, attack: ['/evil'], victim: '/x', poison: 'evil' },
  { name: 'P: a delimiter in a header of the key', route: { headers: ['x-a', 'x-b'] }, answer: ({ headers }) => `${String(headers['x-a'])}|${String(headers['x-b'])}`, attack: [get('/p', 'X-A: 1\t3:x-b4:evil', 'X-B: 2')], victim: get('/p', 'X-A: 1', 'X-B: evil2'), poison: '3:x' },
  { name: 'P: an allowed origin that reflects the request', answer: ({ headers }, reply) => { reply.header('access-control-allow-origin', headers.origin ?? 'null'); return 'page' }, attack: [get('/p', 'Origin: https://evil.example')], victim: get('/p', 'Origin: https://good.example'), poison: 'evil.example' },
  { name: 'P: a redirect that was made for a plain connection', app: {}, answer: ({ headers }, reply) => headers['x-forwarded-proto'] === 'http' ? reply.redirect('https://evil.example/', 301) : 'page', attack: [get('/p', 'X-Forwarded-Proto: http')], victim: '/p', poison: 'evil' }
]

const ERRORS = [400, 401, 403, 404, 405, 406, 408, 410, 413, 414, 429, 431, 451, 500, 501, 502, 503, 504, 302, 303, 307]
const errors: Attack[] = ERRORS.map((status) => ({
  name: `D: a ${status} that passes`,
  answer: (_request, reply, run) => run === 1 ? reply.code(status).header('cache-control', 'public, max-age=60').header('location', '/evil').send('evil') : 'good',
  attack: ['/p'],
  victim: '/p',
  poison: 'evil',
  wholesome: 'good'
}))

const PRIVATE = ['private', 'private, max-age=60', 'max-age=60; private', 'PRIVATE', 'public, private', 'private="set-cookie", private', 'no-store', 'No-Store, max-age=60', 'no_store', 'max-age=60 no-store', 'no-cache', 'max-age=0', 'max-age=-1', 'max-age="60', 's-maxage=0, max-age=60', 'private,max-age=60,public', 'x="a, public, max-age=60", private', 'max-age=60\tprivate', '"private"', ', ,private']
const personal: Attack[] = [
  ...PRIVATE.map((cacheControl): Attack => ({ name: `L: Cache-Control: ${JSON.stringify(cacheControl)}`, answer: (_request, reply, run) => { reply.header('cache-control', cacheControl); return run === 1 ? 'evil' : 'good' }, attack: ['/p'], victim: '/p', poison: 'evil', wholesome: 'good' })),
  ...['Cookie', 'Authorization', '*', 'Accept, *', 'cookie', 'bad name(', 'Accept-Encoding, Cookie'].map((vary): Attack => ({ name: `L: Vary: ${vary}`, answer: (_request, reply, run) => { reply.header('vary', vary); return run === 1 ? 'evil' : 'good' }, attack: ['/p'], victim: '/p', poison: 'evil', wholesome: 'good' })),
  ...['Authorization: Bearer evil', 'Cookie: session=evil', 'Proxy-Authorization: Basic evil'].map((credential): Attack => ({ name: `L: a response to ${credential}`, answer: ({ headers }) => `for ${headers.authorization ?? headers.cookie ?? headers['proxy-authorization'] ?? 'nobody'}`, attack: [get('/p', credential), get('/p', credential, 'Connection: Authorization, Cookie')], victim: '/p', poison: 'evil', wholesome: 'nobody' })),
  { name: 'L: a cookie that the handler sets', answer: (_request, reply, run) => { if (run === 1) reply.header('set-cookie', 'session=evil'); return run === 1 ? 'evil' : 'good' }, attack: ['/p'], victim: '/p', poison: 'evil', wholesome: 'good' },
  { name: 'L: a public route whose handler looks at a cookie', route: { public: true }, answer: ({ headers }) => `for ${headers.cookie ?? 'nobody'}`, attack: [get('/p', 'Cookie: session=evil')], victim: '/p', poison: 'evil', wholesome: 'nobody' },
  { name: 'L: a route with a cookie in the key, and another cookie', route: { cookies: ['theme'] }, answer: ({ headers }) => `for ${headers.cookie ?? 'nobody'}`, attack: [get('/p', 'Cookie: theme=dark; session=evil'), get('/p', 'Cookie: theme=dark', 'Cookie: session=evil')], victim: get('/p', 'Cookie: theme=dark'), poison: 'evil', wholesome: 'theme=dark' },
  { name: 'L: a partition that poses as another', route: { partition: ({ headers }) => headers['x-user']?.toString(), harmlessHeaders: ['x-user'] }, answer: ({ headers }) => `for ${headers['x-user']?.toString() ?? 'nobody'}`, attack: [get('/p', 'X-User: a')], victim: get('/p', 'X-User: b'), poison: 'for a', wholesome: 'for b' },
  { name: 'L: a request without a partition', route: { partition: ({ headers }) => headers['x-user']?.toString(), harmlessHeaders: ['x-user'] }, answer: ({ headers }) => `for ${headers['x-user']?.toString() ?? 'nobody'}`, attack: ['/p'], victim: get('/p', 'X-User: '), poison: 'nobody', wholesome: 'for ' }
]

const deception: Attack[] = ['/account/x.css', '/account%2fx.css', '/account;x.css', '/account%3bx.css', '/account%3fx.css', '/account%23x.css', '/account%00x.css', '/account%0ax.css', '/account.css', '/account/..%2fx.css', '/static/..%2faccount'].map((path) => ({
  name: `W: ${path} of a user`,
  path: '/*',
  answer: ({ headers }) => `account of ${headers.cookie ?? 'nobody'}`,
  attack: [get(path, 'Cookie: session=evil')],
  victim: path,
  poison: 'evil',
  wholesome: 'nobody'
}))

const conditions: Attack[] = [
  { name: 'C: a Range that fills', answer: ({ headers }) => headers.range === undefined ? 'the whole page' : 'evil part', attack: [get('/p', 'Range: bytes=0-1'), get('/p', 'If-Range: "x"', 'Range: bytes=0-1')], victim: '/p', poison: 'evil', wholesome: 'the whole page' },
  { name: 'C: a condition that fills', answer: ({ headers }, reply) => headers['if-none-match'] === undefined && headers['if-modified-since'] === undefined ? 'the whole page' : reply.code(304).header('x-evil', 'evil').send(), attack: [get('/p', 'If-None-Match: *'), get('/p', 'If-Modified-Since: Tue, 01 Jan 2030 00:00:00 GMT')], victim: '/p', poison: 'evil', wholesome: 'the whole page' },
  { name: 'C: a part without its status', answer: (_request, reply, run) => { if (run === 1) reply.header('content-range', 'bytes 0-1/9'); return run === 1 ? 'evil' : 'good' }, attack: ['/p'], victim: '/p', poison: 'evil', wholesome: 'good' },
  { name: 'C: a 206', answer: (_request, reply, run) => run === 1 ? reply.code(206).header('content-range', 'bytes 0-1/9').send('evil') : 'good', attack: ['/p'], victim: '/p', poison: 'evil', wholesome: 'good' },
  { name: 'C: a HEAD that fills', answer: (request) => request.method === 'HEAD' ? 'evil' : 'good', attack: [['HEAD /p HTTP/1.1', 'Host: a.example']], victim: '/p', poison: 'evil', wholesome: 'good' },
  { name: 'C: a client that wants no stored response', answer: (_request, _reply, run) => run === 1 ? 'good' : 'evil', attack: ['/p', get('/p', 'Cache-Control: no-cache'), get('/p', 'Pragma: no-cache'), get('/p', 'Cache-Control: max-age=0')], victim: '/p', poison: 'evil', wholesome: 'good' }
]

async function appFor (attack: Attack): Promise<FastifyInstance> {
  const app = Fastify({ logger: false, ...attack.app })
  await app.register(cache, { metrics: false, exposeStats: false })
  let runs = 0
  app.get(attack.path ?? '/p', { config: { cache: { ttl: 60, ...attack.route } }, ...attack.schema !== undefined && { schema: attack.schema } }, async (request, reply) => await attack.answer(request, reply, ++runs))
  return app
}

t.test('no request of an attacker reaches the response of another', async (t) => {
  for (const attack of [...unkeyed, ...readers, ...targets, ...errors, ...personal, ...deception, ...conditions]) {
    const app = await appFor(attack)
    const port = await listening(app)
    for (const request of attack.attack) await rawRequest(port, lines(request))
    const { body, headers } = await rawRequest(port, lines(attack.victim))
    const seen = body + JSON.stringify({ ...headers, 'cache-status': undefined })
    t.equal(seen.includes(attack.poison), false, attack.name + ': ' + seen.slice(0, 200))
    if (attack.wholesome !== undefined) t.match(body, attack.wholesome, attack.name)
    await app.close()
  }
})

t.test('while all that is defended, ordinary pages still hit', async (t) => {
  const app = Fastify({ trustProxy: true })
  await app.register(cache, { metrics: false, exposeStats: false })
  const pages: Record<string, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
    '/text': () => 'page',
    '/json': () => ({ page: 1 }),
    '/host': ({ host, hostname, protocol, url }) => ({ host, hostname, protocol, url }),
    '/vary': ({ headers }, reply) => { reply.header('vary', 'Accept-Language'); return headers['accept-language'] ?? 'en' },
    '/max-age': (_request, reply) => { reply.header('cache-control', 'public, max-age=60'); return 'page' },
    '/logged-out': ({ headers }) => headers.authorization ?? headers.cookie ?? 'nobody',
    '/params/:id': ({ params, query }) => ({ params, query }),
    '/conditions': ({ headers }) => `${headers['if-none-match'] ?? 'none'}${headers.range ?? 'none'}`
  }
  for (const [path, answer] of Object.entries(pages)) app.get(path, { config: { cache: { ttl: 60 } } }, async (request, reply) => await answer(request, reply))
  const port = await listening(app)
  let hits = 0
  for (const path of [...Object.keys(pages), '/params/1?a=1&b=2', '/params/a%20b', '/params/1?x[]=1']) {
    const miss = await rawRequest(port, get(path))
    const hit = await rawRequest(port, get(path))
    t.match(miss.headers['cache-status'], /;fwd=uri-miss;.*;stored/, path)
    t.match(hit.headers['cache-status'], /;hit/, path)
    t.equal(hit.body, miss.body, path)
    if (/;hit/.test(hit.headers['cache-status'] ?? '')) hits++
  }
  t.equal(hits, 11)
  const proxied = get('/host', 'X-Forwarded-Host: b.example', 'X-Forwarded-Proto: https')
  await rawRequest(port, proxied)
  const hit = await rawRequest(port, proxied)
  t.match(hit.headers['cache-status'], /;hit/)
  t.match(hit.body, '"host":"b.example"')
  await app.close()
})

t.test('A: no header of a stranger makes the cache run the handler, or take the request for its own', async (t) => {
  const app = Fastify()
  await app.register(cache, { strategy: 'memory', metrics: false, exposeStats: false })
  let runs = 0
  app.get('/x', { config: { cache: { ttl: 60 } } }, async () => `page ${++runs}`)
  await app.inject('/x')
  for (const [name, value] of [['cache-control', 'no-cache'], ['cache-control', 'no-store, max-age=0'], ['pragma', 'no-cache'], ['x-cache-bypass', '1'], ['x-no-cache', '1'], ['x-refresh', '1'], ['x-fastify-response-cache', 'refresh'], ['fastify-response-cache', '1'], ['x-purge', '1'], ['x-http-method-override', 'PURGE'], ['cache-status', 'fastify-response-cache;fwd=stale'], ['if-match', '"x"'], ['expect', '100-continue']] as const) {
    t.equal((await app.inject({ url: '/x', headers: { [name]: value } })).body, 'page 1', `${name}: ${value}`)
  }
  t.equal(runs, 1)
  await app.close()
})

t.test('X: asking for what does not exist fills nothing, and a short memory of it is bounded', async (t) => {
  for (const [notFoundTtl, most] of [[0, 0], [5, 100]] as const) {
    const app = Fastify()
    await app.register(cache, { strategy: 'memory', metrics: false, exposeStats: false, memoryMaxSize: 100 })
    let loads = 0
    app.get('/products/:id', { config: { cache: { notFoundTtl } } }, async (_request, reply) => { loads++; return await reply.code(404).send('none') })
    for (let i = 0; i < 300; i++) await app.inject(`/products/none-${i}`)
    for (let i = 0; i < 20; i++) await app.inject('/nowhere/' + i)
    const { entries } = app.cache.getStats()
    t.ok(entries <= most, `${entries} entries`)
    await app.inject('/products/none-299')
    t.equal(loads, notFoundTtl === 0 ? 301 : 300)
    await app.close()
  }
})

t.test('X: what a stranger can make the cache keep is bounded', async (t) => {
  const app = Fastify({ routerOptions: { maxParamLength: 20_000 } })
  await app.register(cache, { metrics: false, exposeStats: false, memoryMaxSize: 100, maxVariants: 5, maxBodyBytes: 1000 })
  const longest = { key: 0 }
  app.cache.on('store', ({ key }) => { longest.key = Math.max(longest.key, key.length) })
  app.get('/any', { config: { cache: { headers: ['x-key'] } } }, async () => 'page')
  app.get('/vary', { config: { cache: true } }, async (_request, reply) => { reply.header('vary', 'X-Any'); return 'page' })
  app.get('/many-names', { config: { cache: true } }, async (_request, reply) => { reply.header('vary', Array.from({ length: 200 }, (_, i) => `x-${i}`).join()); return 'page' })
  app.get('/tags', { config: { cache: { tags: () => Array.from({ length: 5000 }, (_, i) => `t${i}`) } } }, async () => 'page')
  app.get('/long', { config: { cache: true } }, async () => 'x'.repeat(1001))
  app.get('/control', { config: { cache: true } }, async (_request, reply) => { reply.header('cache-control', 'a'.repeat(100_000) + ', private'); return 'page' })
  await app.ready()
  for (let i = 0; i < 300; i++) {
    await app.inject({ url: `/any?${i}${'q'.repeat(i === 0 ? 10_000 : 1)}`, headers: { 'x-key': 'k'.repeat(i === 1 ? 8000 : 1) } })
    await app.inject({ url: '/vary', headers: { 'x-any': String(i) } })
  }
  t.ok(app.cache.getStats().entries <= 100, 'entries')
  t.ok(longest.key <= 1024, 'the longest key is ' + longest.key)
  let variants = 0
  for await (const { key } of app.cache.entries({ pattern: 'response:*/vary*' })) if (key.includes('#')) variants++
  t.ok(variants <= 5, `${variants} variants`)
  for (const [path, reason] of [['/many-names', 'vary-star'], ['/tags', 'too-many'], ['/long', 'too-large'], ['/control', 'no-store']] as const) {
    await app.inject(path)
    const again = await app.inject(path)
    t.match(again.headers['cache-status'], /fwd=uri-miss/, path)
    t.match(again.headers['cache-status'], reason, path)
  }
  await app.close()
})
