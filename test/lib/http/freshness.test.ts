import fc from 'fast-check'
import t from 'tap'
import { ageFieldSeconds, ageSeconds, initialAgeMs } from '../../../lib/http/age.ts'
import { parseCacheControl } from '../../../lib/http/cache-control.ts'
import { judgeFreshness } from '../../../lib/http/freshness.ts'
import type { FreshnessInput } from '../../../lib/http/freshness.ts'
import { formatHttpDate, parseHttpDate } from '../../../lib/http/http-date.ts'
import type { HeaderList } from '../../../lib/http/headers.ts'
import { isFailure, staleBar } from '../../../lib/http/staleness.ts'

const NOW = Date.UTC(2024, 4, 6, 7, 8, 9)
const at = (deltaSeconds: number) => formatHttpDate(NOW + deltaSeconds * 1000)

const judge = (headers: HeaderList, options: Partial<FreshnessInput> = {}) => judgeFreshness({ status: 200, headers, nowMs: NOW, ...options })
const cc = (value: string): HeaderList => [['cache-control', value]]

t.test('an HTTP-date is one of three formats, and nothing else', async (t) => {
  const instant = Date.UTC(1994, 10, 6, 8, 49, 37)
  for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994', 'SUN, 06 nov 1994 08:49:37 gMT', ' Sun, 06 Nov 1994 08:49:37 GMT ']) {
    t.equal(parseHttpDate(text, NOW), instant, text)
  }
  for (const text of [
    '', '0', '-1', 'Sun 06 Nov 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 08:49:37 UTC', 'Sun, 06 Nov 1994 08:49:37 +0000', 'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 94 08:49:37 GMT', 'Sun, 6 Nov 1994 08:49:37 GMT', 'Sun, 06  Nov 1994 08:49:37 GMT', 'Sun, 06-Nov-1994 08:49:37 GMT', 'Sun, 06 Nov 1994 08.49.37 GMT',
    'Sun, 06 Nov 1994 8:49:37 GMT', 'Sun, 31 Feb 1994 08:49:37 GMT', 'Sun, 00 Nov 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 24:00:00 GMT', 'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT', 'Xyz, 06 Nov 1994 08:49:37 GMT', 'Sun, 06 Xyz 1994 08:49:37 GMT', '1994-11-06T08:49:37Z', '784111777', 'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT'
  ]) t.equal(parseHttpDate(text, NOW), undefined, text)
  t.equal(parseHttpDate('Sat, 01 Jan 0050 00:00:00 GMT'), Date.parse('0050-01-01T00:00:00Z'), 'four digits are four digits')
  t.equal(parseHttpDate('Thursday, 18-Aug-50 02:01:18 GMT', NOW), Date.UTC(2050, 7, 18, 2, 1, 18), 'within 50 years ahead')
  t.equal(parseHttpDate('Thursday, 18-Aug-80 02:01:18 GMT', NOW), Date.UTC(1980, 7, 18, 2, 1, 18), 'beyond 50 years ahead is the past')
  t.equal(parseHttpDate('Thursday, 18-Aug-69 02:01:18 GMT'), Date.UTC(2069, 7, 18, 2, 1, 18))
  t.equal(parseHttpDate('Thursday, 18-Aug-70 02:01:18 GMT'), Date.UTC(1970, 7, 18, 2, 1, 18))
})

t.test('every instant of whole seconds survives formatting and parsing', async () => {
  fc.assert(fc.property(fc.integer({ min: Date.UTC(1, 0, 1) / 1000, max: Date.UTC(9999, 11, 31) / 1000 }), (seconds) =>
    parseHttpDate(formatHttpDate(seconds * 1000)) === seconds * 1000))
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    const ms = parseHttpDate(text, NOW)
    return ms === undefined || Number.isInteger(ms)
  }))
})

t.test('Age: the first member counts, an invalid one does not', async (t) => {
  const table: Array<[string | string[], number]> = [
    ['7200', 7200], ['0', 0], ['7200, 0', 7200], ['0, 7200', 0], [['7200', '0'], 7200], [['0', '7200'], 0], ['abc', 0], ['-7200', 0], ['7200.0', 0],
    ['7200;foo=bar', 0], ['', 0], ['99999999999', 2 ** 31], [' 5 ', 5]
  ]
  for (const [value, seconds] of table) t.equal(ageFieldSeconds([['age', value]]), seconds, JSON.stringify(value))
  t.equal(ageFieldSeconds([]), 0)
})

t.test('the initial age is the greater of the apparent and the corrected age (RFC 9111 §4.2.3)', async (t) => {
  const age = (headers: HeaderList, delayMs = 0) => initialAgeMs({ headers, requestTimeMs: NOW - delayMs, responseTimeMs: NOW })
  t.equal(age([]), 0)
  t.equal(age([['age', '10']], 1500), 11500)
  t.equal(age([['date', at(-30)]]), 30000)
  t.equal(age([['date', at(-30)], ['age', '40']]), 40000)
  t.equal(age([['date', at(30)]]), 0, 'a Date ahead of our clock is not negative age')
  t.equal(age([['date', 'nonsense'], ['age', 'nonsense']], 250), 250)
  t.equal(ageSeconds(11500, NOW, NOW + 2400), 13)
  t.equal(ageSeconds(0, NOW, NOW - 5000), 0, 'a clock that steps back does not make negative ages')
  t.equal(ageSeconds(2 ** 31 * 1000, NOW, NOW + 5000), 2 ** 31)
})

t.test('where the lifetime comes from', async (t) => {
  const table: Array<[name: string, HeaderList, Partial<FreshnessInput>, source: string, seconds: number]> = [
    ['s-maxage before max-age', cc('max-age=1, s-maxage=60'), {}, 's-maxage', 60],
    ['max-age before Expires', [['cache-control', 'max-age=60'], ['expires', at(-7200)], ['date', at(0)]], {}, 'max-age', 60],
    ['max-age before an invalid Expires', [['cache-control', 'max-age=60'], ['expires', '0']], {}, 'max-age', 60],
    ['max-age=0 before a future Expires', [['cache-control', 'max-age=0'], ['expires', at(3600)]], {}, 'max-age', 0],
    ['Expires minus Date', [['expires', at(100)], ['date', at(-20)]], {}, 'expires', 120],
    ['Expires minus receipt without Date', [['expires', at(100)]], {}, 'expires', 100],
    ['Expires in the past', [['expires', at(-100)]], {}, 'expires', 0],
    ['Expires: 0', [['expires', '0']], {}, 'expires', 0],
    ['two Expires lines', [['expires', [at(100), at(100)]]], {}, 'expires', 0],
    ['an invalid s-maxage beside a good max-age', cc('max-age=60, s-maxage=x'), {}, 's-maxage', 0],
    ['the handler before the route', cc('max-age=60'), { routeTtlMs: 5000 }, 'max-age', 60],
    ['the route where the handler says nothing', [['content-type', 'text/plain']], { routeTtlMs: 5000 }, 'route', 5],
    ['the route beside directives that name no lifetime', cc('public, must-revalidate'), { routeTtlMs: 5000 }, 'route', 5],
    ['no-cache silences the route', cc('no-cache'), { routeTtlMs: 5000 }, 'none', 0],
    ['no-cache silences max-age', cc('max-age=60, no-cache'), {}, 'none', 0],
    ['a qualified no-cache does not', cc('max-age=60, no-cache="x"'), {}, 'max-age', 60],
    ['nobody', [], {}, 'none', 0],
    ['no guess by default', [['last-modified', at(-1000)]], {}, 'none', 0],
    ['a tenth of the time since the last change', [['last-modified', at(-1000)]], { heuristics: true }, 'heuristic', 100],
    ['a day at most', [['last-modified', at(-1e8)]], { heuristics: true }, 'heuristic', 86400],
    ['no guess from the future', [['last-modified', at(1000)]], { heuristics: true }, 'none', 0],
    ['no guess for a 500', [['last-modified', at(-1000)]], { heuristics: true, status: 500 }, 'none', 0],
    ['a guess for a 599 that says public', [['last-modified', at(-1000)], ['cache-control', 'public']], { heuristics: true, status: 599 }, 'heuristic', 100],
    ['no guess beside an invalid Expires', [['last-modified', at(-1000)], ['expires', 'x']], { heuristics: true }, 'expires', 0],
    ['the route before a guess', [['last-modified', at(-1000)]], { heuristics: true, routeTtlMs: 1000 }, 'route', 1],
    ['a targeted field', [['cache-control', 'no-store'], ['expires', '0'], ['cdn-cache-control', 'max-age=7']], { targets: ['cdn-cache-control'] }, 'targeted', 7],
    ['a targeted field off the list', [['cache-control', 'max-age=3'], ['cdn-cache-control', 'max-age=7']], {}, 'max-age', 3],
    ['a targeted field without lifetime silences Expires', [['expires', at(50)], ['cdn-cache-control', 'public']], { targets: ['cdn-cache-control'] }, 'none', 0],
    ['a handler that sends Date on two lines', [['expires', at(100)], ['date', [at(0), at(0)]]], {}, 'expires', 100]
  ]
  for (const [name, headers, options, source, seconds] of table) {
    const { source: from, lifetimeMs } = judge(headers, options)
    t.same([from, lifetimeMs], [source, seconds * 1000], name)
  }
})

t.test('age eats freshness first and the stale windows next', async (t) => {
  const aged = (age: number) => judge([['cache-control', 'max-age=60, stale-while-revalidate=30'], ['age', String(age)]])
  t.match(aged(0), { freshForMs: 60000, staleWhileRevalidateMs: 30000 })
  t.match(aged(50), { freshForMs: 10000, staleWhileRevalidateMs: 30000, initialAgeMs: 50000 })
  t.match(aged(60), { freshForMs: 0, staleWhileRevalidateMs: 30000 }, 'fresh means lifetime greater than age')
  t.match(aged(80), { freshForMs: 0, staleWhileRevalidateMs: 10000 })
  t.match(aged(100), { freshForMs: 0, staleWhileRevalidateMs: 0 })
  t.match(judge(cc('max-age=60'), { requestTimeMs: NOW - 2000 }), { freshForMs: 58000, initialAgeMs: 2000 }, 'the time of the handler counts')
})

t.test('the ttl of the route counts from receipt', async (t) => {
  t.match(judge([], { routeTtlMs: 1000, requestTimeMs: NOW - 3000 }), { freshForMs: 1000, initialAgeMs: 3000 }, 'a handler slower than the ttl is cached all the same')
  t.match(judge([['age', '100']], { routeTtlMs: 1000, staleWhileRevalidateMs: 500 }), { freshForMs: 1000, staleWhileRevalidateMs: 500, initialAgeMs: 100_000 })
})

t.test('the route gives stale windows where the response names none', async (t) => {
  const route = { routeTtlMs: 10000, staleWhileRevalidateMs: 5000, staleIfErrorMs: 7000 }
  t.match(judge([], route), { staleWhileRevalidateMs: 5000, staleIfErrorMs: 7000 })
  t.match(judge(cc('max-age=60'), route), { staleWhileRevalidateMs: 5000, staleIfErrorMs: 7000 })
  t.match(judge(cc('max-age=60, stale-while-revalidate=1, stale-if-error=0'), route), { staleWhileRevalidateMs: 1000, staleIfErrorMs: 0 })
  t.match(judge(cc('max-age=60, stale-while-revalidate=x'), route), { staleWhileRevalidateMs: 0 }, 'a malformed window is no window')
  t.match(judge(cc('max-age=60, stale-if-error=60'), { ...route, status: 503 }), { freshForMs: 60000, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }, 'a stored failure never stands in')
  t.match(judge([], { staleWhileRevalidateMs: 5000, staleIfErrorMs: 7000 }), { source: 'none', staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }, 'no lifetime, no window after it')
  t.match(judge([], { ...route, routeTtlMs: 0 }), { freshForMs: 0, staleWhileRevalidateMs: 5000 }, 'ttl 0 with a window: always stale, always refreshed')
  t.match(judge(cc('max-age=0'), route), { staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }, 'max-age=0 does not mean stale for a while')
  t.match(judge(cc('max-age=0, stale-while-revalidate=9'), route), { staleWhileRevalidateMs: 9000 }, 'unless the response says so itself')
  for (const bar of ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=60', 'max-age=60; must-revalidate']) {
    t.match(judge(cc(bar), route), { staleWhileRevalidateMs: 0, staleIfErrorMs: 0 }, bar)
  }
})

t.test('which directive bars stale use', async (t) => {
  const table: Array<[string, string | undefined, string | undefined]> = [
    ['max-age=1', undefined, undefined],
    ['no-cache', 'no-cache', 'no-cache'],
    ['no-cache="x"', undefined, undefined],
    ['must-revalidate, stale-if-error=60', 'must-revalidate', 'must-revalidate'],
    ['proxy-revalidate', 'proxy-revalidate', 'proxy-revalidate'],
    ['s-maxage=1', 's-maxage', 's-maxage'],
    ['s-maxage=1, stale-while-revalidate=59', undefined, 's-maxage'],
    ['s-maxage=1, stale-if-error=59', undefined, 's-maxage'],
    ['s-maxage=1, x;stale-if-error', 's-maxage', 's-maxage'],
    ['s-maxage=1, stale-while-revalidate=59, must-revalidate', 'must-revalidate', 'must-revalidate']
  ]
  for (const [text, byDefault, strictly] of table) {
    t.equal(staleBar(parseCacheControl(text)), byDefault, text)
    t.equal(staleBar(parseCacheControl(text), { sMaxageForbidsStale: true }), strictly, `${text}, to the letter`)
  }
})

t.test('which answers a stale response may stand in for (RFC 5861 §4)', async (t) => {
  t.same([200, 304, 404, 429, 500, 501, 502, 503, 504, 505].filter(isFailure), [500, 502, 503, 504])
})

t.test('whatever the fields say, the verdict is made of non-negative numbers', async () => {
  const value = fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.constantFrom('max-age=60', 's-maxage=5, stale-if-error=4', 'no-cache', at(-5), at(500), '0', '99999999999999999999', 'max-age=-1'))
  const headers = fc.array(fc.tuple(fc.constantFrom('cache-control', 'expires', 'date', 'age', 'last-modified', 'cdn-cache-control'), fc.oneof(value, fc.array(value, { maxLength: 3 }))), { maxLength: 6 })
  fc.assert(fc.property(headers, fc.boolean(), (list, heuristics) => {
    const verdict = judge(list, { heuristics, targets: ['cdn-cache-control'], staleIfErrorMs: 10, staleWhileRevalidateMs: 10 })
    for (const ms of [verdict.lifetimeMs, verdict.initialAgeMs, verdict.freshForMs, verdict.staleWhileRevalidateMs, verdict.staleIfErrorMs]) {
      if (!Number.isFinite(ms) || ms < 0) throw new Error(JSON.stringify(verdict))
    }
    if (staleBar(verdict.cacheControl) !== undefined && verdict.staleWhileRevalidateMs + verdict.staleIfErrorMs > 0) throw new Error('stale against a bar')
    return true
  }), { numRuns: 2000 })
})
