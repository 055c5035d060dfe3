import assert from 'node:assert/strict'
import type { Rule } from './kit.ts'

/** What `BaseCache` makes of a store: a small cache of values. */
export function cachesValues (rule: Rule): void {
  rule('is a cache of values by itself', async (kit) => {
    const { store } = kit
    assert.equal(await store.get('a'), undefined)
    assert.equal(await store.exists('a'), false)
    const given = { at: new Date(0), nested: { list: [1, undefined] }, gone: undefined }
    assert.equal(await store.set('a', given, 60), true)
    const found = await store.get<{ nested: { list: unknown[] } }>('a')
    assert.deepEqual(found, { at: '1970-01-01T00:00:00.000Z', nested: { list: [1, null] } }, 'as JSON has it')
    assert.throws(() => { found?.nested.list.push(2) }, TypeError, 'and frozen')
    assert.equal(await store.exists('a'), true)
    assert.equal(await store.set('null', null), true)
    assert.equal(await store.get('null'), null)
    assert.equal(await store.set('undefined', undefined), false)
    assert.equal(await store.exists('undefined'), false)

    kit.clock.advance(59_999)
    assert.equal(await store.exists('a'), true)
    kit.clock.advance(1)
    assert.equal(await store.get('a'), undefined, 'the TTL is in seconds')
    assert.equal(await store.exists('null'), true, 'and the default is longer')
    assert.equal(await store.delete('null'), true)
    assert.equal(await store.delete('null'), false)
    await store.set('b', 1)
    assert.equal(await store.clear(), true)
    assert.equal(await store.get('b'), undefined)

    const { hits, misses, sets, deletes, errors, hitRate, totalRequests } = store.getStats()
    assert.deepEqual({ hits, misses, sets, deletes, errors, hitRate, totalRequests }, { hits: 2, misses: 3, sets: 3, deletes: 1, errors: 0, hitRate: 2 / 5, totalRequests: 5 })
    for (const ttl of [0, -1, NaN, Infinity]) await assert.rejects(store.set('a', 1, ttl), { code: 'FST_ERR_CACHE_OPTION' })
    await assert.rejects(store.set('a', new Map()), { code: 'FST_ERR_CACHE_VALUE' })
    await assert.rejects(store.get(''), { code: 'FST_ERR_CACHE_KEY' })
    await assert.rejects(store.set('', 1), { code: 'FST_ERR_CACHE_KEY' })
  })
}
