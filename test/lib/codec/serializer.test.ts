import { deepStrictEqual } from 'node:assert/strict'

import fc from 'fast-check'
import t from 'tap'

import { schemaSerializer } from '../../../lib/codec/schema-serializer.ts'
import { jsonSerializer, type ValueSerializer } from '../../../lib/codec/serializer.ts'
import { structuredSerializer } from '../../../lib/codec/structured.ts'

const keys = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '$', 'v', 'toString'))

const structured = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string({ unit: 'binary' }), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined), fc.bigInt(), fc.date({ noInvalidDate: true }),
    fc.uint8Array(), fc.float64Array(), fc.int16Array(), fc.uint8Array().map((bytes) => Buffer.from(bytes)), fc.uint8Array().map((bytes) => bytes.buffer),
    fc.array(tie('value')),
    fc.dictionary(keys, tie('value')),
    fc.array(fc.tuple(tie('value'), tie('value'))).map((pairs) => new Map(pairs)),
    fc.array(tie('value')).map((members) => new Set(members))
  )
})).value

const stored = (serializer: ValueSerializer, value: unknown): unknown => serializer.normalise(value).value
const travelled = (serializer: ValueSerializer, value: unknown): unknown => serializer.decode(serializer.encode(stored(serializer, value)))

t.test('structured values keep their types from the miss to the hit from Redis', async (t) => {
  fc.assert(fc.property(structured, (value) => {
    const normal = stored(structuredSerializer, value)
    deepStrictEqual(structuredSerializer.view(travelled(structuredSerializer, value)), structuredSerializer.view(normal))
  }), { numRuns: 500 })
  const value = { at: new Date(5), seen: new Map<unknown, unknown>([['a', new Set([1n, -(2n ** 80n)])]]), raw: Buffer.from([0, 255]), floats: new Float32Array([1.5]), view: new DataView(new ArrayBuffer(3)), $: 'own', gone: undefined, odd: [NaN, -0, -Infinity] }
  const back = travelled(structuredSerializer, value)
  deepStrictEqual(back, value)
  t.ok(Buffer.isBuffer((back as { raw: unknown }).raw))
  t.ok(Number.isNaN((travelled(structuredSerializer, new Date(NaN)) as Date).getTime()))
})

t.test('no reader of a structured value can change what the next one gets', async (t) => {
  const given = { map: new Map([['a', [1]]]), bytes: Buffer.from('abc'), at: new Date(7) }
  const { value, bytes } = structuredSerializer.normalise(given)
  given.map.clear()
  const first = structuredSerializer.view(value) as typeof given
  first.map.get('a')?.push(2)
  first.bytes.fill(0)
  first.at.setTime(0)
  const second = structuredSerializer.view(value) as typeof given
  t.same(second.map.get('a'), [1])
  t.equal(second.bytes.toString(), 'abc')
  t.equal(second.at.getTime(), 7)
  t.ok(bytes > 64)
  t.equal(structuredSerializer.view('text'), 'text')
})

t.test('what the structured serialiser cannot keep is refused, with its path', async (t) => {
  const cycle = new Map<string, unknown>()
  cycle.set('self', [cycle])
  const cases: Array<[unknown, RegExp]> = [
    [{ a: [() => 1] }, /\$\.a\[0\] is a function/],
    [new Map([['k', Symbol('x')]]), /\$\.values\(\)\[0\] is a symbol/],
    [new Map([[Promise.resolve(), 1]]), /\$\.keys\(\)\[0\] is a Promise/],
    [new Set([/x/]), /\$\.values\(\)\[0\] is a RegExp/],
    [{ error: new Error('x') }, /\$\.error is a Error/],
    [{ shared: new SharedArrayBuffer(1) }, /is a SharedArrayBuffer/],
    [new (class Mine extends Uint8Array {})(1), /is a Mine/],
    [cycle, /\$\.values\(\)\[0\]\[0\] is a reference/]
  ]
  for (const [value, message] of cases) t.throws(() => structuredSerializer.normalise(value), { code: 'FST_ERR_CACHE_VALUE', message })
  let deep: unknown = 1
  for (let depth = 0; depth < 50_000; depth++) deep = [deep]
  t.throws(() => structuredSerializer.normalise(deep), { code: 'FST_ERR_CACHE_VALUE' })
})

t.test('objects of other classes become plain objects, by their toJSON if they have one', async (t) => {
  class Point { x = 1 }
  class Money { toJSON (): unknown { return { cents: 5 } } }
  class Itself { id = 1; toJSON (): unknown { return this } }
  t.same(stored(structuredSerializer, [new Point(), new Money(), Object(3)]), [{ x: 1 }, { cents: 5 }, 3])
  t.same(Object.keys(stored(structuredSerializer, new Itself()) as object), ['id'])
  t.equal(Object.getPrototypeOf(stored(structuredSerializer, new Point())), Object.prototype)
})

t.test('foreign bytes build no class, run no code and pollute no prototype', async (t) => {
  const hostile = [
    '{"$":"Function","v":"process.exit()"}', '{"$":"constructor","v":"x"}', '{"$":"__proto__","v":[]}', '{"$":1}', '{"$":"Date"}', '{"$":"Date","v":"now"}',
    '{"$":"Map","v":[[1]]}', '{"$":"Map","v":{}}', '{"$":"Set","v":1}', '{"$":"bigint","v":"0x10"}', '{"$":"bigint","v":10}', '{"$":"number","v":"1e999"}',
    '{"$":"Object","v":[[1,2]]}', '{"$":"Float64Array","v":"YWJj"}', '{"$":"Buffer","v":[1]}', '{', ''
  ]
  for (const text of hostile) t.throws(() => structuredSerializer.decode(Buffer.from(text)), text)
  for (const text of ['{"__proto__":{"polluted":1}}', '{"$":"Object","v":[["__proto__",{"polluted":1}]]}']) {
    const value = structuredSerializer.decode(Buffer.from(text)) as { polluted?: number }
    t.equal(value.polluted, undefined)
    t.equal(Object.getPrototypeOf(value), Object.prototype)
  }
  const json = jsonSerializer.decode(Buffer.from('{"__proto__":{"polluted":1}}')) as { polluted?: number }
  t.equal(json.polluted, undefined)
})

t.test('json values travel unchanged, frozen and shared', async (t) => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const back = travelled(jsonSerializer, value)
    t.equal(JSON.stringify(back), JSON.stringify(value))
    return Object.isFrozen(back) && jsonSerializer.view(back) === back
  }))
})

t.test('a schema shapes the value on the miss as on the hit', async (t) => {
  const serializer = schemaSerializer({ type: 'object', required: ['id'], properties: { id: { type: 'integer' }, name: { type: 'string', default: 'none' } } })
  const { value } = serializer.normalise({ id: 7, secret: 'x' })
  t.same(value, { id: 7, name: 'none' })
  t.ok(Object.isFrozen(value))
  t.same(travelled(serializer, { id: 7, secret: 'x' }), value)
  t.throws(() => serializer.normalise({ name: 'no id' }), { code: 'FST_ERR_CACHE_VALUE', message: /"id" is required/ })
  t.not(schemaSerializer({ type: 'string' }).name, serializer.name)
  t.match(serializer.name, /^schema-[0-9a-f]{12}$/)
  t.throws(() => schemaSerializer({ type: 'no such type' } as never), { code: 'FST_ERR_CACHE_OPTION' })
})
