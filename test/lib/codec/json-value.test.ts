import fc from 'fast-check'
import t from 'tap'

import { normaliseJson } from '../../../lib/codec/json-value.ts'

const roundTrip = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

function isDeepFrozen (value: unknown): boolean {
  return typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isDeepFrozen))
}

const jsonable = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string({ unit: 'binary' }), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined), fc.date({ noInvalidDate: false }),
    fc.array(tie('value')),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString', '0')), tie('value'))
  )
})).value

t.test('the normal form of a value is what a JSON round trip gives', async (t) => {
  fc.assert(fc.property(jsonable.filter((value) => value !== undefined), (value) => {
    const normal = normaliseJson(value)
    t.same(JSON.stringify(normal.value), JSON.stringify(roundTrip(value)))
    return isDeepFrozen(normal.value) && Number.isInteger(normal.bytes) && normal.bytes > 0
  }), { numRuns: 500, verbose: 0 })
})

t.test('unusual values follow JSON to the letter', async (t) => {
  class Money { readonly cents = 5; toJSON (key: string): unknown { return `${key}:${this.cents}` } }
  class Point { x = 1; get y (): number { return 2 } }
  const values: unknown[] = [
    -0, NaN, Infinity, 'lone \ud800', new Date(1e12), new Date(NaN), [undefined, , 1], { a: undefined, b: [] }, // eslint-disable-line no-sparse-arrays
    new Money(), { price: new Money(), list: [new Money()] }, new Point(), Object(1), Object('s'), [Object(false)], new URL('http://a.example/x'),
    Object.create(null), { [Symbol('hidden')]: 1 }, Object.assign(new Map(), { toJSON: () => ({ from: 'a map' }) }),
    JSON.parse('{"__proto__": {"polluted": true}, "a": 1}')
  ]
  for (const value of values) t.equal(JSON.stringify(normaliseJson(value).value), JSON.stringify(value), JSON.stringify(value))
  t.ok(Object.is(normaliseJson(-0).value, 0))
  t.equal(normaliseJson(undefined).value, undefined)
})

t.test('a __proto__ member stays a member', async (t) => {
  const { value } = normaliseJson(JSON.parse('{"__proto__": {"polluted": true}}'))
  t.equal((value as { polluted?: boolean }).polluted, undefined)
  t.equal(Object.getPrototypeOf(value), Object.prototype)
  t.ok(Object.hasOwn(value as object, '__proto__'))
})

t.test('the same object twice is no cycle', async (t) => {
  const shared = { a: 1 }
  t.same(normaliseJson({ x: shared, y: [shared, shared] }).value, { x: { a: 1 }, y: [{ a: 1 }, { a: 1 }] })
})

t.test('what JSON would destroy is refused, with its path', async (t) => {
  const cycle: Record<string, unknown> = { list: [] };
  (cycle.list as unknown[]).push({ back: cycle })
  const cases: Array<[unknown, string]> = [
    [{ items: [1, 2, 3, { blob: Buffer.from('x') }] }, '$.items[3].blob is a Buffer'],
    [new Map(), '$ is a Map'],
    [{ 'a b': new Set() }, '$["a b"] is a Set'],
    [[new Float64Array(2)], '$[0] is a Float64Array'],
    [[new ArrayBuffer(2)], '$[0] is an ArrayBuffer'],
    [[new DataView(new ArrayBuffer(2))], '$[0] is a DataView'],
    [{ id: 10n }, '$.id is a bigint'],
    [{ f () {} }, '$.f is a function'],
    [{ s: Symbol('x') }, '$.s is a symbol'],
    [{ later: Promise.resolve(1) }, '$.later is a Promise'],
    [{ re: /x/ }, '$.re is a RegExp'],
    [new Error('x'), '$ is an Error'],
    [{ w: [new WeakMap(), new WeakSet()] }, '$.w[0] is a WeakMap'],
    [new WeakSet(), '$ is a WeakSet'],
    [{ toJSON: () => ({ inner: new Map() }) }, '$.inner is a Map'],
    [{ toJSON: () => Buffer.from('x') }, '$ is a Buffer'],
    [cycle, '$.list[0].back is a reference to one of its own ancestors']
  ]
  for (const [value, message] of cases) t.throws(() => normaliseJson(value), { code: 'FST_ERR_CACHE_VALUE', message: `The value cannot be cached: ${message}` })
})

t.test('a value that is nested too deeply is refused, not a crash', async (t) => {
  let deep: unknown = 1
  for (let depth = 0; depth < 50_000; depth++) deep = [deep]
  t.throws(() => normaliseJson(deep), { code: 'FST_ERR_CACHE_VALUE', message: /nested too deeply/ })
})

t.test('an error thrown by a toJSON is not disguised', async (t) => {
  t.throws(() => normaliseJson({ toJSON () { throw new TypeError('mine') } }), { message: 'mine' })
})

t.test('the size grows with the content', async (t) => {
  const small = normaliseJson({ text: 'x'.repeat(100) }).bytes
  const large = normaliseJson({ text: 'x'.repeat(10_000) }).bytes
  t.ok(large - small === 9_900)
  t.ok(normaliseJson([1, 2, 3]).bytes > normaliseJson([1]).bytes)
})
