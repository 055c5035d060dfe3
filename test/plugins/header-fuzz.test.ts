import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const RUNS = Number(process.env.RUNS ?? 400)

type Fields = ReadonlyArray<readonly [name: string, value: string]>
interface Answer { readonly status: number, readonly headers: Fields, readonly body: string }

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

const fields = (names: readonly string[]) => fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 5 })
const requestFields = fields(['accept', 'accept-encoding', 'accept-language', 'authorization', 'cache-control', 'cookie', 'forwarded', 'if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'origin', 'pragma', 'range', 'te', 'traceparent', 'x-currency', 'x-forwarded-host'])
const responseFields = fields(['accept-ranges', 'access-control-allow-origin', 'age', 'cache-control', 'cache-groups', 'cache-status', 'cdn-cache-control', 'connection', 'content-encoding', 'content-language', 'content-location', 'content-range', 'date', 'etag', 'expires', 'last-modified', 'link', 'location', 'pragma', 'set-cookie', 'surrogate-key', 'vary', 'warning'])
const answer: fc.Arbitrary<Answer> = fc.record({ status: fc.constantFrom(200, 200, 200, 203, 204, 206, 301, 304, 404, 410, 500, 503), headers: responseFields, body: fc.constantFrom('', 'short', 'long '.repeat(500)) })

const ROUTES = ['plain', 'public', 'keyed', 'partitioned', 'stale'] as const

async function apps (answers: Map<string, Answer>, ran: () => void): Promise<{ cached: FastifyInstance, bare: FastifyInstance }> {
  const { app: cached } = await cachedApp({ precompress: ['gzip'], cdn: { tagHeader: 'Surrogate-Key' }, staleIfError: 0, audit: false, monitor: false })
  const bare = Fastify()
  const options = {
    plain: true,
    public: { public: true },
    keyed: { headers: ['x-currency'], cookies: ['a'], statuses: [200, 203, 404, 410], notFoundTtl: 10 },
    partitioned: { partition: () => 'tenant' },
    stale: { ttl: 0, staleWhileRevalidate: 0, clientTtl: 60 }
  } as const
  for (const route of ROUTES) {
    const handler = async ({ params }: { params: unknown }, reply: FastifyReply): Promise<unknown> => {
      ran()
      const { status, headers, body } = answers.get((params as { id: string }).id) ?? { status: 404, headers: [], body: '' }
      for (const [name, value] of headers) reply.header(name, value)
      return await reply.code(status).send(body)
    }
    cached.get(`/${route}/:id`, { config: { cache: options[route] } }, handler)
    bare.get(`/${route}/:id`, handler)
  }
  return { cached, bare }
}

t.test(`no value of a header makes an error that the handler did not make, seed ${seed}`, async (t) => {
  t.comment(`SEED=${seed} RUNS=${RUNS}`)
  const answers = new Map<string, Answer>()
  const { cached, bare } = await apps(answers, () => {})
  let id = 0
  let hits = 0
  await fc.assert(fc.asyncProperty(fc.constantFrom(...ROUTES), answer, fc.array(requestFields, { minLength: 2, maxLength: 4 }), async (route, answer, requests) => {
    const url = `/${route}/${++id}`
    answers.set(String(id), answer)
    // The first request stores, if anything does; the others meet what is stored.
    for (const given of [[], ...requests]) {
      const headers = Object.fromEntries(given)
      const [ours, theirs] = [await cached.inject({ url, headers }), await bare.inject({ url, headers })]
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
  await fc.assert(fc.asyncProperty(fc.constantFrom('plain', 'public', 'keyed'), others, restrictive, async (route, more, [name, text]) => {
    const url = `/${route}/${++id}`
    answers.set(String(id), { status: 200, headers: [...more, [name, text]], body: 'secret' })
    const before = runs
    const first = await cached.inject(url)
    const second = await cached.inject(url)
    if (runs !== before + 2 || cacheStatus(second).startsWith('hit')) throw new Error(`stored in spite of ${name}: ${text} (${cacheStatus(first)})`)
  }), { numRuns: RUNS, seed })

  answers.set('allowed', { status: 200, headers: [['cache-control', 'max-age=60, public']], body: 'for all' })
  const before = runs
  await cached.inject('/plain/allowed')
  await cached.inject('/plain/allowed')
  t.equal(runs, before + 1, 'without one it is')
  await cached.close()
})
