import assert from 'node:assert/strict'
import type { MaybePromise } from '../../maybe-promise.ts'
import type { BaseCache } from '../base-cache.ts'
import type { InvalidationLog } from '../invalidation-log.ts'
import { fakeClock, type FakeClock } from './fake-clock.ts'
import { holdsWhatWasWritten } from './holding.ts'
import { Kit, MAX_ENTRY_BYTES, type Rule } from './kit.ts'
import { keepsToLifetimes } from './lifetimes.ts'
import { showsPages } from './pages.ts'
import { heedsPurges } from './purges.ts'
import { described, faultOf, schedulesOf, shortest, type Schedule } from './schedule.ts'
import { cachesValues } from './values.ts'

export { fakeClock, type FakeClock }

/** How a test is made: `test` of `node:test` and of Vitest, `it` of Mocha, `(name, body) => t.test(name, body)` of tap. */
export type ContractTest = (name: string, body: () => Promise<void>) => unknown

/** What the store is to be made with. */
export interface StoreDeps {
  /** Time, which the suite moves by hand; for the store and for its log. */
  readonly clock: FakeClock
  /** Entries larger than this must be refused. */
  readonly maxEntryBytes: number
}

/** A store that holds nothing yet, with room for 1 000 entries, and the log that it listens to. */
export interface StoreUnderTest {
  readonly store: BaseCache
  /** `createLocalLog({ clock })` will do. */
  readonly log: InvalidationLog
  /** Ends what was made for one test. @default closes the store */
  readonly close?: () => MaybePromise<void>
}

export interface StoreContractOptions {
  /** How many random schedules are tried. @default 100 */
  readonly schedules?: number
  /** Which ones; a failure names the seed that it came from. @default others each time */
  readonly seed?: number
}

/**
 * What every store promises, whatever it is made of: the suite that memory, Redis and hybrid pass, and that a store of
 * your own passes if `makeStore` answers one that is empty each time it is called.
 *
 * ```ts
 * import test from 'node:test'
 * import { createLocalLog } from 'fastify-response-cache'
 * import { storeContract } from 'fastify-response-cache/store-contract'
 *
 * storeContract(test, 'MyCache', ({ clock, maxEntryBytes }) => {
 *   const log = createLocalLog({ clock })
 *   return { log, store: new MyCache({ log, clock, maxEntryBytes }) }
 * })
 * ```
 *
 * @param test makes one test of each sentence; a test fails by an `AssertionError` of `node:assert`
 * @param name stands in front of each sentence
 */
export function storeContract (test: ContractTest, name: string, makeStore: (deps: StoreDeps) => MaybePromise<StoreUnderTest>, { schedules = 100, seed = Date.now() }: StoreContractOptions = {}): void {
  const withKit = async <T>(use: (kit: Kit) => Promise<T>): Promise<T> => {
    const clock = fakeClock()
    const { store, log, close = () => store.close() } = await makeStore({ clock, maxEntryBytes: MAX_ENTRY_BYTES })
    try {
      return await use(new Kit(store, log, clock))
    } finally {
      await close()
    }
  }
  const rule: Rule = (sentence, body) => { test(`${name} ${sentence}`, async () => { await withKit(body) }) }

  holdsWhatWasWritten(rule)
  heedsPurges(rule)
  keepsToLifetimes(rule)
  showsPages(rule)
  cachesValues(rule)

  test(`${name} never returns a value older than the last purge that touched it, in any order of events`, async () => {
    const play = async (schedule: Schedule): Promise<string | undefined> => await withKit(async (kit) => await faultOf(kit, schedule))
    const source = schedulesOf(seed)
    for (let tried = 0; tried < schedules; tried++) {
      const schedule = source.next().value
      if (await play(schedule) === undefined) continue
      const short = await shortest(schedule, async (shorter) => await play(shorter) !== undefined)
      assert.fail(`with seed ${seed}, ${described(short)}: ${await play(short) ?? 'not every time'}`)
    }
  })
}
