import assert from 'node:assert/strict'
import { tagMark } from '../../keyspace/mark.ts'
import type { Rule } from './kit.ts'

/** A scan shows what is there, page by page, while the store goes on. */
export function showsPages (rule: Rule): void {
  rule('shows all it holds in pages, each entry once', async (kit) => {
    assert.deepEqual((await kit.scanAll()).keys, [])
    const keys = Array.from({ length: 250 }, (_, i) => `k${i}`).sort()
    for (const key of keys) await kit.write(key, { value: key, marks: [tagMark(key.endsWith('7') ? 'seven' : 'other')], freshMs: key.endsWith('3') ? 10 : 1000 })
    const { keys: found, entries } = await kit.scanAll(40)
    assert.deepEqual(found, keys)
    assert.ok(entries.every(([key, entry]) => entry.value === key))

    await kit.log.append({ marks: [tagMark('seven')] })
    kit.clock.advance(10)
    assert.deepEqual((await kit.scanAll()).keys, keys.filter((key) => !/[37]$/.test(key)), 'without what is purged or expired')
  })

  rule('refuses a cursor that it has not told', async ({ store }) => {
    for (const cursor of ['nonsense', '-1', '1e3', '', '/', 'r', 'x0']) await assert.rejects(async () => await store.scan(cursor, 10), { code: 'FST_ERR_CACHE_CURSOR', statusCode: 400 }, cursor)
  })

  rule('shows in a scan whatever was there from its beginning to its end', async (kit) => {
    const stay = Array.from({ length: 100 }, (_, i) => `stay${i}`).sort()
    for (const key of stay) {
      await kit.write(key, { value: 1 })
      await kit.write(`go-${key}`, { value: 1 })
    }
    let turn = 0
    const { keys } = await kit.scanAll(10, async () => {
      turn++
      await kit.store.remove(stay.slice(turn * 5, turn * 5 + 5).map((key) => `go-${key}`))
      await kit.write(`new${turn}`, { value: 1 })
      await kit.store.readMany(stay.slice(0, 20))
    })
    assert.ok(turn > 3, 'it took several pages')
    assert.deepEqual(keys.filter((key) => key.startsWith('stay')), stay)
  })
}
