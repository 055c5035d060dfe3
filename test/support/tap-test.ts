import type { Test } from 'tap'
import type { ContractTest } from '../../lib/ports/contract/store-contract.ts'

/** A test of tap for suites that fail by throwing: what does not throw has passed, which tap wants to be told. */
export function tapTest (t: Pick<Test, 'test'>): ContractTest {
  return (name, body) => t.test(name, async (t) => {
    await body()
    t.pass('holds')
  })
}
