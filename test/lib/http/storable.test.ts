import fc from 'fast-check'
import t from 'tap'
import { judgeFreshness, type FreshnessInput } from '../../../lib/http/freshness.ts'
import { headerListOf, headerOf, linesOf } from '../../../lib/http/headers.ts'
import type { HeaderList } from '../../../lib/http/headers.ts'
import { stripUnstorable } from '../../../lib/http/response.ts'
import { judgeStorable } from '../../../lib/http/storable.ts'
import type { StorableInput } from '../../../lib/http/storable.ts'
import { STORE_REFUSALS } from '../../../lib/http/store-refusals.ts'
import { addToVary, effectiveVary, varyKey } from '../../../lib/http/vary.ts'

const NOW = Date.UTC(2024, 4, 6, 7, 8, 9)

const seen = new Set<string>()

type Options = Partial<StorableInput> & Pick<FreshnessInput, 'targets' | 'routeTtlMs' | 'staleWhileRevalidateMs'>

function judge (headers: HeaderList, { routeTtlMs, staleWhileRevalidateMs, targets = [], ...options }: Options = {}): string {
  const { status = 200 } = options
  const freshness = judgeFreshness({ status, headers, nowMs: NOW, targets, ...(routeTtlMs === undefined ? {} : { routeTtlMs }), ...(staleWhileRevalidateMs === undefined ? {} : { staleWhileRevalidateMs }) })
  const verdict = judgeStorable({ method: 'GET', status, headers, freshness, requestHasCredentials: false, ...options })
  return verdict.store ? 'store' : verdict.detail === undefined ? verdict.reason : `${verdict.reason}; ${verdict.detail}`
}

const FRESH: HeaderList = [['cache-control', 'max-age=60']]
const cc = (value: string | string[], ...more: HeaderList): HeaderList => [['cache-control', value], ...more]

t.test('what is stored, and why not', async (t) => {
  const ttl = { routeTtlMs: 1000 }
  const table: Array<[name: string, HeaderList, Options, string]> = [
    ['explicit freshness', FRESH, {}, 'store'],
    ['the ttl of the route', [], ttl, 'store'],
    ['nothing said by anybody', [], {}, 'no-freshness'],
    ['a validator without freshness', [['etag', '"a"']], {}, 'no-freshness'],
    ['a validator, where the route revalidates', [['etag', '"a"']], { revalidates: true }, 'store'],
    ['stale on arrival', cc('max-age=60', ['age', '61']), {}, 'no-freshness'],
    ['stale on arrival, of use while it is refreshed', cc('max-age=60, stale-while-revalidate=10', ['age', '61']), {}, 'store'],
    ['max-age=0 beside a window of the route', cc('max-age=0'), { staleWhileRevalidateMs: 5000 }, 'no-freshness'],
    ['no-store', cc('max-age=60, no-store'), ttl, 'no-store'],
    ['no-store on a second line', cc(['max-age=60', 'No-Store']), ttl, 'no-store'],
    ['private', cc('private, max-age=60'), ttl, 'private'],
    ['private in a partition: it may be a tenant', cc('private, max-age=60'), { ...ttl, partitioned: true }, 'private'],
    ['private beside a field list', cc('public, max-age=60, private, private="hdr"'), {}, 'private'],
    ['private after a quoted string', cc('extension="x, public, s-maxage=60", private'), ttl, 'private'],
    ['private for one field', cc('private="x-user", max-age=60'), {}, 'store'],
    ['no-cache', cc('no-cache'), ttl, 'no-cache'],
    ['no-cache with a validator, where the route revalidates', cc('max-age=60, no-cache', ['last-modified', 'x']), { revalidates: true }, 'store'],
    ['no-cache without one', cc('no-cache'), { revalidates: true }, 'no-cache'],
    ['no-cache for one field', cc('no-cache="x-priv", max-age=60'), {}, 'store'],
    ['an unreadable Cache-Control', cc('max-age=60' + ',a'.repeat(5000)), {}, 'no-store'],
    ['a targeted no-store', cc('max-age=60', ['cdn-cache-control', 'no-store']), { targets: ['cdn-cache-control'] }, 'no-store'],
    ['a targeted max-age beside no-store for others', cc('no-store', ['cdn-cache-control', 'max-age=5']), { targets: ['cdn-cache-control'] }, 'store'],
    ['a targeted field for others', cc('no-store', ['cdn-cache-control', 'max-age=5']), {}, 'no-store'],
    ['POST', FRESH, { method: 'POST' }, 'method; POST'],
    ['HEAD', FRESH, { method: 'HEAD' }, 'method; HEAD'],
    ['POST allowed, but no Content-Location', FRESH, { method: 'POST', methods: new Set(['POST']), url: 'http://a/x' }, 'method; POST'],
    ['POST allowed, of another URI', cc('max-age=60', ['content-location', '/y']), { method: 'POST', methods: new Set(['POST']), url: 'http://a/x' }, 'method; POST'],
    ['POST allowed, of its own URI', cc('max-age=60', ['content-location', '/x']), { method: 'POST', methods: new Set(['POST']), url: 'http://a/x' }, 'store'],
    ['POST allowed, but in vain', cc('max-age=60', ['content-location', '/x']), { method: 'POST', methods: new Set(['POST']), url: 'http://a/x', status: 404, statuses: 'any' }, 'method; POST'],
    ['POST allowed, fresh by the route only', [['content-location', '/x']], { ...ttl, method: 'POST', methods: new Set(['POST']), url: 'http://a/x' }, 'method; POST'],
    ['206 by choice', cc('max-age=60', ['content-range', 'bytes 0-1/3']), { status: 206, storeParts: true, bodyBytes: 2 }, 'store'],
    ['206 by choice, by the ttl of the route', [['content-range', 'bytes 0-1/3']], { ...ttl, status: 206, storeParts: true, statuses: 'any' }, 'store'],
    ['206 by choice, where 200 is not stored', cc('max-age=60', ['content-range', 'bytes 0-1/3']), { status: 206, storeParts: true, statuses: new Set([404]) }, 'status; 206'],
    ['206 by choice, of several parts', cc('max-age=60', ['content-type', 'multipart/byteranges; boundary=x']), { status: 206, storeParts: true }, 'partial'],
    ['206 by choice, longer than it says', cc('max-age=60', ['content-range', 'bytes 0-1/3']), { status: 206, storeParts: true, bodyBytes: 3 }, 'length-mismatch'],
    ['206', cc('max-age=60', ['content-range', 'bytes 0-1/2']), { status: 206 }, 'partial'],
    ['304', FRESH, { status: 304, statuses: 'any' }, 'status; 304'],
    ['103', FRESH, { status: 103, statuses: 'any' }, 'status; 103'],
    ['600', FRESH, { status: 600, statuses: 'any' }, 'status; 600'],
    ['200 with a range of bytes', cc('max-age=60', ['content-range', 'bytes 0-1/2']), {}, 'content-range'],
    ['200 with a page of items', cc('max-age=60', ['content-range', 'items 0-9/100']), {}, 'store'],
    ['500 with explicit freshness, by default', FRESH, { status: 500 }, 'status; 500'],
    ['500 with explicit freshness, any status', FRESH, { status: 500, statuses: 'any' }, 'store'],
    ['500 by the ttl of the route, any status', [], { ...ttl, status: 500, statuses: 'any' }, 'status; 500'],
    ['404 by default', [], { ...ttl, status: 404 }, 'status; 404'],
    ['404 by choice', [], { ...ttl, status: 404, statuses: new Set([200, 404]) }, 'store'],
    ['must-understand beats no-store for a known status', cc('max-age=60, no-store, must-understand'), {}, 'store'],
    ['must-understand forbids an unknown one', cc('max-age=60, must-understand'), { status: 599, statuses: 'any' }, 'status; 599; must-understand'],
    ['must-understand in a wrong spelling beats nothing', cc('max-age=60, no-store, x;must-understand'), {}, 'status; 200; must-understand'],
    ['must-understand with an argument is none', cc('max-age=60, no-store, must-understand=1'), {}, 'status; 200; must-understand'],
    ['must-understand does not beat private', cc('max-age=60, private, must-understand'), {}, 'private'],
    ['Set-Cookie', cc('max-age=60', ['set-cookie', ['a=b', 'c=d']]), {}, 'set-cookie'],
    ['Set-Cookie by choice', cc('max-age=60', ['set-cookie', 'a=b']), { storeSetCookie: true }, 'store'],
    ['Vary: *', cc('max-age=60', ['vary', 'accept, *']), {}, 'vary-star'],
    ['a Vary that names no field', cc('max-age=60', ['vary', 'bad name(']), {}, 'vary-star'],
    ['Vary: Cookie', cc('max-age=60', ['vary', 'Cookie']), { partitioned: true }, 'vary-credentials; cookie'],
    ['Vary: Cookie, where the cookies that count are in the key', cc('max-age=60', ['vary', 'Cookie']), { keyed: new Set(['cookie']) }, 'store'],
    ['Vary: Authorization', cc('max-age=60', ['vary', 'accept, AUTHORIZATION']), { public: true }, 'vary-credentials; authorization'],
    ['credentials', FRESH, { requestHasCredentials: true }, 'authorization'],
    ['credentials and a ttl of the route', [], { ...ttl, requestHasCredentials: true }, 'authorization'],
    ['credentials on a public route', FRESH, { requestHasCredentials: true, public: true }, 'store'],
    ['credentials in a partition', FRESH, { requestHasCredentials: true, partitioned: true }, 'store'],
    ['credentials and public', cc('max-age=60, public'), { requestHasCredentials: true }, 'store'],
    ['credentials and s-maxage', cc('s-maxage=60'), { requestHasCredentials: true }, 'store'],
    ['credentials and must-revalidate', cc('max-age=60, must-revalidate'), { requestHasCredentials: true }, 'store'],
    ['credentials and a misspelled public', cc('max-age=60, x;public'), { requestHasCredentials: true }, 'authorization'],
    ['a wrong length', cc('max-age=60', ['content-length', '5']), { bodyBytes: 4 }, 'length-mismatch'],
    ['a right length', cc('max-age=60', ['content-length', '4']), { bodyBytes: 4 }, 'store'],
    ['a value that cannot be sent', cc('max-age=60', ['x-a', 'b\r\nc: d']), {}, 'malformed-header; x-a'],
    ['a line that cannot be sent', cc('max-age=60', ['x-a', ['b', '\u0000']]), {}, 'malformed-header; x-a'],
    ['a name that cannot be sent', cc('max-age=60', ['x a', 'b']), {}, 'malformed-header; "x a"'],
    ['a value beyond latin1', cc('max-age=60', ['x-a', '\u4e00']), {}, 'malformed-header; x-a']
  ]
  for (const [name, headers, options, expected] of table) {
    const verdict = judge(headers, options)
    t.equal(verdict, expected, name)
    if (verdict !== 'store') seen.add(verdict.replace(/;.*/, ''))
  }
})

t.test('nothing is stored against a restriction, however the response and the route look', async () => {
  const junk = fc.array(fc.constantFrom(',', ';', ' ', '=', 'public', 'max-age=60', 's-maxage=9', 'must-revalidate', 'immutable', 'x=1', '\t', '('), { maxLength: 12 }).map((parts) => parts.join(''))
  const restriction = fc.constantFrom('no-store', 'private', 'NO-STORE', 'Private', "'private'", 'no_store', 'private=1', 'private="', 'no-store=x')
  const options = fc.record({
    partitioned: fc.boolean(),
    public: fc.boolean(),
    revalidates: fc.boolean(),
    requestHasCredentials: fc.boolean(),
    status: fc.constantFrom(200, 203, 404, 500),
    statuses: fc.constantFrom<StorableInput['statuses']>('any', new Set([200, 404])),
    routeTtlMs: fc.constantFrom(1, 60_000)
  })
  const other = fc.array(fc.tuple(fc.constantFrom('etag', 'expires', 'vary', 'last-modified', 'x-any', 'age'), fc.string({ maxLength: 20 })), { maxLength: 4 })
  fc.assert(fc.property(junk, restriction, junk, other, options, (before, word, after, more, rest) => {
    const verdict = judge([['cache-control', `${before},${word},${after}`], ...more], rest)
    if (verdict === 'store') throw new Error('stored')
  }), { numRuns: 2000 })
  fc.assert(fc.property(other, fc.string({ maxLength: 60 }), options, (more, value, rest) => {
    if (judge([['set-cookie', value], ['cache-control', 'public, max-age=60'], ...more], rest) === 'store') throw new Error('stored a cookie')
    if (judge([['vary', `accept,${value},*`], ['cache-control', 'public, max-age=60']], rest) === 'store') throw new Error('stored a star')
  }))
  fc.assert(fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 12 }), fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.string({ unit: 'binary' })))), { maxLength: 6 }), options, (headers, rest) => {
    judge(headers, rest)
  }), { numRuns: 1000 })
})

t.test('the fields of the connection, of one user, and those withdrawn are not stored', async (t) => {
  const headers: HeaderList = [
    ['date', 'd'], ['connection', 'a, B , keep-alive'], ['a', '1'], ['b', '2'], ['c', '3'], ['keep-alive', 'x'], ['te', 'x'], ['trailer', 'x'], ['transfer-encoding', 'chunked'],
    ['upgrade', 'x'], ['proxy-connection', 'x'], ['proxy-authenticate', 'x'], ['proxy-authentication-info', 'x'], ['proxy-authorization', 'x'], ['proxy-status', 'p'], ['set-cookie', ['s=1', 't=2']], ['set-cookie2', 's'],
    ['cache-control', 'max-age=60, private="X-Priv", no-cache="x-np"'], ['x-priv', '1'], ['x-np', '1'], ['x-unknown', ['1', '2']]
  ]
  t.same(stripUnstorable(headers).map(([name]) => name), ['date', 'c', 'proxy-status', 'set-cookie2', 'cache-control', 'x-unknown'])
  t.same(linesOf(stripUnstorable(headers, { keepSetCookie: true }), 'set-cookie'), ['s=1', 't=2'])
  t.same(stripUnstorable([['connection', ['x', 'y']], ['x', '1'], ['y', '1'], ['z', '1']]).map(([name]) => name), ['z'], 'several Connection lines')
})

t.test('header lists', async (t) => {
  const list = headerListOf({ 'X-A': 1, b: ['1', '2'], c: undefined, d: '' })
  t.same(list, [['x-a', '1'], ['b', ['1', '2']], ['d', '']])
  t.equal(headerOf(list, 'b'), '1, 2')
  t.same(headerListOf({ a: true, b: null, c: [1, false], d: 0, e: { toString: () => 'text' } }), [['a', 'true'], ['b', 'null'], ['c', ['1', 'false']], ['d', '0'], ['e', 'text']], 'as Node writes what is no text')
  t.equal(headerOf(list, 'c'), undefined)
  t.equal(headerOf([['a', '1'], ['a', ['2', '3']]], 'a'), '1, 2, 3')
})

t.test('what a response varies on', async (t) => {
  const names = (headers: HeaderList) => { const vary = effectiveVary(headers); return vary === 'star' ? vary : vary.names.join(' ') }
  const table: Array<[HeaderList, string]> = [
    [[], ''], [[['vary', '']], ''], [[['vary', 'Accept, accept-language,ACCEPT']], 'accept accept-language'], [[['vary', ['b', 'a']]], 'a b'],
    [[['vary', '*']], 'star'], [[['vary', ', *']], 'star'], [[['vary', ['', '*']]], 'star'], [[['vary', '*, foo']], 'star'], [[['vary', 'foo, *']], 'star'],
    [[['vary', 'foo bar']], 'star'], [[['vary', '"foo"']], 'star'], [[['vary', 'a'.repeat(5000)]], 'star'], [[['vary', Array.from({ length: 40 }, (_, i) => `x${i}`).join()]], 'star'],
    [[['access-control-allow-origin', '*']], ''], [[['access-control-allow-origin', 'https://a.example']], 'origin'], [[['access-control-allow-origin', 'null'], ['vary', 'Accept']], 'accept origin'],
    [[['content-encoding', 'gzip']], 'accept-encoding'], [[['content-encoding', 'identity']], '']
  ]
  for (const [headers, expected] of table) t.equal(names(headers), expected, JSON.stringify(headers).slice(0, 80))
})

t.test('what the key contains need not tell variants apart', async (t) => {
  t.same(effectiveVary([['vary', 'Cookie, Accept']], new Set(['cookie'])), { names: ['accept'] })
  t.equal(effectiveVary([['vary', '*']], new Set(['*'])), 'star')
})

t.test('every refusal has a meaning and a cure, and every one can happen', async (t) => {
  for (const [reason, { means, cure }] of Object.entries(STORE_REFUSALS)) t.ok(means.endsWith('.') && cure.endsWith('.'), reason)
  t.same([...seen].sort(), Object.keys(STORE_REFUSALS).sort())
})

t.test('a name is added to Vary once', async (t) => {
  t.equal(addToVary(undefined, 'Origin'), 'Origin')
  t.equal(addToVary('Accept', 'Origin'), 'Accept, Origin')
  t.equal(addToVary(['Accept', 'ORIGIN'], 'Origin'), 'Accept, ORIGIN')
  t.equal(addToVary('*', 'Origin'), '*')
})

t.test('which requests share a variant', async (t) => {
  const same = (name: string, a: string | string[] | undefined, b: string | string[] | undefined, options = {}) =>
    varyKey([name], { [name]: a }, options) === varyKey([name], { [name]: b }, options)
  t.ok(same('foo', '1,2', ' 1, 2 '), 'blanks around commas')
  t.ok(same('foo', '1, 2', ['1', '2']), 'several lines')
  t.notOk(same('foo', '1, 2', '2, 1'))
  t.notOk(same('foo', 'a', 'A'))
  t.notOk(same('foo', undefined, ''), 'absent is not empty')
  t.notOk(same('foo', '"a, b"', '"a,b"'), 'blanks in a quoted string')
  t.notOk(same('user-agent', 'X (KHTML, like Gecko)', 'X (KHTML,like Gecko)'), 'no list')
  t.ok(same('accept-language', 'en, de', 'eN ,   De'))
  t.ok(same('accept-language', 'en;q=0.9, de', 'de, en ; Q=0.90'), 'qualities tell the order')
  t.notOk(same('accept-language', 'en, de', 'de, en'), 'handlers take the first of equals')
  t.ok(same('accept-language', 'en, de', 'de, en', { ignoreLanguageOrder: true }))
  t.notOk(same('accept-language', 'en, de;q=0', 'en'))
  t.notOk(same('accept-language', 'en;q=2', 'en'), 'malformed is compared as it is')
  t.ok(same('accept-encoding', 'gzip, br', 'BR,gzip'))
  t.notOk(same('accept-encoding', 'gzip;q=0.5, br', 'br;q=0.5, gzip'))
  t.notOk(same('accept-encoding', 'gzip', 'gzip;x=1'))
  t.notOk(same('accept-encoding', '', undefined))
})

t.test('a variant key is injective', async (t) => {
  t.not(varyKey(['b'], { b: '-' }), varyKey(['b1:'], {}))
  t.not(varyKey(['a', 'b'], { a: '1', b: '2' }), varyKey(['a', 'b'], { a: '11:b1:2' }))
  const value = fc.option(fc.stringMatching(/^[-:\da-c"]{0,6}$/), { nil: undefined })
  const request = fc.record({ a: value, b: value, 'b1:': value })
  const names = fc.subarray(['a', 'b', 'b1:'])
  fc.assert(fc.property(names, request, names, request, (n1, r1, n2, r2) => {
    const alike = n1.join() === n2.join() && n1.every((name) => r1[name as 'a'] === r2[name as 'a'])
    return (varyKey(n1, r1) === varyKey(n2, r2)) === alike
  }), { numRuns: 5000 })
})
