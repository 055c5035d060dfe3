import assert from 'node:assert/strict'
import { keyMark, tagMark } from '../../keyspace/mark.ts'
import { escapeGlob } from '../../keyspace/pattern.ts'
import type { PurgeRecord } from '../invalidation-log.ts'
import type { Rule } from './kit.ts'

/** Each way to purge the key `product:42` that carries the tag `shoes` and was built from `price:7`. */
const PURGES: ReadonlyArray<readonly [name: string, record: PurgeRecord]> = [
  ['its key', { keys: ['product:42'] }],
  ['its tag', { marks: [tagMark('shoes')] }],
  ['a key that it was built from', { keys: ['price:7'] }],
  ['a prefix', { patterns: ['product:*'] }],
  ['a glob', { patterns: ['*:4?'] }],
  ['a pattern without a wildcard', { patterns: [escapeGlob('product:42')] }],
  ['a pattern over a key that it was built from', { patterns: ['price:*'] }],
  ['a prefix of its tag', { markPrefixes: [tagMark('sh')] }],
  ['everything', { everything: true }]
]

const OTHERS: PurgeRecord = { keys: ['product:4', 'product:421'], marks: [tagMark('product:42'), tagMark('shoe')], markPrefixes: [tagMark('hoes')], patterns: ['product:42?', 'shoes*', 'Product:*'] }

/** A purge reaches what was stored before it and what a load that began before it would store, and nothing else. */
export function heedsPurges (rule: Rule): void {
  for (const [what, record] of PURGES) {
    rule(`never returns what a purge of ${what} has touched, whether it was stored before or is stored after`, async (kit) => {
      const shape = { value: 'old', marks: [tagMark('shoes'), keyMark('price:7')], staleIfErrorMs: 60_000 }
      await kit.write('other', { value: 'other' })
      await kit.write('product:42', shape)
      const ticket = kit.log.ticket()
      await kit.log.append(record)
      assert.equal(await kit.store.read('product:42'), undefined)
      assert.deepEqual(await kit.write('product:42', { ...shape, ticket }), { stored: false, reason: 'purged' }, 'a load that began before is refused')
      assert.equal(await kit.store.read('product:42'), undefined)
      assert.equal((await kit.store.read('other'))?.value, record.everything === true ? undefined : 'other')
      assert.deepEqual(await kit.write('product:42', { ...shape, value: 'new' }), { stored: true }, 'a load that begins after is stored')
      assert.equal((await kit.store.read('product:42'))?.value, 'new')
    })

    rule(`softens what a soft purge of ${what} touches`, async (kit) => {
      const shape = { value: 'old', marks: [tagMark('shoes'), keyMark('price:7')], freshMs: 60_000, staleWhileRevalidateMs: 10_000, staleIfErrorMs: 20_000 }
      await kit.write('product:42', shape)
      kit.clock.advance(1000)
      const ticket = kit.log.ticket()
      const purgedAtMs = kit.clock.now()
      await kit.log.append({ ...record, soft: true })
      kit.clock.advance(1000)
      const softened = [purgedAtMs, purgedAtMs + 10_000, purgedAtMs + 20_000]
      assert.deepEqual(kit.lifeOf(await kit.store.read('product:42')).slice(1), softened)
      assert.deepEqual(kit.lifeOf(await kit.store.read('product:42')).slice(1), softened, 'once')
      assert.deepEqual(await kit.write('product:42', { ...shape, ticket }), { stored: true }, 'a load that began before is stored')
      assert.ok(Number((await kit.store.read('product:42'))?.freshUntilMs) <= kit.clock.now(), 'and is not fresh either')
      await kit.log.append(record)
      assert.equal(await kit.store.read('product:42'), undefined, 'a hard purge after the soft one takes it')
    })
  }

  rule('judges an overwritten entry by its last write only', async (kit) => {
    await kit.write('a', { value: 'old', marks: [tagMark('shoes')] })
    await kit.log.append({ keys: ['a'] })
    await kit.write('a', { value: 'new', marks: [tagMark('hats')] })
    assert.equal((await kit.store.read('a'))?.value, 'new')
    await kit.log.append({ marks: [tagMark('shoes')] })
    assert.equal((await kit.store.read('a'))?.value, 'new')
    await kit.log.append({ marks: [tagMark('hats')] })
    assert.equal(await kit.store.read('a'), undefined)
  })

  rule('leaves alone what a purge does not touch', async (kit) => {
    await kit.write('product:42', { value: 1, marks: [tagMark('shoes')] })
    const ticket = kit.log.ticket()
    await kit.log.append(OTHERS)
    await kit.log.append({ ...OTHERS, soft: true })
    const found = await kit.store.read('product:42')
    assert.equal(found?.value, 1)
    assert.equal(found?.freshUntilMs, kit.clock.now() + 60_000)
    assert.deepEqual(await kit.write('product:42', { value: 2, ticket, marks: [tagMark('shoes')] }), { stored: true })
  })

  rule('loses at once by a soft purge what may not be served stale', async (kit) => {
    await kit.write('a', { value: 1 })
    await kit.log.append({ keys: ['a'], soft: true })
    assert.equal(await kit.store.read('a'), undefined)
  })
}
