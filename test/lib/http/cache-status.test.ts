import fc from 'fast-check'
import { parseList } from 'structured-headers'
import t from 'tap'
import { cacheGroups, cacheGroupsField, invalidatedGroups } from '../../../lib/http/cache-groups.ts'
import { appendCacheStatus, cacheStatusMember, cacheStatusName, hitMember } from '../../../lib/http/cache-status.ts'
import { downstreamCacheControl } from '../../../lib/http/downstream.ts'
import { chooseEncoding } from '../../../lib/http/encoding.ts'
import { parseEntityTagList } from '../../../lib/http/etag.ts'
import { effectiveVary, varyKey } from '../../../lib/http/vary.ts'
import { parseCacheControl } from '../../../lib/http/cache-control.ts'
import { parseHttpDate } from '../../../lib/http/http-date.ts'
import { stripUnstorable } from '../../../lib/http/response.ts'
import { judgeClientDirectives, requestCacheControl } from '../../../lib/http/request-directives.ts'
import type { Candidate } from '../../../lib/http/request-directives.ts'
import { surrogateKeys } from '../../../lib/http/surrogate-keys.ts'
import { invalidatedUris } from '../../../lib/http/unsafe.ts'

t.test('Cache-Status members', async (t) => {
  t.equal(cacheStatusMember('fastify', { hit: true }), 'fastify;hit')
  t.equal(cacheStatusMember('fastify', { hit: true, ttl: -3.5, detail: 'stale-while-revalidate' }), 'fastify;hit;ttl=-4;detail=stale-while-revalidate')
  t.equal(cacheStatusMember('my cache', { fwd: 'uri-miss', stored: true, collapsed: true, key: 'GET /x?a="1"' }), '"my cache";fwd=uri-miss;stored;collapsed;key="GET /x?a=\\"1\\""')
  t.equal(cacheStatusMember('c', { fwd: 'stale', fwdStatus: 304, ttl: 60, stored: false, collapsed: false, detail: 'x; y' }), 'c;fwd=stale;fwd-status=304;ttl=60;collapsed=?0;detail="x; y"')
  t.equal(cacheStatusMember('c', { fwd: 'bypass', key: 'token' }), 'c;fwd=bypass;key="token"', 'a key is a String even where it looks like a Token')
  t.equal(hitMember(cacheStatusName('a"b'), 5), '"a\\"b";hit;ttl=5')
  t.equal(appendCacheStatus(undefined, 'c;hit'), 'c;hit')
  t.equal(appendCacheStatus('origin;hit', 'c;hit'), 'origin;hit, c;hit', 'the nearest to the origin comes first')
  t.equal(appendCacheStatus(['a', 'b'], 'c'), 'a, b, c')
})

t.test('a Cache-Status member parses, whatever stands in it', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 })
  fc.assert(fc.property(text, text, text, fc.boolean(), (name, key, detail, hit) => {
    const [member] = parseList(cacheStatusMember(name, hit ? { hit, key, detail } : { fwd: 'miss', key, detail }))
    const parameters = member?.[1]
    if (parameters?.get('hit') !== (hit ? true : undefined) || typeof parameters?.get('key') !== 'string') throw new Error('not what was meant')
  }), { numRuns: 1000 })
})

t.test('cache groups, in and out', async (t) => {
  t.same(cacheGroups([['cache-groups', '"a", "B c";p=1, token, 5, ("x")']]), ['a', 'B c'], 'strings only, case kept, parameters ignored')
  t.same(cacheGroups([['cache-groups', ['"a"', '"b", "a"']]]), ['a', 'b'], 'lines are one list')
  for (const text of ['"a', '"a" "b"', '"ä"', '']) t.same(cacheGroups([['cache-groups', text]]), [], 'an unparsable field is ignored')
  t.same(cacheGroups([]), [])
  const many = Array.from({ length: 64 }, (_, i) => `group-${i}-${'x'.repeat(64)}`)
  t.same(cacheGroups([['cache-groups', cacheGroupsField(many) ?? '']]), many, 'at least 32 groups of 32 characters')
  t.same(cacheGroups([['cache-groups', '"a"' + ' '.repeat(1e5)]]), [])
  t.equal(cacheGroupsField([]), undefined)
  t.equal(cacheGroupsField(['a"b', 'é']), '"a\\"b", "%c3%a9"')

  const headers = [['cache-group-invalidation', '"g"']] as const
  t.same(invalidatedGroups({ method: 'POST', status: 200, headers }), ['g'])
  t.same(invalidatedGroups({ method: 'M-SEARCH', status: 302, headers }), ['g'])
  t.same(invalidatedGroups({ method: 'GET', status: 200, headers }), [], 'MUST be ignored on safe methods (RFC 9875 §3)')
  t.same(invalidatedGroups({ method: 'POST', status: 500, headers }), [])
})

t.test('tags for a CDN', async (t) => {
  t.same(surrogateKeys('surrogate-key', ['product:1', 'a b', 'a,b', 'a%20b', 'é', 'product:1']), { value: 'product:1 a%20b a%2cb a%2520b %c3%a9', omitted: [] })
  t.same(surrogateKeys('cache-tag', ['a', 'b']), { value: 'a,b', omitted: [] })
  t.same(surrogateKeys('cache-tag', []), { value: undefined, omitted: [] })
  t.same(surrogateKeys('cache-tag', ['', 'x'.repeat(1025)]).omitted.length, 2)
  const { value = '', omitted } = surrogateKeys('surrogate-key', Array.from({ length: 40 }, (_, i) => `${i}-${'x'.repeat(1000)}`))
  t.ok(value.length <= 16384)
  t.equal(value.split(' ').length + omitted.length, 40)
})

t.test('which URIs an unsafe request makes untrue', async (t) => {
  const uris = (method: string, status: number, fields: Record<string, string> = {}, url = 'http://h.example/a/b?x=%2F') =>
    invalidatedUris({ method, status, url, headers: Object.entries(fields) })
  t.same(uris('POST', 200), ['http://h.example/a/b?x=%2F'], 'the target, as it was sent')
  for (const method of ['PUT', 'DELETE', 'PATCH', 'M-SEARCH', 'FOO', 'get']) t.equal(uris(method, 204).length, 1, method)
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE']) t.same(uris(method, 200), [], method)
  for (const status of [100, 199, 400, 404, 500]) t.same(uris('POST', status), [], String(status))
  for (const status of [200, 299, 301, 399]) t.equal(uris('POST', status).length, 1, String(status))
  t.same(uris('POST', 201, { location: 'c#frag' }), ['http://h.example/a/b?x=%2F', 'http://h.example/a/c'])
  t.same(uris('POST', 201, { location: '/p', 'content-location': 'http://h.example:80/q' }).slice(1), ['http://h.example/p', 'http://h.example/q'])
  for (const foreign of ['http://other.example/a', 'https://h.example/a', 'http://h.example:81/a', '//other.example/a', 'http://', 'mailto:a@b']) {
    t.equal(uris('POST', 200, { location: foreign }).length, 1, `not across origins: ${foreign}`)
  }
  t.same(uris('POST', 200, { location: 'http://user:pw@h.example/z' })[1], 'http://h.example/z')
  t.same(uris('POST', 200, { location: '/a/b?x=%2F' }).length, 1, 'each once')
  t.same(uris('POST', 200, { location: '/x' }, 'not a uri'), ['not a uri'])
})

t.test('what a cached route tells browsers', async (t) => {
  t.equal(downstreamCacheControl({ handlerSaid: 'no-store', partitioned: false, clientTtlSeconds: 5 }), undefined, 'what the handler says is passed on')
  t.equal(downstreamCacheControl({ handlerSaid: undefined, partitioned: false }), 'public, no-cache')
  t.equal(downstreamCacheControl({ handlerSaid: undefined, partitioned: true }), 'private, no-cache')
  t.equal(downstreamCacheControl({ handlerSaid: undefined, partitioned: false, clientTtlSeconds: 5.9 }), 'public, max-age=5')
  t.equal(downstreamCacheControl({ handlerSaid: undefined, partitioned: true, clientTtlSeconds: 5 }), 'private, max-age=5')
})

t.test('what a trusted client may ask', async (t) => {
  const judge = (value: string, candidate: Partial<Candidate> = {}) => {
    const verdict = judgeClientDirectives(parseCacheControl(value), { ageMs: 10_000, freshForMs: 50_000, mustRevalidate: false, ...candidate })
    return verdict.serve ? (verdict.acceptsStale ? 'stale' : 'serve') : verdict.reason
  }
  t.equal(judge(''), 'serve')
  t.equal(judge('no-cache'), 'no-cache')
  t.equal(judge('max-age=10'), 'serve')
  t.equal(judge('max-age=9'), 'max-age')
  t.equal(judge('max-age=nonsense'), 'max-age')
  t.equal(judge('min-fresh=50'), 'serve')
  t.equal(judge('min-fresh=51'), 'min-fresh')
  const stale = { freshForMs: -5000 }
  t.equal(judge('', stale), 'serve')
  t.equal(judge('max-stale', stale), 'stale')
  t.equal(judge('max-stale=5', stale), 'stale')
  t.equal(judge('max-stale=4', stale), 'serve')
  t.equal(judge('max-stale=x', stale), 'serve')
  t.equal(judge('max-stale', { ...stale, mustRevalidate: true }), 'serve')
  t.ok(requestCacheControl({ pragma: 'no-cache' }).has('no-cache'))
  t.notOk(requestCacheControl({ pragma: 'no-cache', 'cache-control': 'max-age=5' }).has('no-cache'), 'Pragma speaks only where Cache-Control is absent')
  t.notOk(requestCacheControl({ pragma: 'x-no-cache' }).has('no-cache'))
  t.same(requestCacheControl({}).names, [])
})

t.test('which coding to send', async (t) => {
  const table: Array<[string | undefined, string]> = [
    [undefined, 'identity'], ['', 'identity'], ['br', 'br'], ['gzip', 'gzip'], ['gzip, deflate, br', 'br'], ['GZIP', 'gzip'], ['*', 'br'], ['*;q=0.5, br;q=0', 'gzip'],
    ['gzip;q=0.9, br;q=0.8', 'gzip'], ['br;q=0, gzip;q=0', 'identity'], ['identity, br;q=0.5', 'identity'], ['identity;q=0.5, br;q=0.5', 'br'], ['deflate', 'identity'], ['br;q=x', 'identity'], ['identity;q=0', 'identity']
  ]
  for (const [field, expected] of table) t.equal(chooseEncoding(field, ['br', 'gzip']), expected, field ?? 'no field')
  t.equal(chooseEncoding('br', []), 'identity')
})

t.test('no field is long enough to hold up the process', async (t) => {
  // Linear work over such texts takes moments. Quadratic work takes hours, and the test never ends.
  const long = 300_000
  const shapes = [' ', '\t', ',', '"', '\\', '\\"', 'a', 'a,', 'a=', 'W/', '"a",', '"a" ', ';', '*', '-', '0', '"\\', ' ,', 'é', '=";'].map((unit) => unit.repeat(long / unit.length))
  for (const shape of shapes) {
    for (const text of [shape, shape + 'x', 'x' + shape, `"${shape}`, `"${shape}"`]) {
      parseCacheControl(text)
      parseEntityTagList(text)
      parseHttpDate(text)
      effectiveVary([['vary', text]])
      varyKey(['x', 'accept-language', 'accept-encoding'], { x: text, 'accept-language': text, 'accept-encoding': text })
      stripUnstorable([['connection', text], ['cache-control', text]])
      cacheGroups([['cache-groups', text]])
      cacheStatusMember('c', { fwd: 'miss', key: text, detail: text })
      requestCacheControl({ pragma: text })
    }
  }
  t.pass('came to its end')
})
