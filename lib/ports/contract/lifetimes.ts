import assert from 'node:assert/strict'
import { MAX_ENTRY_BYTES, type Rule } from './kit.ts'

/** An entry is returned for as long as it is good for anything, and no longer. */
export function keepsToLifetimes (rule: Rule): void {
  rule('returns stale entries up to the end of their last window, and not after', async (kit) => {
    await kit.write('plain', { value: 1, freshMs: 1000 })
    await kit.write('swr', { value: 2, freshMs: 1000, staleWhileRevalidateMs: 1000, staleIfErrorMs: 500 })
    await kit.write('sie', { value: 3, freshMs: 1000, staleIfErrorMs: 2000 })
    const alive = async (): Promise<unknown[]> => (await kit.store.readMany(['plain', 'swr', 'sie'])).map((entry) => entry?.value)
    kit.clock.advance(999)
    assert.deepEqual(await alive(), [1, 2, 3])
    kit.clock.advance(1)
    assert.deepEqual(await alive(), [undefined, 2, 3])
    kit.clock.advance(1000)
    assert.deepEqual(await alive(), [undefined, undefined, 3])
    kit.clock.advance(1000)
    assert.deepEqual(await alive(), [undefined, undefined, undefined])
    await kit.write('plain', { value: 4, freshMs: 1000 })
    assert.equal((await kit.store.read('plain'))?.value, 4, 'written anew, it lives anew')
  })

  rule('refuses what is expired or too large, and forgets the older copy', async (kit) => {
    for (const [reason, shape] of [
      ['expired', { value: 2, freshMs: 0 }],
      ['too-large', { value: 'x'.repeat(MAX_ENTRY_BYTES), bytes: MAX_ENTRY_BYTES + 1 }]
    ] as const) {
      await kit.write('a', { value: 1 })
      assert.deepEqual(await kit.write('a', shape), { stored: false, reason })
      assert.equal(await kit.store.read('a'), undefined, reason)
    }
  })
}
