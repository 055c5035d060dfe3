import { deepStrictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { brotliCompressSync } from 'node:zlib'

import fc from 'fast-check'
import t from 'tap'

import { createCompression } from '../../../lib/codec/compression.ts'
import { createEntryCodec, type Decoded, type Moment } from '../../../lib/codec/entry-codec.ts'
import { frame, MAX_HEADER_BYTES, unframe } from '../../../lib/codec/envelope.ts'
import { jsonSerializer } from '../../../lib/codec/serializer.ts'
import { structuredSerializer } from '../../../lib/codec/structured.ts'
import type { Entry } from '../../../lib/entry.ts'

const NOW = 1_900_000_000_000
const at: Moment = { localMs: NOW, sharedMs: NOW }
const codec = createEntryCodec({ serializer: jsonSerializer, compression: createCompression(), maxBytes: 1_000_000 })

const dataEntry: Entry = {
  kind: 'data',
  value: { id: 42, name: 'Gr\u00fc\u00dfe', list: [1, null, true] },
  storedAtMs: NOW,
  freshUntilMs: NOW + 60_000,
  staleWhileRevalidateUntilMs: NOW + 90_000,
  staleIfErrorUntilMs: NOW + 120_000,
  marks: ['t:product', 'k:price:42'],
  asOf: { epoch: 3, seq: 1_750_000_000_000_001 },
  bytes: 200,
  loadMs: 12
}
const responseEntry: Entry = {
  ...dataEntry,
  kind: 'response',
  value: { status: 200, headers: [['content-type', 'text/html; charset=utf-8'], ['link', ['</a>; rel=preload', '</b>; rel=preload']], ['x-name', 'caf\u00e9']], body: Buffer.from('<p>\u20ac 42</p>') },
  marks: ['p:/products/42']
}
const variantsEntry: Entry = { ...dataEntry, kind: 'variants', value: { names: ['accept-language'], keys: ['product:42#Zm9v'] } }
const keptEntry: Entry = { ...responseEntry, keptUntilMs: NOW + 3_600_000 }
const entries = { kept: keptEntry, data: dataEntry, response: responseEntry, variants: variantsEntry }

const entryOf = (decoded: Decoded): Entry => {
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.entry
}

t.test('every kind of entry comes back as it went in', async (t) => {
  for (const entry of Object.values(entries)) {
    const back = entryOf(await codec.decode('product:42', await codec.encode('product:42', entry, at), at))
    deepStrictEqual(back, entry)
  }
  const large: Entry = { ...responseEntry, value: { status: 404, headers: [], body: Buffer.from('x'.repeat(300_000)) }, bytes: 300_000 }
  const bytes = await codec.encode('k', large, at)
  t.ok(bytes.length < 1000, 'compressed')
  deepStrictEqual(entryOf(await codec.decode('k', bytes, at)), large)
  const typed = createEntryCodec({ serializer: structuredSerializer, compression: createCompression({ codec: 'none' }), maxBytes: 1000 })
  const dates: Entry = { ...dataEntry, value: new Map([['at', new Date(5)]]) }
  deepStrictEqual(entryOf(await typed.decode('k', await typed.encode('k', dates, at), at)), dates)
})

t.test('any JSON value and any body survive', async (t) => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary' }), fc.jsonValue(), fc.uint8Array({ maxLength: 3000 }), async (key, value, body) => {
    const data: Entry = { ...dataEntry, value: jsonSerializer.normalise(value).value, bytes: 100_000 }
    deepStrictEqual(entryOf(await codec.decode(key, await codec.encode(key, data, at), at)), data)
    const response: Entry = { ...responseEntry, value: { status: 200, headers: [], body: Buffer.from(body) }, bytes: 100_000 }
    deepStrictEqual(entryOf(await codec.decode(key, await codec.encode(key, response, at), at)), response)
  }), { numRuns: 200 })
  t.pass('no counterexample')
})

t.test('the bytes of version 1 stay readable, and stay what is written', async (t) => {
  const plain = createEntryCodec({ serializer: jsonSerializer, compression: createCompression({ codec: 'none' }), maxBytes: 1_000_000 })
  for (const [kind, entry] of Object.entries(entries)) {
    const golden = readFileSync(new URL(`../../golden/envelope-v1-${kind}.bin`, import.meta.url))
    deepStrictEqual(entryOf(await codec.decode('product:42', golden, at)), entry)
    t.ok(golden.equals(await plain.encode('product:42', entry, at)), kind)
  }
  const golden = readFileSync(new URL('../../golden/envelope-v1-brotli.bin', import.meta.url))
  t.same(entryOf(await codec.decode('long', golden, at)).value, { text: 'all work and no play '.repeat(100) })
})

t.test('a body that is encoded already is not compressed again', async (t) => {
  const body = Buffer.from('a'.repeat(5000))
  const bytes = await codec.encode('k', { ...responseEntry, value: { status: 200, headers: [['content-encoding', 'gzip']], body } }, at)
  t.ok(bytes.includes(body))
})

t.test('coded bodies follow the body, and are believed only as far as there are bytes', async (t) => {
  const encoded = [{ coding: 'br', body: Buffer.from('brotli') }, { coding: 'gzip', body: Buffer.from('zip') }]
  const entry: Entry = { ...responseEntry, value: { status: 200, headers: [], body: Buffer.from('x'.repeat(5000)), encoded } }
  const bytes = await codec.encode('k', entry, at)
  t.same(entryOf(await codec.decode('k', bytes, at)).value, entry.value)
  const whole = { ...valid, x: [['br', 6], ['gzip', 3]], b: 0 }
  const decode = async (header: object, body: string): Promise<Decoded> => await codec.decode('k', frame(header, Buffer.from(body)), at)
  t.equal(entryOf(await decode(whole, 'okbrotlizip')).bytes, 11, 'and all of them count')
  t.match(await decode(whole, 'okbrotli'), { ok: false, reason: 'body' })
  t.match(await decode(whole, 'ok'), { ok: false, reason: 'body' })
  for (const x of ['br', [['br']], [['br', -1]], [['br', 1.5]], [['b\r\n', 1]], [['gzip, br', 1]], [[1, 1]]]) t.match(await decode({ ...valid, x }, 'ok1'), { ok: false, reason: 'header' }, JSON.stringify(x))
})

t.test('clocks that differ by an hour change neither age nor freshness', async (t) => {
  const hour = 3_600_000
  const bytes = await codec.encode('k', { ...dataEntry, storedAtMs: NOW + hour, freshUntilMs: NOW + hour + 60_000 }, { localMs: NOW + hour, sharedMs: NOW })
  const behind = entryOf(await codec.decode('k', bytes, { localMs: NOW - hour + 10_000, sharedMs: NOW + 10_000 }))
  t.equal(behind.storedAtMs, NOW - hour, 'ten seconds old by the clock of the reader')
  t.equal(behind.freshUntilMs, NOW - hour + 60_000)
  const past = entryOf(await codec.decode('k', bytes, { localMs: NOW, sharedMs: NOW - hour }))
  t.equal(past.storedAtMs, NOW, 'an entry from the future is as young as can be, and no younger')
  t.equal(past.freshUntilMs, NOW + 60_000)
})

const valid = { k: 'k', t: 'response', at: NOW, f: 1000, w: 1000, e: 1000, m: ['t:a'], p: [1, 2], l: 3, b: 10, n: 2, c: '', r: [200, [['content-type', 'text/plain']]] }
const decodeHeader = async (change: object, body = Buffer.from('ok')): Promise<Decoded> => await codec.decode('k', frame({ ...valid, ...change }, body), at)

t.test('a header is believed only if every member has its type and range', async (t) => {
  t.ok((await decodeHeader({})).ok)
  const lies: object[] = [
    { t: 'code' }, { at: -1 }, { at: '1' }, { at: 1.5 }, { at: 1e300 }, { f: -1 }, { f: 1e15 }, { f: null }, { w: '5' }, { e: {} }, { m: 't:a' }, { m: [1] }, { m: { length: 1 } },
    { p: [1] }, { p: [1, -1] }, { p: [0.5, 1] }, { p: 'ab' }, { l: -1 }, { b: -1 }, { n: 'x' }, { c: null }, { c: 7 }, { k: 7 }, { t: 'data', s: 1 }, { t: 'data' },
    { r: undefined }, { r: [99, []] }, { r: [600, []] }, { r: ['200', []] }, { r: [200] }, { r: [200, {}] }, { r: [200, ['content-type']] }, { r: [200, [['a']]] }, { r: [200, [['a', 1]]] }, { r: [200, [['a', [1]]]] },
    { r: [200, [['x-a', 'a\r\nset-cookie: evil=1']]] }, { r: [200, [['x-a', ['fine', 'a\nb']]]] }, { r: [200, [['x-a\r\nb', 'c']]] }, { r: [200, [['X-Upper', 'c']]] }, { r: [200, [['', 'c']]] }, { r: [200, [['x-a', 'nul\0']]] }, { r: [200, [['x-a', '\u20ac']]] },
    { r: [200, [['transfer-encoding', 'chunked']]] }, { r: [200, [['connection', 'close']]] }
  ]
  for (const lie of lies) t.same(await decodeHeader(lie), { ok: false, reason: 'header' }, JSON.stringify(lie))
  for (const header of [null, 1, 'x', [], true]) t.same(await codec.decode('k', frame(header, Buffer.alloc(0)), at), { ok: false, reason: 'header' })
})

t.test('a list of variants is one, and leads to its own URL only', async (t) => {
  const decodeList = async (value: unknown): Promise<Decoded> => {
    const body = Buffer.from(JSON.stringify(value))
    return await codec.decode('k', frame({ ...valid, t: 'variants', r: undefined, n: body.length }, body), at)
  }
  t.same(entryOf(await decodeList({ names: ['accept'], keys: ['k#1', 'k#2'], more: 1 })).value, { names: ['accept'], keys: ['k#1', 'k#2'] })
  const lies: unknown[] = [null, 1, [], {}, { names: 'accept', keys: [] }, { names: [], keys: {} }, { names: [1], keys: [] }, { names: ['a b'], keys: [] }, { names: ['Accept'], keys: [] },
    { names: [], keys: [1] }, { names: [], keys: ['j#1'] }, { names: [], keys: ['k'] }, { names: Array(300).fill('a'), keys: [] }]
  for (const lie of lies) t.same(await decodeList(lie), { ok: false, reason: 'body' }, JSON.stringify(lie))
})

t.test('no bytes can set a prototype', async (t) => {
  const text = JSON.stringify({ ...valid, t: 'data', s: 'json', n: 32 }).replace('{', '{"__proto__":{"polluted":1},')
  const body = Buffer.from('{"__proto__":{"polluted":1},"a":1}')
  const bytes = Buffer.concat([Buffer.from('FRC\x01'), Buffer.from([0, 0, 0, text.length]), Buffer.from(text.replace('"n":32', `"n":${body.length}`)), body])
  const decoded = await codec.decode('k', bytes, at)
  t.ok(decoded.ok)
  t.equal((entryOf(decoded).value as { polluted?: number }).polluted, undefined)
  t.equal((entryOf(decoded) as { polluted?: number }).polluted, undefined)
  t.equal(({} as { polluted?: number }).polluted, undefined)
})

t.test('an entry cannot be moved to another key, nor read by another serialiser', async (t) => {
  const bytes = await codec.encode('user:1', dataEntry, at)
  t.same(await codec.decode('user:2', bytes, at), { ok: false, reason: 'other-key' })
  const typed = createEntryCodec({ serializer: structuredSerializer, compression: createCompression(), maxBytes: 1000 })
  t.same(await typed.decode('user:1', bytes, at), { ok: false, reason: 'serializer' })
})

t.test('another version is told from damage, and damage from what was never ours', async (t) => {
  const bytes = Buffer.from(await codec.encode('k', dataEntry, at))
  const newer = Buffer.from(bytes)
  newer[3] = 2
  t.same(await codec.decode('k', newer, at), { ok: false, reason: 'version' })
  for (const foreign of ['', 'FRC', '{"a":1}', '\x80\x04\x95pickle', 'plain text of somebody']) t.same(await codec.decode('k', Buffer.from(foreign), at), { ok: false, reason: 'foreign' })
  t.same(await codec.decode('k', bytes.subarray(0, 50), at), { ok: false, reason: 'header' })
  t.same(await codec.decode('k', bytes.subarray(0, -1), at), { ok: false, reason: 'body' })
  t.same(await codec.decode('k', Buffer.concat([bytes, Buffer.from('x')]), at), { ok: false, reason: 'body' })
  t.same(await codec.decode('k', Buffer.from('FRC\x01\xff\xff\xff\xff', 'latin1'), at), { ok: false, reason: 'header' })
  t.same(unframe(frame({ m: 'x'.repeat(MAX_HEADER_BYTES) }, Buffer.alloc(0))), { ok: false, reason: 'header' })
  t.same(await codec.decode('k', Buffer.concat([Buffer.from('FRC\x01\0\0\0\x03'), Buffer.from('{"k')]), at), { ok: false, reason: 'header' })
  t.same(await decodeHeader({ t: 'data', s: 'json' }, Buffer.from('{x')), { ok: false, reason: 'body' })
})

t.test('a body is bounded by what its header admits, and the header by the limit', async (t) => {
  const bomb = brotliCompressSync(Buffer.alloc(64 * 1024 * 1024))
  t.same(await decodeHeader({ c: 'br', n: 64 * 1024 * 1024 }, bomb), { ok: false, reason: 'too-large' })
  t.same(await decodeHeader({ c: 'br', n: 1000 }, bomb), { ok: false, reason: 'body' })
  t.same(await decodeHeader({ c: 'gzip,gzip,gzip' }), { ok: false, reason: 'body' })
  t.equal(entryOf(await decodeHeader({ b: 0 })).bytes, 2, 'an entry cannot make itself lighter than it is')
})

t.test('random damage is a verdict, never an exception', async (t) => {
  const originals = await Promise.all(Object.values(entries).map(async (entry) => await codec.encode('product:42', entry, at)))
  let refusals = 0
  await fc.assert(fc.asyncProperty(fc.constantFrom(...originals), fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 8 }), async (original, changes) => {
    const bytes = Buffer.from(original)
    for (const [where, byte] of changes) bytes[where % bytes.length] = byte
    const decoded = await codec.decode('product:42', bytes, at)
    if (!decoded.ok) refusals++
  }), { numRuns: 2000 })
  t.ok(refusals > 500)
})

t.test('an entry holds its own bytes, not the packet they came in', async (t) => {
  const packet = Buffer.alloc(100_000)
  const bytes = await codec.encode('k', responseEntry, at)
  bytes.copy(packet, 500)
  const entry = entryOf(await codec.decode('k', packet.subarray(500, 500 + bytes.length), at))
  packet.fill(0)
  deepStrictEqual(entry, responseEntry)
  t.not((entry.value as { body: Buffer }).body.buffer, packet.buffer)
})
