import fc from 'fast-check'
import t from 'tap'
import { MAX_CACHE_CONTROL_LENGTH, parseCacheControl } from '../../../lib/http/cache-control.ts'
import { parseDeltaSeconds } from '../../../lib/http/delta-seconds.ts'
import { targetedCacheControl } from '../../../lib/http/targeted.ts'

t.test('a well-formed Cache-Control is read to the letter', async (t) => {
  const cc = parseCacheControl('Public, MAX-AGE=60 , s-maxage="120",foobar,, community="UCI"')
  t.same(cc.names, ['public', 'max-age', 's-maxage', 'foobar', 'community'])
  t.equal(cc.seconds('max-age'), 60)
  t.equal(cc.seconds('s-maxage'), 120, 'token and quoted form mean the same (RFC 9111 §5.2)')
  t.equal(cc.seconds('stale-if-error'), undefined)
  t.ok(cc.grants('public'))
  t.notOk(cc.malformed('max-age'))
  t.notOk(parseCacheControl('constructor, __proto__, x-private, storeno').has('private'), 'other words stay other words')
})

t.test('an absent or empty field says nothing', async (t) => {
  for (const value of [undefined, '', [], ' ', ',,', ['', '']]) t.same(parseCacheControl(value).names, [])
})

t.test('deltas are digits only, and clamped', async (t) => {
  const table: Array<[string, number]> = [
    ['max-age=0', 0], ['max-age=003600', 3600], ['max-age="60"', 60], ['max-age=2147483647', 2147483647],
    ['max-age=2147483648', 2147483648], ['max-age=99999999999', 2147483648], [`max-age=${'9'.repeat(400)}`, 2147483648],
    ['max-age=-1', 0], ['max-age=+60', 0], ['max-age=60.0', 0], ['max-age=60a', 0], ['max-age=a60', 0], ["max-age='60'", 0],
    ['max-age', 0], ['max-age=', 0], ['max-age =60', 0], ['max-age= 60', 0], ['max-age=60 60', 0], ['max-age=60;x', 0],
    ['max-age=1, max-age=60', 1], ['max-age=60, max-age=1', 60], ['max-age="6\\0"', 60], ['max-age=1e3', 0], ['max-age=0x10', 0],
    ['max-age=٦٠', 0]
  ]
  for (const [text, seconds] of table) t.equal(parseCacheControl(text).seconds('max-age'), seconds, text.slice(0, 40))
  t.equal(parseDeltaSeconds(''), undefined)
})

t.test('a directive within the quoted string of another is text', async (t) => {
  for (const text of ['ext="no-store"', 'ext="a, no-store, b"', 'ext="\\", no-store, \\""', 'ext="private", max-age=60', 'ext="x, public, s-maxage=60"']) {
    const cc = parseCacheControl(text)
    t.notOk(cc.has('no-store') || cc.has('private') || cc.has('public') || cc.has('s-maxage'), text)
  }
  t.equal(parseCacheControl('extension="max-age=3600", max-age=1').seconds('max-age'), 1)
})

t.test('what restricts counts in every spelling', async (t) => {
  const spellings = (word: string) => [
    word, word.toUpperCase(), ` ${word} `, `\t${word}`, `${word}=1`, `${word}=true`, `${word}="`, `"${word}"`, `'${word}' x`, `${word};`,
    `max-age=60; ${word}`, `max-age=60 ${word}`, `public ${word}`, `${word}=`, `=${word}`, `${word}(`, `max-age=60,${word}`, `max-age=60,,,${word}`,
    `ext="unclosed, ${word}`, `ext=", ${word}, " tail`, `\u00a0${word}`, `\u200b${word}`, `max-age=60\n${word}`, `x="a""b", ${word}`, `${word}, ext="`,
    `ext="\\", ${word}`, `max-age=60/${word}`, `'${word}'`, `*${word}*`, word.replace('-', '_'), word.replace('-', ''), `!${word}`, `${word}.`
  ]
  for (const word of ['no-store', 'private', 'no-cache', 'must-revalidate', 'proxy-revalidate']) {
    for (const text of spellings(word)) t.ok(parseCacheControl(text).has(word), JSON.stringify(text))
  }
  for (const text of spellings('private')) t.ok(parseCacheControl(text).unqualified('private'), JSON.stringify(text))
})

t.test('a quoted string does not reach from one line into the next', async (t) => {
  t.ok(parseCacheControl(['ext="', 'no-store', '"']).has('no-store'))
  t.equal(parseCacheControl(['public', 'max-age=5']).seconds('max-age'), 5)
})

t.test('what permits must be spelled right', async (t) => {
  for (const text of ['private; public', '"public"', 'public foo', 'x;must-understand', 'public, x;public', 'a="b, public, must-understand']) {
    const cc = parseCacheControl(text)
    t.notOk(cc.grants('public') || cc.grants('must-understand'), text)
  }
})

t.test('qualified no-cache and private name fields, and doubt makes them unqualified', async (t) => {
  t.same(parseCacheControl('no-cache="Set-Cookie, x-priv"').fields('no-cache'), ['set-cookie', 'x-priv'])
  t.same(parseCacheControl('private="a", private="b"').fields('private'), ['a', 'b'])
  for (const text of ['private, private="hdr"', 'private="hdr", private', 'private=""', 'private=","', 'private="a b"', 'private="a(", x', 'private=hdr', 'private="hdr" x', 'private="\u00e4"']) {
    const cc = parseCacheControl(`public, max-age=60, ${text}`)
    t.ok(cc.unqualified('private'), text)
    t.equal(cc.fields('private'), undefined, text)
  }
})

t.test('a value too long to be honest forbids storing, unread', async (t) => {
  const cc = parseCacheControl('public, max-age=60' + ', x'.repeat(MAX_CACHE_CONTROL_LENGTH))
  t.ok(cc.has('no-store'))
  t.same(cc.names, ['no-store'])
  t.ok(parseCacheControl(new Array(MAX_CACHE_CONTROL_LENGTH).fill('a')).has('no-store'), 'many short lines are long as well')
})

t.test('a reading is the same the second time, and after many others', async (t) => {
  const first = parseCacheControl('max-age=7')
  t.equal(parseCacheControl('max-age=7'), first, 'remembered')
  t.same(Array.from({ length: 1000 }, (_, i) => parseCacheControl(`max-age=${i}`).seconds('max-age')), Array.from({ length: 1000 }, (_, i) => i))
  t.not(parseCacheControl('max-age=7'), first, 'forgotten, since memory is bounded')
  t.equal(parseCacheControl(['max-age=7']).seconds('max-age'), 7)
  t.equal(parseCacheControl('x, '.repeat(200) + 'max-age=7').seconds('max-age'), 7, 'too long to remember')
})

t.test('no value makes the parser throw, and a word outside quoted strings is always seen', async (t) => {
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(fc.constantFrom('"', '\\', ',', ';', '=', ' ', 'a', 'no-store', 'private', 'max-age', '60', '\t', 'ü'), { maxLength: 40 }).map((parts) => parts.join(''))
  )
  fc.assert(fc.property(fc.oneof(value, fc.array(value, { maxLength: 4 })), (input) => {
    const cc = parseCacheControl(input)
    for (const name of cc.names) {
      const seconds = cc.seconds(name)
      if (seconds === undefined || !Number.isInteger(seconds) || seconds < 0 || seconds > 2 ** 31) throw new Error(`${name}: ${seconds}`)
    }
    for (const line of typeof input === 'string' ? [input] : input) {
      const outside = line.replace(/"(?:[^"\\]|\\.)*"/gs, '""')
      const words = outside.toLowerCase().split(/[^!#$%&'*+\-.^_`|~\da-z]+/)
      // A word right behind `=` is the argument of something else.
      if (words.includes('no-store') && !/=\s*no-store/i.test(outside) && !cc.has('no-store')) throw new Error('no-store overlooked')
    }
  }), { numRuns: 3000 })

  fc.assert(fc.property(value, value, fc.constantFrom('no-store', 'private', 'no-cache'), (before, after, word) => {
    const tame = (text: string) => text.replace(/["\\]/g, '')
    if (!parseCacheControl(`${tame(before)}, ${word}, ${tame(after)}`).has(word)) throw new Error('overlooked')
    if (!parseCacheControl([before, word, after]).has(word)) throw new Error('overlooked on a line of its own')
  }), { numRuns: 3000 })
})

t.test('targeted fields', async (t) => {
  const read = (text: string | string[], targets = ['cdn-cache-control']) => targetedCacheControl([['cdn-cache-control', text]], targets)
  t.equal(read('max-age=60')?.seconds('max-age'), 60)
  t.equal(read('max-age=60;x=1, no-store=?0')?.has('no-store'), false, 'false is no directive')
  t.equal(read(['max-age=60', 'private'])?.has('private'), true, 'lines are one dictionary')
  t.equal(read('max-age="60"')?.seconds('max-age'), undefined, 'a value of the wrong type is not consumed (RFC 9213 §2.1)')
  t.equal(read('max-age=60.5')?.seconds('max-age'), undefined)
  t.equal(read('max-age=-5')?.seconds('max-age'), 0)
  t.equal(read('max-age=99999999999')?.seconds('max-age'), 2 ** 31)
  for (const text of ['no-store=1', 'private="x"', 'no-cache=(a b)', 'private=tok', 'no-store;a']) {
    const cc = read(text)
    t.ok(cc?.has('no-store') === true || cc?.has('private') === true || cc?.has('no-cache') === true, `${text}: a restriction counts whatever its value`)
  }
  t.equal(read('public=1')?.grants('public'), false, 'a permission does not')
  for (const text of ['', ' ', 'max-age=60,', 'Max-Age=60', 'max-age = 60', 'max-age=60; ', '"x"', 'max-age=1\u00e4', 'max-age=1234567890123456']) {
    t.equal(read(text), undefined, `${text.slice(0, 20)}: ignored as a whole`)
  }
  t.equal(read('no-store' + ', x'.repeat(MAX_CACHE_CONTROL_LENGTH))?.has('no-store'), true, 'too long to be read it forbids storing')
  t.equal(read('max-age=60', []), undefined, 'off the list it does not matter')
  const both = targetedCacheControl([['cdn-cache-control', 'max-age=1'], ['my-cache-control', 'max-age=2']], ['my-cache-control', 'cdn-cache-control'])
  t.equal(both?.seconds('max-age'), 2, 'the first of the list wins')
  const broken = targetedCacheControl([['my-cache-control', '=?'], ['cdn-cache-control', 'max-age=1']], ['my-cache-control', 'cdn-cache-control'])
  t.equal(broken?.seconds('max-age'), 1, 'an unparsable field is skipped')
})
