import fc from 'fast-check'
import { Redis } from 'ioredis'
import t from 'tap'
import { globMatches, parseGlob, type Glob, type GlobText } from '../../../lib/keyspace/glob.ts'
import { checkPattern, escapeGlob, MAX_PATTERN_LENGTH, parsePattern } from '../../../lib/keyspace/pattern.ts'
import { startRedis } from '../../support/redis-server.ts'

function glob (text: string): Glob {
  const verdict = parseGlob(text)
  if (!verdict.valid) throw new Error(verdict.why)
  return verdict.glob
}

/** Counts how often the matcher looks at a character. */
function counted (text: string): GlobText & { looks: number } {
  return {
    looks: 0,
    length: text.length,
    indexOf: (...args) => text.indexOf(...args),
    endsWith: (...args) => text.endsWith(...args),
    codePointAt (index) {
      this.looks++
      return text.codePointAt(index)
    }
  }
}

t.test('a glob matches whole keys', async (t) => {
  const cases: ReadonlyArray<readonly [pattern: string, text: string, matches: boolean]> = [
    ['product:1', 'product:1', true],
    ['product:1', 'product:12', false],
    ['product:1', 'a product:1', false],
    ['*', '', true],
    ['?', '', false],
    ['product:*', 'product:', true],
    ['product:*:price', 'product:1:price', true],
    ['product:*:price', 'product:1:2:price', true],
    ['product:*:price', 'product:1:price:old', false],
    ['*:price', 'product:price:1:price', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['a**c', 'abc', true],
    ['?b?', 'abc', true],
    ['?b?', 'ab', false],
    ['[abc]1', 'b1', true],
    ['[abc]1', 'd1', false],
    ['[a-c]', 'b', true],
    ['[c-a]', 'b', true],
    ['[^a-c]', 'b', false],
    ['[^a-c]', 'd', true],
    ['[a^]', '^', true],
    ['[\\]]', ']', true],
    ['[\\-x]', '-', true],
    ['[]', '', false],
    ['[]', 'a', false],
    ['[^]', 'a', true],
    ['[a-c0-9_]', '7', true],
    ['*[0-9]', 'product:7', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['\\\\', '\\', true],
    ['a\\bc', 'abc', true],
    ['a]', 'a]', true]
  ]
  for (const [pattern, text, matches] of cases) t.equal(globMatches(glob(pattern), text), matches, `${pattern} on ${text}`)
})

t.test('a character is a code point, whatever it takes in UTF-16', async (t) => {
  t.ok(globMatches(glob('user:?'), 'user:🦊'))
  t.notOk(globMatches(glob('user:??'), 'user:🦊'))
  t.ok(globMatches(glob('[🐀-🦊]'), '🐍'))
  t.notOk(globMatches(glob('[^🐀-🦊]'), '🐍'))
  t.ok(globMatches(glob('*é'), 'caf\u00e9'))
  t.notOk(globMatches(glob('*\u00e9'), 'cafe\u0301'), 'no normalisation: keys are compared as they are')
  t.ok(globMatches(glob('*🦊*🐍'), '🦊🐍🦊🐍🐍'))
  t.ok(globMatches(glob('?'), '\ud83e'), 'half a pair is a character of its own')
})

t.test('a glob can be read from the middle of a text', async (t) => {
  t.ok(globMatches(glob('a*'), 'k:abc', 2))
  t.notOk(globMatches(glob('k*'), 'k:abc', 2))
})

t.test('matching never costs more than the product of the lengths', async (t) => {
  const attacks: ReadonlyArray<readonly [pattern: string, text: string]> = [
    ['*a'.repeat(8) + '*b', 'a'.repeat(10_000)],
    ['*a'.repeat(500) + '*b', 'a'.repeat(10_000)],
    ['*?'.repeat(8) + '*b', 'a'.repeat(10_000)],
    ['*[ab]'.repeat(8) + '*c', 'ab'.repeat(5000)],
    ['*' + 'a'.repeat(1000) + 'b', 'a'.repeat(10_000)],
    ['*ab*ba'.repeat(20), 'ab'.repeat(5000) + 'c']
  ]
  for (const [pattern, text] of attacks) {
    const counting = counted(text)
    t.notOk(globMatches(glob(pattern), counting))
    t.ok(counting.looks <= 3 * pattern.length * text.length, `${pattern.slice(0, 12)}: ${counting.looks} looks`)
  }
  const lengths = [1000, 10_000, 100_000].map((length) => {
    const counting = counted('a'.repeat(length))
    globMatches(glob('*[ab]'.repeat(8) + '*[cd]'), counting)
    return counting.looks / length
  })
  t.ok(Math.max(...lengths) < 1.2 * Math.min(...lengths), `linear in the text: ${lengths.join(', ')} looks per character`)
})

t.test('what Redis matches is what we match', async (t) => {
  const server = await startRedis()
  const redis = new Redis(server.port)
  t.teardown(async () => {
    redis.disconnect()
    await server.stop()
  })
  const alphabet = fc.constantFrom('a', 'b', 'c', '*', '?', '[', ']', '^', '-', '\\')
  let compared = 0
  await fc.assert(fc.asyncProperty(fc.string({ unit: alphabet, minLength: 1, maxLength: 10 }), fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', '^', '-', ']', '\\'), minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 20 }), async (pattern, texts) => {
    const verdict = parseGlob(pattern)
    fc.pre(verdict.valid)
    await redis.flushdb()
    await redis.mset(texts.flatMap((text) => [text, '1']))
    const expected = new Set(await redis.keys(pattern))
    for (const text of texts) {
      compared++
      if (globMatches(verdict.glob, text) !== expected.has(text)) throw new Error(`${pattern} on ${text}: Redis says ${String(expected.has(text))}`)
    }
  }), { numRuns: 400 })
  t.ok(compared > 400)
})

t.test('a pattern is classified by what it costs to look up', async (t) => {
  t.same(parsePattern('*'), { kind: 'everything' })
  t.same(parsePattern('***'), { kind: 'everything' })
  t.same(parsePattern('product:*'), { kind: 'prefix', prefix: 'product:' })
  t.same(parsePattern('100\\%\\**'), { kind: 'prefix', prefix: '100%*' })
  t.same(parsePattern('product:1'), { kind: 'exact', key: 'product:1' })
  t.same(parsePattern('wh\\at\\?'), { kind: 'exact', key: 'what?' })
  for (const text of ['product:?*', '*:price', 'a*b', 'a[b]*', '?']) t.equal(parsePattern(text).kind, 'glob', text)
})

t.test('a pattern that says nothing certain is refused', async (t) => {
  for (const bad of ['', 'abc\\', '[abc', '[a\\', '[^', 'a[', '[a-]', 'x'.repeat(MAX_PATTERN_LENGTH + 1), undefined, null, 7, {}, ['*']]) {
    t.throws(() => checkPattern(bad), { code: 'FST_ERR_CACHE_PATTERN', statusCode: 400 }, JSON.stringify(bad)?.slice(0, 20))
  }
  t.equal(checkPattern('x'.repeat(MAX_PATTERN_LENGTH)).length, MAX_PATTERN_LENGTH)
})

t.test('escaped text matches itself and nothing else', async (t) => {
  fc.assert(fc.property(fc.string({ minLength: 1, unit: fc.oneof(fc.constantFrom('*', '?', '[', ']', '^', '-', '\\', 'a'), fc.string({ minLength: 1, maxLength: 1 })) }), fc.string(), (text, other) => {
    const pattern = glob(escapeGlob(text))
    t.same(parsePattern(escapeGlob(text)), { kind: 'exact', key: text })
    return globMatches(pattern, text) && (text === other || !globMatches(pattern, other))
  }))
  t.ok(globMatches(glob(`[${escapeGlob('^a-z]')}]`), '-'), 'also inside a class')
  t.notOk(globMatches(glob(`[${escapeGlob('a-z')}]`), 'm'))
  t.throws(() => escapeGlob(''), { code: 'FST_ERR_CACHE_PATTERN' }, 'an empty value would turn user:* into everything below it')
})
