import assert from 'node:assert/strict'
import type { Entry } from '../../entry.ts'
import { keyMark, tagMark } from '../../keyspace/mark.ts'
import { MAX_ENTRY_BYTES, type Rule } from './kit.ts'

const ODD_KEYS = ['__proto__', 'constructor', 'a b', 'line\nbreak', 'k\u0000l', 'ключ', '🔑', '{a}b', '*', '[x]', 'k'.repeat(1024)]

/** What goes in comes out, and what must leave leaves. */
export function holdsWhatWasWritten (rule: Rule): void {
  rule('returns what was written, and nothing else', async (kit) => {
    assert.equal(await kit.store.read('a'), undefined)
    for (const value of [{ x: [1, 'two', null] }, null, 0, '', false]) {
      assert.deepEqual(await kit.write('a', { value, staleWhileRevalidateMs: 5, staleIfErrorMs: 9, marks: [tagMark('t'), keyMark('b')] }), { stored: true })
      const found = await kit.store.read('a')
      assert.deepEqual(found?.value, value)
      assert.deepEqual(kit.lifeOf(found), kit.lifeOf(kit.entry({ value, staleWhileRevalidateMs: 5, staleIfErrorMs: 9 })))
      assert.deepEqual([found?.kind, found?.marks, found?.loadMs], ['data', ['t:t', 'k:b'], 7])
    }
    assert.equal(await kit.store.read('A'), undefined, 'keys are exact')

    const response = { status: 201, headers: [['content-type', 'text/plain'], ['x-two', 'b']], body: Buffer.from([0, 255, 10, 13]) }
    await kit.write('r', { value: response, kind: 'response' })
    const found = await kit.store.read('r')
    assert.equal(found?.kind, 'response')
    assert.deepEqual(found?.value, response, 'responses keep their order of headers and their bytes')
  })

  rule('takes every key for what it is', async (kit) => {
    for (const key of ODD_KEYS) assert.equal(await kit.store.read(key), undefined, 'nothing is there by birth')
    for (const key of ODD_KEYS) await kit.write(key, { value: key })
    for (const key of ODD_KEYS) assert.equal((await kit.store.read(key))?.value, key)
    assert.equal(await kit.store.remove(['*']), 1, 'a key is not a pattern')
    assert.equal((await kit.store.read('[x]'))?.value, '[x]')
  })

  rule('keeps the order of a batch, and its holes', async (kit) => {
    const ticket = kit.log.ticket()
    await kit.log.append({ marks: [tagMark('late')] })
    const verdicts = await kit.store.writeMany([
      ['a', kit.entry({ value: 1, ticket }), ticket],
      ['late', kit.entry({ value: 2, ticket, marks: [tagMark('late')] }), ticket],
      ['huge', kit.entry({ value: 'x'.repeat(MAX_ENTRY_BYTES), ticket, bytes: MAX_ENTRY_BYTES + 1 }), ticket],
      ['b', kit.entry({ value: 3, ticket }), ticket]
    ])
    assert.deepEqual(verdicts, [{ stored: true }, { stored: false, reason: 'purged' }, { stored: false, reason: 'too-large' }, { stored: true }])
    const found = await kit.store.readMany(['b', 'late', 'a', 'huge', 'b', 'none'])
    assert.deepEqual(found.map((entry) => entry?.value), [3, undefined, 1, undefined, 3, undefined])
    assert.deepEqual(await kit.store.readMany([]), [])
    assert.deepEqual(await kit.store.writeMany([]), [])
  })

  rule('the near tier, where there is one, has what was written before the writing is over', async (kit) => {
    const writing = kit.store.write('k', kit.entry({ value: 1 }), kit.log.ticket())
    const { near } = kit.store
    assert.equal(near === undefined ? 1 : (near.read('k') as Entry).value, 1)
    await writing
    assert.equal((await kit.store.read('k'))?.value, 1)
  })

  rule('removes keys and tells how many there were', async (kit) => {
    for (const key of ['a', 'b', 'c']) await kit.write(key, { value: key })
    assert.equal(await kit.store.remove(['a', 'none', 'c']), 2)
    assert.equal(await kit.store.remove(['a']), 0)
    assert.equal(await kit.store.remove([]), 0)
    assert.deepEqual((await kit.store.readMany(['a', 'b', 'c'])).map((entry) => entry?.value), [undefined, 'b', undefined])
  })

  rule('wipes everything and goes on', async (kit) => {
    for (let i = 0; i < 50; i++) await kit.write(`k${i}`, { value: i })
    await kit.store.wipe()
    assert.deepEqual((await kit.scanAll()).keys, [])
    assert.equal(await kit.store.read('k1'), undefined)
    await kit.write('k1', { value: 'again' })
    assert.equal((await kit.store.read('k1'))?.value, 'again')
  })

  rule('counts what it was asked', async (kit) => {
    const before = kit.figures()
    await kit.write('a', { value: 1 })
    await kit.store.read('a')
    await kit.store.read('a')
    const hit = kit.figures()
    assert.equal(hit.hits - before.hits, 2)
    assert.equal(hit.misses - before.misses, 0)
    await kit.store.read('none')
    assert.equal(kit.figures().hits, hit.hits)
    assert.ok(kit.figures().misses > hit.misses)
    assert.equal(kit.figures().errors, 0)
  })

  rule('answers as if it held nothing once it is closed, and closes twice', async (kit) => {
    await kit.write('a', { value: 1 })
    await kit.store.close()
    await kit.store.close()
    assert.equal(await kit.store.read('a'), undefined)
    assert.deepEqual(await kit.store.readMany(['a']), [undefined])
    assert.deepEqual(await kit.write('a', { value: 1 }), { stored: false, reason: 'closed' })
    assert.equal(await kit.store.remove(['a']), 0)
    assert.deepEqual((await kit.scanAll()).keys, [])
  })
}
