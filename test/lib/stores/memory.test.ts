import t from 'tap'
import fc from 'fast-check'
import type { Milliseconds } from '../../../lib/clock.ts'
import type { Entry } from '../../../lib/entry.ts'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { tagMark } from '../../../lib/keyspace/mark.ts'
import { storeContract } from '../../../lib/ports/contract/store-contract.ts'
import type { InvalidationLog } from '../../../lib/ports/invalidation-log.ts'
import { ExpirySweep, type Sweepable } from '../../../lib/stores/expiry-sweep.ts'
import { weigh } from '../../../lib/stores/memory-node.ts'
import { MEMORY_DEFAULTS, type MemoryCacheOptions } from '../../../lib/stores/memory-options.ts'
import { MemoryCache } from '../../../lib/stores/memory.ts'
import { entryOf, type EntryShape } from '../../support/entries.ts'
import { fakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { tapTest } from '../../support/tap-test.ts'

const POLICIES = ['lru', 'lfu', 'fifo', 's3-fifo', 'w-tinylfu'] as const

for (const evictionPolicy of POLICIES) {
  storeContract(tapTest(t), `MemoryCache with ${evictionPolicy}`, ({ clock, maxEntryBytes }) => {
    const log = createLocalLog({ clock })
    const store = new MemoryCache({ log, clock, evictionPolicy, maxEntries: 1000, maxEntryBytes })
    return { store, log, close: () => { store.close() } }
  })
}

/** A clock that tells how many timers wait. */
function countingClock (): FakeClock & { waiting: () => number, delays: Milliseconds[] } {
  const clock = fakeClock()
  const delays: Milliseconds[] = []
  let waiting = 0
  return {
    ...clock,
    delays,
    waiting: () => waiting,
    after (delayMs, task) {
      waiting++
      delays.push(delayMs)
      let over = false
      const end = (): void => {
        if (!over) waiting--
        over = true
      }
      const timer = clock.after(delayMs, () => {
        end()
        task()
      })
      return {
        cancel: () => {
          end()
          timer.cancel()
        }
      }
    }
  }
}

interface Kit {
  cache: MemoryCache
  log: InvalidationLog
  clock: ReturnType<typeof countingClock>
  write: (key: string, shape?: Partial<EntryShape>) => boolean
  left: Array<[key: string, cause: string]>
}

function kitOf (options: MemoryCacheOptions = {}): Kit {
  const clock = countingClock()
  const log = createLocalLog({ clock })
  const left: Kit['left'] = []
  const cache = new MemoryCache({ log, clock, onEvict: (key, entry, cause) => { left.push([key, cause]) }, ...options })
  const write: Kit['write'] = (key, shape) => {
    const ticket = log.ticket()
    return cache.write(key, entryOf({ value: key, ticket, clock, ...shape }), ticket).stored
  }
  return { cache, log, clock, left, write }
}

t.test('works without anything around it', async (t) => {
  const cache = new MemoryCache({ maxEntries: 100 })
  t.equal(await cache.set('a', { x: 1 }, 60), true)
  t.same(await cache.get('a'), { x: 1 })
  t.equal(await cache.delete('a'), true)
  t.equal(await cache.exists('a'), false)
  t.equal(await cache.set('a', 1), true)
  t.equal(await cache.clear(), true)
  t.equal(await cache.get('a'), undefined)
  t.equal(cache.getStats().sets, 2)
  cache.close()
})

t.test('answers at once, with the very object that it holds', async (t) => {
  const { cache, log, clock } = kitOf()
  const ticket = log.ticket()
  const entry = entryOf({ value: 1, ticket, clock })
  t.same(cache.write('a', entry, ticket), { stored: true })
  t.equal(cache.read('a'), entry)
  await log.append({ keys: ['other'] })
  t.equal(cache.read('a'), entry, 'also when the log has moved')
  t.equal(cache.readMany(['a'])[0], entry)
  t.equal(cache.scan(undefined, 1).entries[0]?.[1], entry)
  t.equal(cache.remove(['a']), 1)
  t.equal(cache.wipe(), undefined)
  t.equal(cache.close(), undefined)
})

t.test('asks the log once per entry and movement, and not at all while it rests', async (t) => {
  const clock = fakeClock()
  const local = createLocalLog({ clock })
  let asked = 0
  const log: InvalidationLog = {
    ...local,
    get tip () { return local.tip },
    judge: (...args) => {
      asked++
      return local.judge(...args)
    }
  }
  const cache = new MemoryCache({ log, clock })
  const ticket = log.ticket()
  cache.write('a', entryOf({ value: 1, ticket, clock }), ticket)
  for (let i = 0; i < 10; i++) cache.read('a')
  t.equal(asked, 0)
  await log.append({ keys: ['b'] })
  for (let i = 0; i < 10; i++) cache.read('a')
  t.equal(asked, 1)
  cache.close()
})

t.test('refuses bounds that make no sense', async (t) => {
  for (const name of ['maxEntries', 'maxBytes', 'maxEntryBytes'] as const) {
    for (const value of [0, -1, 1.5, NaN, Infinity]) t.throws(() => new MemoryCache({ [name]: value }), { code: 'FST_ERR_CACHE_OPTION', message: new RegExp(`Option ${name} is ${value}`) })
  }
  t.throws(() => new MemoryCache({ ttl: 0 }), { code: 'FST_ERR_CACHE_OPTION' })
  t.throws(() => new MemoryCache({ maxSiz: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Option maxSiz does not exist/ })
  t.same([MEMORY_DEFAULTS.maxEntries, MEMORY_DEFAULTS.maxBytes, MEMORY_DEFAULTS.maxEntryBytes], [10_000, 104_857_600, 5_242_880])
  const [usage] = new MemoryCache({ maxEntries: 2 ** 40 }).usage()
  t.equal(usage.maxEntries, 2 ** 40, 'a bound that cannot be reached reserves no memory')
})

t.test('counts and reports who left, and why', async (t) => {
  const { cache, log, clock, left, write } = kitOf({ maxEntries: 3, maxBytes: 3000 })
  for (const key of ['a', 'b', 'c', 'd']) write(key)
  t.same(left, [['a', 'entries']])
  write('large', { bytes: 2500 })
  t.same(left.slice(1), [['b', 'entries'], ['c', 'bytes'], ['d', 'bytes']])
  left.length = 0

  await log.append({ keys: ['large'] })
  t.equal(cache.usage()[0].entries, 1, 'a purge frees nothing by itself')
  t.equal(cache.read('large'), undefined)
  t.equal(cache.usage()[0].entries, 0, 'the first look at what it touched does')
  write('short', { freshMs: 10 })
  clock.advance(30_000)
  t.same(left, [['large', 'purged'], ['short', 'expired']])
  t.same(cache.usage()[0].evictions, { entries: 2, bytes: 2, purged: 1, expired: 1 })
  t.same(cache.getStats().evictions, { entries: 2, bytes: 2, purged: 1, expired: 1 })

  write('mine')
  cache.remove(['mine'])
  write('mine')
  cache.wipe()
  t.equal(left.length, 2, 'what was asked to leave is not reported')
})

t.test('does not count what is expired as removed', async (t) => {
  const { cache, clock, write } = kitOf()
  write('a', { freshMs: 10 })
  write('b', { freshMs: 11 })
  clock.advance(10)
  t.equal(cache.remove(['a', 'b']), 1)
})

t.test('refuses what is larger than everything together', async (t) => {
  const { write, cache } = kitOf({ maxBytes: 1000, maxEntryBytes: 5000 })
  t.equal(write('a', { bytes: 600 }), true)
  t.equal(write('b', { bytes: 1001 }), false)
  t.ok(cache.read('a'), 'and makes no room for it')
})

t.test('goes on when a listener writes, purges or wipes', async (t) => {
  for (const evictionPolicy of POLICIES) {
    let depth = 0
    const kit = kitOf({
      evictionPolicy,
      maxEntries: 120,
      onEvict: (key) => {
        if (depth > 0) return
        depth++
        const turn = Number(key.slice(1)) % 50
        if (turn === 0) kit.cache.wipe()
        else if (turn === 1) kit.cache.remove(['k7', 'k8'])
        else kit.write(key)
        depth--
      }
    })
    for (let i = 0; i < 2000; i++) kit.write(`k${i}`)
    const { entries, bytes } = kit.cache.usage()[0]
    const held = kit.cache.scan(undefined, 1000).entries
    t.equal(held.length, entries, evictionPolicy)
    t.ok(entries <= 120)
    t.equal(held.reduce((sum, [key, entry]) => sum + weigh(key, entry), 0), bytes)
    kit.cache.close()
  }
})

const key = fc.nat(25).map((n) => `${'k'.repeat(n)}:${n}`)
const tag = fc.constantFrom('red', 'blue')
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), key, tag, bytes: fc.nat(2000), freshMs: fc.integer({ min: 1, max: 100 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), tag, soft: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const), slots: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'wipe' as const }) }
)

t.test('never holds more than it may, and its bytes are the sum of what it holds', async (t) => {
  for (const evictionPolicy of POLICIES) {
    fc.assert(fc.property(fc.constantFrom(5, 120), fc.integer({ min: 3000, max: 12_000 }), fc.array(action, { maxLength: 150, size: 'max' }), (maxEntries, maxBytes, actions) => {
      const { cache, log, clock, write } = kitOf({ evictionPolicy, maxEntries, maxBytes })
      const held = new Map<string, Entry>()
      for (const one of actions) {
        if (one.do === 'write') write(one.key, { bytes: one.bytes, freshMs: one.freshMs, marks: [tagMark(one.tag)], staleIfErrorMs: 50 })
        else if (one.do === 'read') cache.read(one.key)
        else if (one.do === 'remove') cache.remove([one.key])
        else if (one.do === 'purge') log.append({ marks: [tagMark(one.tag)], soft: one.soft })
        else if (one.do === 'wait') clock.advance(one.ms)
        else if (one.do === 'sweep') cache.revalidate(one.slots)
        else cache.wipe()
        const [{ entries, bytes }] = cache.usage()
        if (entries > maxEntries || bytes > maxBytes) throw new Error(`holds ${entries} entries, ${bytes} bytes`)
      }
      // A full pass leaves only what a scan shows, so both sums are of the same entries. One may have been half done.
      while (!cache.revalidate());
      while (!cache.revalidate());
      held.clear()
      for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
        const page = cache.scan(cursor, 10)
        for (const [found, entry] of page.entries) held.set(found, entry)
        cursor = page.cursor
      }
      const [{ entries, bytes }] = cache.usage()
      const sum = [...held].reduce((total, [found, entry]) => total + weigh(found, entry), 0)
      if (entries !== held.size || bytes !== sum) throw new Error(`counts ${entries} entries of ${bytes} bytes, holds ${held.size} of ${sum}`)
      cache.close()
      if (clock.waiting() !== 0) throw new Error('a timer waits after close')
    }), { numRuns: 150 })
    t.pass(evictionPolicy)
  }
})

t.test('an expired entry that is written anew has not lost its popularity', async (t) => {
  const { cache, clock, write } = kitOf({ evictionPolicy: 'lfu', maxEntries: 10 })
  write('popular', { freshMs: 10 })
  for (let i = 0; i < 20; i++) cache.read('popular')
  clock.advance(10)
  t.equal(cache.read('popular'), undefined)
  t.equal(cache.usage()[0].entries, 1, 'it is still there')
  write('popular')
  for (let i = 0; i < 15; i++) write(`other${i}`)
  t.ok(cache.read('popular'))
})

t.test('the sweep', async (t) => {
  t.test('frees expired and purged entries in the background, with no timer while nothing is held', async (t) => {
    const { cache, log, clock, left, write } = kitOf({ sweepIntervalMs: 5000 })
    t.equal(clock.waiting(), 0)
    for (let i = 0; i < 2500; i++) write(`k${i}`, { freshMs: i % 2 === 0 ? 1000 : 100_000, marks: [tagMark(i % 5 === 0 ? 'five' : 'other')] })
    t.equal(clock.waiting(), 1, 'and one timer for all')
    await log.append({ marks: [tagMark('five')] })
    clock.advance(4999)
    t.equal(cache.usage()[0].entries, 2500)
    clock.advance(1)
    t.equal(left.length, 300, 'a first slice looks at 500 of them')
    clock.advance(4)
    t.equal(cache.usage()[0].entries, 1000)
    t.same(cache.usage()[0].evictions, { entries: 0, bytes: 0, purged: 500, expired: 1000 })
    t.equal(clock.waiting(), 1)
    clock.advance(120_000)
    t.equal(cache.usage()[0].entries, 0)
    t.equal(clock.waiting(), 0)
    write('again')
    t.equal(clock.waiting(), 1)
    cache.wipe()
    t.equal(clock.waiting(), 0)
    write('again')
    cache.close()
    t.equal(clock.waiting(), 0)
  })

  t.test('never looks at more than 500 of a million entries at a time', async (t) => {
    const clock = countingClock()
    let inSlice = 0
    let largest = 0
    const cache = new MemoryCache({ clock, maxEntries: 1_000_000, maxBytes: 2 ** 30, onEvict: () => { largest = Math.max(largest, ++inSlice) } })
    const ticket = { at: 0, asOf: { epoch: 0, seq: 0 } }
    const entry = entryOf({ value: 1, ticket, clock, freshMs: 1000 })
    for (let i = 0; i < 1_000_000; i++) cache.write(`k${i}`, entry, ticket)
    t.equal(cache.usage()[0].entries, 1_000_000)
    clock.advance(29_999)
    for (let turn = 0; turn < 2000; turn++) {
      inSlice = 0
      clock.advance(1)
    }
    t.equal(largest, 500)
    t.equal(cache.usage()[0].entries, 0)
    t.equal(cache.usage()[0].evictions.expired, 1_000_000)
    t.ok(clock.delays.slice(1).every((delay) => delay >= 1), 'other work comes between the slices')
  })

  t.test('ends a slice early when judging takes long', async (t) => {
    const clock = fakeClock()
    let looked = 0
    const target: Sweepable = {
      reach: () => 10_000,
      isEmpty: () => false,
      tidy: () => {
        looked++
        if (looked % 10 === 0) clock.advance(1)
      }
    }
    const sweep = new ExpirySweep(target, { log: { tip: 0, forget: () => {} }, clock, intervalMs: 0 })
    t.equal(sweep.slice(), false)
    t.equal(looked, 32)
    let slices = 1
    while (!sweep.slice()) slices++
    t.equal(looked, 10_000)
    t.ok(slices > 100)
  })

  t.test('lets the log forget what lies behind, when no load can need it any more', async (t) => {
    const forgotten: number[] = []
    const log = { tip: 5, forget: (upTo: number) => { forgotten.push(upTo) } }
    const clock = fakeClock()
    const sweep = new ExpirySweep({ reach: () => 10, isEmpty: () => false, tidy: () => {} }, { log, clock, intervalMs: 30_000 })
    sweep.wake()
    log.tip = 6
    clock.advance(30_000)
    t.equal(sweep.sweptTo, 6)
    t.same(forgotten, [])
    log.tip = 9
    clock.advance(30_000)
    t.equal(sweep.sweptTo, 9)
    t.same(forgotten, [5], 'what was the tip a minute ago')
    log.tip = 12
    clock.advance(60_000)
    t.same(forgotten, [5, 9])
    sweep.stop()
  })

  t.test('begins at once when the log has run far ahead, so that entries nobody reads outlive the records', async (t) => {
    const clock = fakeClock()
    const log = createLocalLog({ clock, maxRecords: 20_000 })
    const cache = new MemoryCache({ log, clock })
    const ticket = log.ticket()
    for (let i = 0; i < 3000; i++) cache.write(`k${i}`, entryOf({ value: i, ticket, clock, freshMs: 1e9 }), ticket)
    for (let i = 0; i < 50_000; i++) {
      await log.append({ keys: [`x${i}`] })
      if (i % 100 === 0) {
        cache.read('k0')
        clock.advance(1)
      }
    }
    t.ok(log.tip - cache.sweptTo < 20_000, `swept to ${cache.sweptTo} of ${log.tip}`)
    t.equal(cache.readMany(Array.from({ length: 3000 }, (_, i) => `k${i}`)).filter((entry) => entry === undefined).length, 0)
    cache.close()
  })

  t.test('by hand, tells when everything held has been found valid', async (t) => {
    const { cache, log, write } = kitOf({ sweepIntervalMs: 0 })
    for (let i = 0; i < 25; i++) write(`k${i}`)
    await log.append({ keys: ['k3'] })
    t.equal(cache.sweptTo, 0)
    t.equal(cache.revalidate(10), false)
    await log.append({ keys: ['k4'] })
    t.equal(cache.revalidate(10), false)
    t.equal(cache.revalidate(10), true)
    t.equal(cache.sweptTo, 1, 'where the log stood when the pass began')
    t.equal(cache.usage()[0].entries, 24)
    cache.wipe()
    t.equal(cache.sweptTo, 2, 'nothing held, nothing to find')
  })
})
