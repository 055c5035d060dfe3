import Fastify, { type FastifyInstance, type FastifyReply, type InjectOptions } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const RUNS = Number(process.env.RUNS ?? 400)

type Fields<V = string> = ReadonlyArray<readonly [name: string, value: V]>
interface Answer { readonly status: number, readonly headers: Fields<unknown>, readonly body: string }

/** What senders write, and what they get wrong. */
const WORDS = [
  'max-age=60', 'max-age=0', 'max-age="60"', 'max-age=-1', 'max-age=99999999999999999999', 's-maxage=60', 'public', 'immutable', 'no-transform', 'must-revalidate',
  'stale-while-revalidate=10', 'stale-if-error=x', 'no_store', 'private="set-cookie"', 'no-cache="x, y"', 'only-if-cached', 'max-stale', 'min-fresh=5',
  'Sun, 06 Nov 1994 08:49:37 GMT', 'Tue, 01 Jan 2030 00:00:30 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', '0', '-1', '"tag"', 'W/"tag"', '"', '*', 'W/', '"a", W/"b"',
  'bytes=0-4', 'bytes=-5', 'bytes=4-0', 'bytes=0-0,2-3', 'lines=1-2', 'gzip', 'br;q=0.5', 'identity;q=0', '*;q=0', 'gzip;q=2', 'en', 'accept-encoding', 'origin, accept-language', 'cookie',
  'text/html; charset=utf-8', 'application/json', 'null', 'https://a.example', 'a.example', 'a=b; c=d', ',', ';', '=', '\\', '\t'
]
/** All that a field value may consist of (RFC 9110 §5.5). */
const noise = fc.string({ unit: fc.constantFrom(...Array.from({ length: 224 }, (_, n) => String.fromCharCode(n + 32)).filter((each) => each !== '\x7f'), '\t'), maxLength: 20 })
const value = fc.array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...WORDS) }, noise), { minLength: 1, maxLength: 4 }).chain((parts) => fc.constantFrom(', ', ',', ';', ' ').map((separator) => parts.join(separator).trim()))

/** What handlers give in place of text; Node writes it as text. */
const odd = fc.constantFrom<unknown>(true, false, null, 0, 1.5, new Date(0), ['gzip', 1, null], [])

const fields = <V>(names: readonly string[], of: fc.Arbitrary<V>) => fc.array(fc.tuple(fc.constantFrom(...names), of), { maxLength: 5 })
const requestFields = fields(['accept', 'accept-encoding', 'accept-language', 'authorization', 'cache-control', 'cookie', 'forwarded', 'if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'origin', 'pragma', 'range', 'te', 'traceparent', 'x-currency', 'x-forwarded-host'], value)
const responseFields = fields(['accept-ranges', 'access-control-allow-origin', 'age', 'cache-control', 'cache-groups', 'cache-status', 'cdn-cache-control', 'connection', 'content-encoding', 'content-language', 'content-location', 'content-range', 'date', 'etag', 'expires', 'last-modified', 'link', 'location', 'pragma', 'set-cookie', 'surrogate-key', 'vary', 'warning'], fc.oneof({ weight: 6, arbitrary: value }, odd))
const answer: fc.Arbitrary<Answer> = fc.record({ status: fc.constantFrom(200, 200, 200, 203, 204, 206, 301, 304, 404, 410, 500, 503), headers: responseFields, body: fc.constantFrom('', 'short', 'long '.repeat(500)) })

const CHOICES = { heuristics: true, shareByDirective: true, storePost: true, storeParts: true, revalidate: 60, targets: ['cdn-cache-control'] } as const

const ROUTES = ['plain', 'public', 'keyed', 'partitioned', 'stale', 'choices', 'trusting'] as const

async function apps (answers: Map<string, Answer>, ran: () => void): Promise<{ cached: FastifyInstance, bare: FastifyInstance }> {
  const { app: cached } = await cachedApp({ http: { ignoreLanguageOrder: true, cacheGroups: 'both' }, precompress: ['gzip'], cdn: { tagHeader: 'Surrogate-Key' }, staleIfError: 0, audit: false, monitor: false })
  const bare = Fastify()
  const options = {
    plain: true,
    public: { public: true },
    keyed: { headers: ['x-currency'], cookies: ['a'], statuses: [200, 203, 404, 410], notFoundTtl: 10 },
    partitioned: { partition: () => 'tenant' },
    stale: { ttl: 0, staleWhileRevalidate: 0, clientTtl: 60 },
    choices: { http: CHOICES },
    trusting: { ttl: 0, http: { ...CHOICES, storeSetCookie: true, requestDirectives: true, sMaxageForbidsStale: true } }
  } as const
  for (const route of ROUTES) {
    const handler = async ({ params }: { params: unknown }, reply: FastifyReply): Promise<unknown> => {
      ran()
      const { status, headers, body } = answers.get((params as { id: string }).id) ?? { status: 404, headers: [], body: '' }
      for (const [name, value] of headers) reply.header(name, value)
      return await reply.code(status).send(body)
    }
    for (const method of ['GET', 'POST'] as const) {
      const keeps = method === 'GET' || route === 'choices' || route === 'trusting'
      cached.route({ method, url: `/${route}/:id`, config: keeps ? { cache: options[route] } : {}, handler })
      bare.route({ method, url: `/${route}/:id`, handler })
    }
  }
  return { cached, bare }
}

t.test(`no value of a header makes an error that the handler did not make, seed ${seed}`, async (t) => {
  t.comment(`SEED=${seed} RUNS=${RUNS}`)
  const answers = new Map<string, Answer>()
  const { cached, bare } = await apps(answers, () => {})
  let id = 0
  let hits = 0
  const request = fc.tuple(fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'), requestFields)
  await fc.assert(fc.asyncProperty(fc.constantFrom(...ROUTES), answer, fc.constantFrom('GET', 'POST'), fc.array(request, { minLength: 2, maxLength: 4 }), async (route, answer, first, requests) => {
    const url = `/${route}/${++id}`
    // An answer to a POST is for others only if it says so.
    answers.set(String(id), first === 'GET' ? answer : { ...answer, headers: [...answer.headers, ['content-location', url]] })
    // The first request stores, if anything does; the others meet what is stored.
    for (const [method, given] of [[first, []], ...requests] as ReadonlyArray<readonly ['GET' | 'HEAD' | 'POST', Fields]>) {
      const headers = Object.fromEntries(given)
      const [ours, theirs] = [await cached.inject({ method, url, headers }), await bare.inject({ method, url, headers })]
      // The one error that is the cache's to make: this client asked for it.
      if (ours.statusCode === 504 && route === 'trusting' && (headers['cache-control'] ?? '').includes('only-if-cached')) continue
      if (cacheStatus(ours).startsWith('hit')) hits++
      if (ours.statusCode >= 500 && ours.statusCode !== theirs.statusCode) throw new Error(`${ours.statusCode} ${ours.body} instead of ${theirs.statusCode} for ${JSON.stringify(headers)}`)
    }
  }), { numRuns: RUNS, seed })
  t.ok(hits > RUNS / 10, `some of it met what is stored: ${hits} hits`)
  await cached.close()
  await bare.close()
})

/** Fields that forbid to store a response for everybody, however they are spelled and whatever stands beside them. */
const around = fc.array(fc.constantFrom(...WORDS.filter((word) => !/["\\]/.test(word))), { maxLength: 3 })
const beside = (words: readonly string[]): fc.Arbitrary<string> => fc.tuple(around, fc.constantFrom(...words), around).map(([before, word, behind]) => [...before, word, ...behind].join(', '))
const restrictive: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  fc.tuple(fc.constant('cache-control'), beside(['no-store', 'No-Store', 'private', 'PRIVATE', 'no-cache', 'no-cache=""', 'no-store=1', 'private=""'])),
  fc.tuple(fc.constant('vary'), beside(['*', '*, *'])),
  fc.tuple(fc.constant('set-cookie'), value),
  fc.tuple(fc.constant('content-range'), fc.constantFrom('bytes 0-4/10', 'bytes */5'))
)

t.test(`nothing is stored against a restrictive directive, seed ${seed}`, async (t) => {
  t.comment(`SEED=${seed} RUNS=${RUNS}`)
  const answers = new Map<string, Answer>()
  let runs = 0
  const { cached, bare } = await apps(answers, () => { runs++ })
  await bare.close()
  let id = 0
  // What speaks to CDNs only, or of the whole, may overrule Cache-Control, and has tests of its own.
  const others = responseFields.map((all) => all.filter(([name]) => !/^(?:cdn-cache-control|surrogate-key|cache-control|vary|set-cookie|content-range)$/.test(name)))
  const asked = fc.constantFrom<InjectOptions & { part?: boolean }>({ method: 'GET' }, { method: 'POST' }, { method: 'GET', headers: { range: 'bytes=0-5' }, part: true })
  await fc.assert(fc.asyncProperty(fc.constantFrom('plain', 'public', 'keyed', 'choices'), asked, others, restrictive, async (route, { part, ...request }, more, [name, text]) => {
    // What asks for validation before each use may be stored where there is something to validate by.
    const validated = route === 'choices' && /no-cache/i.test(text) && !/no-?_?store|private/i.test(text)
    const url = `/${route}/${++id}`
    const said: Fields<unknown> = [...more.filter(([other]) => other !== 'content-location' && !(validated && (other === 'etag' || other === 'last-modified'))), ['content-location', url], [name, text]]
    answers.set(String(id), part === true && name !== 'content-range' ? { status: 206, headers: [...said, ['content-range', 'bytes 0-5/6']], body: 'secret' } : { status: 200, headers: said, body: 'secret' })
    const before = runs
    const first = await cached.inject({ url, ...request })
    const second = await cached.inject({ url, ...request, method: 'GET' })
    if (runs !== before + 2 || cacheStatus(second).startsWith('hit')) throw new Error(`${String(request.method)} ${route} stored in spite of ${name}: ${text} (${cacheStatus(first)})`)
  }), { numRuns: RUNS, seed })

  answers.set('allowed', { status: 200, headers: [['cache-control', 'max-age=60, public']], body: 'for all' })
  const before = runs
  await cached.inject('/plain/allowed')
  await cached.inject('/plain/allowed')
  t.equal(runs, before + 1, 'without one it is')
  answers.set('posted', { status: 200, headers: [['cache-control', 'max-age=60, public'], ['content-location', '/choices/posted']], body: 'for all' })
  await cached.inject({ method: 'POST', url: '/choices/posted' })
  await cached.inject('/choices/posted')
  answers.set('part', { status: 206, headers: [['cache-control', 'max-age=60'], ['content-range', 'bytes 0-5/6']], body: 'public' })
  for (let time = 0; time < 2; time++) await cached.inject({ url: '/choices/part', headers: { range: 'bytes=0-5' } })
  t.equal(runs, before + 3, 'an answer to a POST and a part as well')
  await cached.close()
})

/** What a client does with a file that changes: it asks for the whole, for a part of it, or changes it. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 20 })).map(([a, b]) => `bytes=${Math.min(a, b)}-${Math.max(a, b)}`) },
  fc.nat({ max: 20 }).map((start) => `bytes=${start}-`),
  fc.nat({ max: 20 }).map((length) => `bytes=-${length}`),
  fc.constantFrom('whole', 'bytes=0-1,4-5', 'change', 'change in secret', 'later')
)

t.test(`whatever parts are asked for, each is what it says, seed ${seed}`, async (t) => {
  t.comment(`SEED=${seed} RUNS=${RUNS}`)
  const { app, clock } = await cachedApp({ maxBodyBytes: 12, staleIfError: 0, audit: false, monitor: false })
  const files = new Map<string, { version: number, bytes: number, strong: boolean }>()
  const bodyOf = ({ version, bytes }: { version: number, bytes: number }): string => Array.from({ length: bytes }, (_, at) => String.fromCharCode(97 + (at + version * 7) % 26)).join('')
  app.get('/:id', { config: { cache: { ttl: 60, http: { storeParts: true } } } }, async ({ params, headers }, reply) => {
    const file = files.get((params as { id: string }).id) ?? { version: 0, bytes: 0, strong: true }
    const body = bodyOf(file)
    const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? []
    reply.header('etag', `${file.strong ? '' : 'W/'}"${file.version}"`)
    if (first === '' && last === '') return body
    const start = first === '' ? Math.max(0, body.length - Number(last)) : Number(first)
    const end = first === '' || last === '' ? body.length - 1 : Math.min(body.length - 1, Number(last))
    if (start > end) return await reply.code(416).header('content-range', `bytes */${body.length}`).send()
    return await reply.code(206).header('content-range', `bytes ${start}-${end}/${body.length}`).send(body.slice(start, end + 1))
  })
  let id = 0
  let hits = 0
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 16 }), fc.boolean(), fc.array(step, { minLength: 3, maxLength: 12 }), async (bytes, strong, steps) => {
    const url = `/${++id}`
    const file = { version: 0, bytes, strong }
    files.set(String(id), file)
    // What has changed without a purge may still be seen as it was, but never a mixture of the two.
    let known = [bodyOf(file)]
    for (const each of steps) {
      if (each === 'later') {
        clock.advance(61_000)
        known = [bodyOf(file)]
      } else if (each.startsWith('change')) {
        file.version++
        if (each === 'change') await app.cache.invalidate({ paths: [url] })
        known = [...each === 'change' ? [] : known, bodyOf(file)]
      } else {
        const answer = await app.inject({ url, headers: each === 'whole' ? {} : { range: each } })
        if (cacheStatus(answer).startsWith('hit')) hits++
        const [, start, end] = /^bytes (\d+)-(\d+)\/\d+$/.exec(String(answer.headers['content-range'])) ?? []
        const says = answer.statusCode === 200 ? known : answer.statusCode === 206 ? known.map((body) => body.slice(Number(start), Number(end) + 1)) : ['']
        const multipart = String(answer.headers['content-type']).startsWith('multipart/')
        if (!multipart && !says.includes(answer.body)) throw new Error(`${each} of ${known.join(' or ')}: ${answer.statusCode} ${String(answer.headers['content-range'])} ${answer.body}`)
      }
    }
  }), { numRuns: RUNS, seed })
  t.ok(hits > RUNS / 4, `some of it met what is stored: ${hits} hits`)
  await app.close()
})
