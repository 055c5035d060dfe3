import fc from 'fast-check'
import t from 'tap'
import { judgeConditional, notModifiedHeaders, NOT_MODIFIED_HEADERS } from '../../../lib/http/conditional.ts'
import { makeEtag, parseEntityTag, parseEntityTagList, strongMatch, weakened, weakMatch } from '../../../lib/http/etag.ts'
import { headerOf, linesOf } from '../../../lib/http/headers.ts'
import type { HeaderList } from '../../../lib/http/headers.ts'
import { formatHttpDate } from '../../../lib/http/http-date.ts'
import { judgeRange, partialResponse, unsatisfiableResponse } from '../../../lib/http/range.ts'
import { cutFromPart, isSingleRange, joinParts, partOf } from '../../../lib/http/parts.ts'
import type { StoredResponse } from '../../../lib/http/response.ts'
import { CLIENT_CONDITIONS, judgeHead, updateStored, validatorsOf } from '../../../lib/http/revalidation.ts'

const NOW = Date.UTC(2024, 4, 6, 7, 8, 9)
const at = (deltaSeconds: number) => formatHttpDate(NOW + deltaSeconds * 1000)

t.test('entity-tags', async (t) => {
  t.same(parseEntityTag('"a"'), { weak: false, opaque: 'a' })
  t.same(parseEntityTag(' W/"" '), { weak: true, opaque: '' })
  for (const text of ['a', 'w/"a"', 'W"a"', 'W\\"a"', '"a', 'a"', '"a"b"', '"a b"', '"\u0000"', '']) t.equal(parseEntityTag(text), undefined, text)
  t.equal(parseEntityTagList(' * '), '*')
  t.same(parseEntityTagList('"a", W/"b" ,, "c,d"\t,'), [{ weak: false, opaque: 'a' }, { weak: true, opaque: 'b' }, { weak: false, opaque: 'c,d' }])
  t.same(parseEntityTagList('"a", nonsense, "b"'), [{ weak: false, opaque: 'a' }], 'what follows a malformed member is not read')
  t.same(parseEntityTagList('"a", *'), [{ weak: false, opaque: 'a' }])
  const weak = { weak: true, opaque: '1' }
  const strong = { weak: false, opaque: '1' }
  const other = { weak: true, opaque: '2' }
  // The table of RFC 9110 §8.8.3.2.
  t.same([strongMatch(weak, weak), weakMatch(weak, weak)], [false, true])
  t.same([strongMatch(weak, other), weakMatch(weak, other)], [false, false])
  t.same([strongMatch(weak, strong), weakMatch(weak, strong)], [false, true])
  t.same([strongMatch(strong, strong), weakMatch(strong, strong)], [true, true])
})

t.test('a made entity-tag is weak, valid and tells bodies apart', async (t) => {
  t.equal(makeEtag(Buffer.from('hello')), makeEtag(Buffer.from('hello')))
  t.not(makeEtag(Buffer.from('hello')), makeEtag(Buffer.from('hellp')))
  t.match(parseEntityTag(makeEtag(Buffer.alloc(0))), { weak: true })
  t.equal(weakened('"a"'), 'W/"a"', 'another coding of the same has a weak tag')
  t.equal(weakened('W/"a"'), 'W/"a"')
})

t.test('conditions of the client against what is stored', async (t) => {
  const stored = { status: 200, etag: '"abc"', lastModified: at(-3000), dateMs: NOW }
  const table: Array<[name: string, Record<string, string | string[]>, object, 'full' | 'not-modified']> = [
    ['no condition', {}, {}, 'full'],
    ['the tag', { 'if-none-match': '"abc"' }, {}, 'not-modified'],
    ['the weak form of it', { 'if-none-match': 'W/"abc"' }, {}, 'not-modified'],
    ['one of a list', { 'if-none-match': '"1", W/"abc", "2"' }, {}, 'not-modified'],
    ['lists on two lines', { 'if-none-match': ['"1"', '"abc"'] }, {}, 'not-modified'],
    ['any', { 'if-none-match': '*' }, {}, 'not-modified'],
    ['any, of a response without a tag', { 'if-none-match': '*' }, { etag: undefined }, 'not-modified'],
    ['another tag', { 'if-none-match': '"abcd"' }, {}, 'full'],
    ['an unquoted tag', { 'if-none-match': 'abc' }, {}, 'full'],
    ['an empty one', { 'if-none-match': '' }, {}, 'full'],
    ['a tag of a response without one', { 'if-none-match': '"abc"' }, { etag: undefined }, 'full'],
    ['a tag of a response with a malformed one', { 'if-none-match': '"abc"' }, { etag: 'abc' }, 'full'],
    ['the tag beside an old date', { 'if-none-match': '"abc"', 'if-modified-since': at(-9000) }, {}, 'not-modified'],
    ['another tag beside a new date', { 'if-none-match': '"x"', 'if-modified-since': at(0) }, {}, 'full'],
    ['the date', { 'if-modified-since': at(-3000) }, {}, 'not-modified'],
    ['a later date', { 'if-modified-since': at(-2999) }, {}, 'not-modified'],
    ['an earlier date', { 'if-modified-since': at(-3001) }, {}, 'full'],
    ['no date', { 'if-modified-since': 'yesterday' }, {}, 'full'],
    ['two dates', { 'if-modified-since': [at(0), at(0)] }, {}, 'full'],
    ['Date in place of Last-Modified', { 'if-modified-since': at(1) }, { lastModified: undefined }, 'not-modified'],
    ['the second of Date, in which it may have changed', { 'if-modified-since': at(0) }, { lastModified: undefined }, 'full'],
    ['a date before it', { 'if-modified-since': at(-1) }, { lastModified: undefined }, 'full'],
    ['nothing to compare with', { 'if-modified-since': at(0) }, { lastModified: undefined, dateMs: undefined }, 'full'],
    ['a malformed Last-Modified', { 'if-modified-since': at(0) }, { lastModified: 'x' }, 'full'],
    ['a stored 404', { 'if-none-match': '*' }, { status: 404 }, 'full'],
    ['a stored redirection', { 'if-modified-since': at(0) }, { status: 301 }, 'full'],
    ['conditions that are not a cache\'s', { 'if-match': '"x"', 'if-unmodified-since': at(-9000) }, {}, 'full']
  ]
  for (const [name, request, other, expected] of table) t.equal(judgeConditional(request, { ...stored, ...other }), expected, name)
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
    judgeConditional({ 'if-none-match': a }, { ...stored, etag: b })
    judgeConditional({ 'if-modified-since': a }, { ...stored, lastModified: b })
  }))
})

t.test('a 304 repeats what guides a cache, and no metadata of the body', async (t) => {
  const headers: HeaderList = [['content-type', 'text/plain'], ['content-length', '5'], ['content-encoding', 'br'], ['etag', '"a"'], ['last-modified', at(-1)], ['date', at(0)], ['vary', 'accept'], ['cache-control', 'no-cache'], ['expires', at(1)], ['content-location', '/x'], ['x-other', '1']]
  t.same(notModifiedHeaders(headers).map(([name]) => name), ['etag', 'date', 'vary', 'cache-control', 'expires', 'content-location'])
  t.same(notModifiedHeaders([['last-modified', at(-1)]]).length, 1, 'Last-Modified where it is the only validator')
  for (const name of ['cache-control', 'content-location', 'date', 'etag', 'expires', 'vary']) t.ok(NOT_MODIFIED_HEADERS.has(name), name)
})

const BODY = Buffer.from('0123456789')
const stored: StoredResponse = { status: 200, body: BODY, headers: [['content-type', 'text/plain'], ['content-length', '10'], ['etag', '"abc"'], ['date', at(0)], ['vary', 'accept']] }

t.test('what a Range asks for', async (t) => {
  const subject = { status: 200, bytes: 10, etag: '"abc"', lastModified: at(-3000), dateMs: NOW }
  const judge = (range: string | undefined, ifRange?: string, other = {}) => {
    const verdict = judgeRange(range, ifRange, { ...subject, ...other })
    return verdict.kind === 'partial' ? verdict.ranges.map(({ start, end }) => `${start}-${end}`).join() : verdict.kind
  }
  const table: Array<[string | undefined, string]> = [
    [undefined, 'full'], ['bytes=0-1', '0-1'], ['bytes=1-', '1-9'], ['bytes=-1', '9-9'], ['bytes=-99', '0-9'], ['bytes=0-', '0-9'], ['bytes=5-99', '5-9'], ['Bytes = 0-1', '0-1'],
    ['bytes=0-0,-1', '0-0,9-9'], ['bytes= 0-0 ,, 2-3 ', '0-0,2-3'], ['bytes=8-9,0-1', '8-9,0-1'], ['bytes=0-1,50-60', '0-1'], ['bytes=99999999999999999999-', 'unsatisfiable'], ['bytes=0-99999999999999999999', '0-9'],
    ['bytes=10-', 'unsatisfiable'], ['bytes=10-20', 'unsatisfiable'], ['bytes=-0', 'unsatisfiable'], ['bytes=20-,30-', 'unsatisfiable'],
    ['bytes=', 'full'], ['bytes=-', 'full'], ['bytes=3-1', 'full'], ['bytes=0-1,3-1', 'full'], ['bytes=a-b', 'full'], ['bytes=1', 'full'], ['bytes=+1-2', 'full'], ['bytes=1--2', 'full'], ['items=0-1', 'full'], ['0-1', 'full'], ['', 'full'],
    ['bytes=0-9,0-9', 'full'], ['bytes=0-,0-,0-', 'full'], ['bytes=' + '0-0,'.repeat(17), 'full'], ['bytes=' + ' '.repeat(2000) + '0-1', 'full']
  ]
  for (const [range, expected] of table) t.equal(judge(range), expected, range?.slice(0, 30) ?? 'no Range')
  t.equal(judge('bytes=0-1', undefined, { status: 404 }), 'full', 'only of a 200')
  t.equal(judge('bytes=0-1', undefined, { bytes: 0 }), 'full', 'nothing of nothing')
  t.equal(judge('bytes=0-1', '"abc"'), '0-1', 'If-Range with the strong tag')
  t.equal(judge('bytes=0-1', 'W/"abc"'), 'full')
  t.equal(judge('bytes=0-1', '"abc"', { etag: 'W/"abc"' }), 'full', 'a weak tag never')
  t.equal(judge('bytes=0-1', '"x"'), 'full')
  t.equal(judge('bytes=10-', '"x"'), 'full', 'a false If-Range comes before a 416')
  t.equal(judge('bytes=0-1', at(-3000)), '0-1', 'If-Range with the date')
  t.equal(judge('bytes=0-1', at(-2999)), 'full', 'exactly')
  t.equal(judge('bytes=0-1', at(0), { lastModified: at(0) }), 'full', 'a date of the same second is weak')
  t.equal(judge('bytes=0-1', at(-3000), { dateMs: undefined }), 'full')
  t.equal(judge('bytes=0-1', at(-3000), { lastModified: undefined }), 'full')
  t.equal(judge('bytes=0-1', 'abc'), 'full')
  fc.assert(fc.property(fc.stringMatching(/^bytes=[-\d, ]{0,20}$/), fc.integer({ min: 0, max: 30 }), (range, bytes) => {
    const verdict = judgeRange(range, undefined, { status: 200, bytes })
    return verdict.kind !== 'partial' || verdict.ranges.every(({ start, end }) => start >= 0 && start <= end && end < bytes)
  }), { numRuns: 2000 })
})

t.test('a 206 with one part, with several, and a 416', async (t) => {
  const one = partialResponse({ ...stored, headers: [...stored.headers, ['content-range', 'items 0-9/100']] }, [{ start: 2, end: 4 }])
  t.equal(one.status, 206)
  t.equal(one.body.toString(), '234')
  t.same(linesOf(one.headers, 'content-range'), ['bytes 2-4/10'])
  t.equal(headerOf(one.headers, 'content-length'), '3')
  for (const name of ['date', 'etag', 'vary', 'content-type']) t.equal(headerOf(one.headers, name), headerOf(stored.headers, name), `${name} is repeated`)

  const several = partialResponse(stored, [{ start: 0, end: 1 }, { start: 9, end: 9 }])
  const boundary = /^multipart\/byteranges; boundary=([\w-]{10,70})$/.exec(headerOf(several.headers, 'content-type') ?? '')?.[1]
  t.ok(boundary)
  t.equal(headerOf(several.headers, 'content-range'), undefined)
  t.equal(several.body.toString(), `--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 9-9/10\r\n\r\n9\r\n--${boundary}--\r\n`)
  t.equal(headerOf(several.headers, 'content-length'), String(several.body.length))
  t.notMatch(partialResponse({ ...stored, headers: [] }, [{ start: 0, end: 0 }, { start: 2, end: 2 }]).body.toString(), /Content-Type/)

  const none = unsatisfiableResponse(stored)
  t.same([none.status, none.body.length, headerOf(none.headers, 'content-range'), headerOf(none.headers, 'content-type'), headerOf(none.headers, 'etag'), headerOf(none.headers, 'content-length')],
    [416, 0, 'bytes */10', undefined, undefined, '0'])
})

t.test('validators go to the handler, the client\'s conditions do not', async (t) => {
  t.same(validatorsOf(stored), { 'if-none-match': '"abc"' })
  t.same(validatorsOf({ ...stored, headers: [['last-modified', at(-1)]] }), { 'if-modified-since': at(-1) })
  t.same(validatorsOf({ ...stored, headers: [] }), {})
  t.ok(CLIENT_CONDITIONS.has('if-none-match') && CLIENT_CONDITIONS.has('range'))
})

t.test('a 304 replaces every field it carries, except the length', async (t) => {
  const before: StoredResponse = { ...stored, headers: [['date', at(-90)], ['x-a', ['1', '2']], ['age', '10'], ['content-length', '10'], ['x-keep', 'k'], ['content-type', 'text/plain'], ['x-a', '3']] }
  const after = updateStored(before, [['date', at(0)], ['x-a', '9'], ['content-length', '0'], ['content-type', 'text/html'], ['x-new', 'n'], ['set-cookie', 's=1'], ['connection', 'x-hop'], ['x-hop', '1'], ['x-priv', '1'], ['cache-control', 'private="x-priv"']])
  t.same(after.headers, [['date', at(0)], ['x-a', '9'], ['content-length', '10'], ['x-keep', 'k'], ['content-type', 'text/html'], ['x-new', 'n'], ['cache-control', 'private="x-priv"']])
  t.equal(after.body, BODY)
  t.equal(after.status, 200)
  t.same(before.headers.length, 7, 'the stored response itself is not touched')

  t.equal(headerOf(updateStored(before, [['x-a', '1']], { receivedAtMs: NOW }).headers, 'date'), at(0), 'an answer without Date is dated by its receipt')
  t.equal(headerOf(updateStored(before, [['age', '4']]).headers, 'age'), '4')
  t.equal(headerOf(updateStored(before, [['content-type', 'text/html']], { transformed: true }).headers, 'content-type'), 'text/plain', 'what describes transformed bytes stays')
  t.same(linesOf(updateStored(before, [['x-a', '7'], ['x-a', '8']]).headers, 'x-a'), ['7', '8'])
})

t.test('a HEAD that disagrees makes the stored GET stale', async (t) => {
  t.equal(judgeHead(stored, [['etag', '"abc"'], ['content-length', '10']]), 'update')
  t.equal(judgeHead(stored, []), 'unknown', 'an answer without validators proves nothing')
  t.equal(judgeHead(stored, [['content-length', '10']]), 'unknown')
  t.equal(judgeHead(stored, [['etag', '"x"']]), 'stale')
  t.equal(judgeHead(stored, [['last-modified', at(0)]]), 'stale')
  t.equal(judgeHead(stored, [['content-length', '11']]), 'stale')
})

t.test('parts of a representation', async (t) => {
  for (const [field, part] of [
    ['bytes 0-4/10', { start: 0, end: 4, complete: 10 }], ['Bytes 4-4/5', { start: 4, end: 4, complete: 5 }],
    ['bytes 0-4/*', undefined], ['bytes */10', undefined], ['bytes 4-3/10', undefined], ['bytes 4-10/10', undefined], ['items 0-4/10', undefined],
    ['bytes 0-4/10, bytes 5-9/10', undefined], ['bytes 0-1/99999999999999999999', undefined], ['', undefined]
  ] as const) t.same(partOf([['content-range', field]]), part, field)
  t.equal(partOf([]), undefined)
  for (const range of ['bytes=0-', 'bytes=0-4', ' Bytes = -5 ']) t.ok(isSingleRange(range), range)
  for (const range of [undefined, '', 'bytes=', 'bytes=-', 'bytes=0-1,2-3', 'lines=0-1']) t.notOk(isSingleRange(range), String(range))

  const whole = Buffer.from('0123456789')
  const part = (start: number, end: number, etag = '"a"', complete = 10): StoredResponse => ({ status: 206, headers: [['etag', etag], ['content-range', `bytes ${start}-${end}/${complete}`]], body: whole.subarray(start, end + 1) })
  const cut = (stored: StoredResponse, range: string, ifRange?: string): string | undefined => cutFromPart(stored, range, ifRange, NOW)?.body.toString()
  t.same([cut(part(2, 6), 'bytes=2-6'), cut(part(2, 6), 'bytes=3-3'), cut(part(2, 9), 'bytes=-3'), cut(part(2, 6), 'bytes=3-4', '"a"')], ['23456', '3', '789', '34'])
  for (const [range, ifRange] of [['bytes=1-3'], ['bytes=5-7'], ['bytes=0-'], ['bytes=-1'], ['bytes=99-'], ['bytes=3-4', '"b"'], ['lines=2-3']] as const) t.equal(cut(part(2, 6), range, ifRange), undefined, `${range} ${ifRange ?? ''}`)
  t.equal(cut({ ...part(2, 6), headers: [] }, 'bytes=2-6'), undefined)

  const joined = (earlier: StoredResponse, later: StoredResponse): unknown => {
    const { status, headers, body } = joinParts(earlier, later) ?? {}
    return status === undefined ? undefined : [status, headerOf(headers ?? [], 'content-range'), String(body)]
  }
  t.same(joined(part(2, 4), part(5, 6)), [206, 'bytes 2-6/10', '23456'], 'one behind the other')
  t.same(joined(part(5, 6), part(2, 5)), [206, 'bytes 2-6/10', '23456'], 'one before the other')
  t.same(joined(part(0, 5), part(5, 9)), [200, undefined, '0123456789'], 'all of it')
  t.same(joined(part(2, 6), part(3, 4)), [206, 'bytes 2-6/10', '23456'])
  t.same(joined(part(2, 6), { ...part(3, 4), body: Buffer.from('xy') }), [206, 'bytes 2-6/10', '2xy56'], 'the later one counts')
  for (const [name, earlier, later] of [
    ['a gap', part(0, 2), part(4, 5)], ['a gap before', part(4, 5), part(0, 2)], ['another tag', part(0, 2), part(3, 4, '"b"')], ['a weak tag', part(0, 2, 'W/"a"'), part(3, 4, 'W/"a"')],
    ['another length', part(0, 2, '"a"', 11), part(3, 4)], ['no tag', { ...part(0, 2), headers: [['content-range', 'bytes 0-2/10']] } as StoredResponse, part(3, 4)], ['no part', { ...part(0, 2), headers: [] }, part(3, 4)]
  ] as const) t.equal(joined(earlier, later), undefined, name)
})
