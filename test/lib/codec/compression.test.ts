import { brotliCompressSync, gzipSync } from 'node:zlib'

import fc from 'fast-check'
import t from 'tap'

import { createCompression, type Compressor } from '../../../lib/codec/compression.ts'

const text = Buffer.from('all work and no play makes jack a dull boy. '.repeat(100))
const large = Buffer.from('all work and no play makes jack a dull boy. '.repeat(10_000))

t.test('what was packed comes back, with every codec, small and large', async (t) => {
  for (const codec of ['none', 'gzip', 'brotli'] as const) {
    const compression = createCompression({ codec })
    for (const bytes of [Buffer.alloc(0), Buffer.from('tiny'), text, large]) {
      const packed = await compression.pack(bytes)
      t.ok(packed.bytes.length <= bytes.length)
      t.ok((await compression.unpack(packed, bytes.length))?.equals(bytes), `${codec}, ${bytes.length} bytes`)
    }
  }
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), fc.constantFrom('none' as const, 'gzip' as const, 'brotli' as const), async (given, codec) => {
    const compression = createCompression({ codec, minBytes: 0 })
    const bytes = Buffer.from(given)
    return (await compression.unpack(await compression.pack(bytes), bytes.length))?.equals(bytes) === true
  }), { numRuns: 200 })
})

t.test('short bodies, and bodies that do not shrink, are stored as they are', async (t) => {
  const compression = createCompression()
  t.equal((await compression.pack(text.subarray(0, 1023))).codec, '')
  t.equal((await compression.pack(text.subarray(0, 1024))).codec, 'br')
  t.equal((await createCompression({ minBytes: 10 }).pack(text.subarray(0, 200))).codec, 'br')
  const random = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7919 * (index + 31)) >> 3))
  const incompressible = brotliCompressSync(random)
  const packed = await compression.pack(Buffer.concat([incompressible, brotliCompressSync(Buffer.from(incompressible.map((byte) => byte ^ 0x5a)))]))
  t.equal(packed.codec, '')
})

t.test('small bodies are compressed at once, large ones off the event loop', async (t) => {
  for (const codec of ['gzip', 'brotli'] as const) {
    const compression = createCompression({ codec })
    const small = compression.pack(text)
    t.notOk(small instanceof Promise)
    t.ok(compression.pack(large) instanceof Promise)
    t.notOk(compression.unpack(await small, text.length) instanceof Promise)
    t.ok(compression.unpack(await compression.pack(large), large.length) instanceof Promise)
  }
})

t.test('a decompression bomb is stopped at the length that was announced', async (t) => {
  const compression = createCompression()
  const bomb = Buffer.alloc(64 * 1024 * 1024)
  for (const [codec, bytes] of [['br', brotliCompressSync(bomb)], ['gzip', gzipSync(bomb)]] as const) {
    t.ok(bytes.length < 100_000)
    t.equal(await compression.unpack({ codec, bytes }, 1000), undefined)
    t.equal(await compression.unpack({ codec, bytes }, 100_000), undefined)
    t.equal(await compression.unpack({ codec, bytes }, 0), undefined)
  }
})

t.test('an unknown codec, a chain of codecs and damaged bytes are no bytes', async (t) => {
  const compression = createCompression()
  const { bytes } = await compression.pack(text)
  for (const codec of ['zstd', 'br,br', 'gzip, br', 'constructor', '__proto__']) t.equal(await compression.unpack({ codec, bytes }, text.length), undefined, codec)
  t.equal(await compression.unpack({ codec: 'gzip', bytes }, text.length), undefined)
  t.equal(await compression.unpack({ codec: 'br', bytes: bytes.subarray(0, 20) }, text.length), undefined)
  t.equal(await compression.unpack({ codec: 'br', bytes }, text.length + 1), undefined)
  t.equal(await compression.unpack({ codec: '', bytes: text }, text.length - 1), undefined)
  const packed = await compression.pack(large)
  t.equal(await compression.unpack({ codec: 'br', bytes: packed.bytes.subarray(0, 50) }, large.length), undefined)
})

t.test('a compressor can be handed in, and the built-in ones are still read', async (t) => {
  const halves: Compressor = { name: 'halves', compress: (bytes) => bytes.subarray(0, bytes.length / 2), decompress: (bytes) => Buffer.concat([bytes, bytes]) }
  const compression = createCompression({ codec: halves })
  const twice = Buffer.concat([text, text])
  const packed = await compression.pack(twice)
  t.equal(packed.codec, 'halves')
  t.ok((await compression.unpack(packed, twice.length))?.equals(twice))
  t.ok((await compression.unpack(await createCompression({ codec: 'gzip' }).pack(text), text.length))?.equals(text))
})

t.test('a compressor that fails costs nothing but the compression', async (t) => {
  for (const compress of [() => { throw new Error('broken') }, async () => { throw new Error('broken') }]) {
    const compression = createCompression({ codec: { name: 'broken', compress, decompress: compress } })
    t.same(await compression.pack(text), { codec: '', bytes: text })
    t.equal(await compression.unpack({ codec: 'broken', bytes: text }, text.length), undefined)
  }
})
