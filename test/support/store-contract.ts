import type { Test } from 'tap'
import fc from 'fast-check'
import type { Entry } from '../../lib/entry.ts'
import { escapeGlob } from '../../lib/keyspace/pattern.ts'
import { keyMark, tagMark } from '../../lib/keyspace/mark.ts'
import type { MaybePromise } from '../../lib/maybe-promise.ts'
import type { BaseCache, ScanPage } from '../../lib/ports/base-cache.ts'
import type { InvalidationLog, PurgeRecord, Ticket } from '../../lib/ports/invalidation-log.ts'
import { entryOf, type EntryShape } from './entries.ts'
import { fakeClock, type FakeClock } from './fake-clock.ts'

/** What the store is to be made with. */
export interface StoreDeps {
  readonly clock: FakeClock
  /** Entries larger than this must be refused. */
  readonly maxEntryBytes: number
}

/** A store that holds nothing yet, with room for 1 000 entries, and the log that it listens to. */
export interface StoreUnderTest {
  readonly store: BaseCache
  readonly log: InvalidationLog
  readonly close: () => MaybePromise<void>
}

export interface StoreContractOptions {
  /** How many random schedules are tried. @default 100 */
  readonly schedules?: number
}

const MAX_ENTRY_BYTES = 20_000

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

const ODD_KEYS = ['__proto__', 'constructor', 'a b', 'line\nbreak', 'k\u0000l', 'ключ', '🔑', '{a}b', '*', '[x]', 'k'.repeat(1024)]

/**
 * What every store promises, whatever it is made of. A store of your own passes if `makeStore` answers one that is
 * empty each time it is called.
 */
export function storeContract (t: Test, name: string, makeStore: (deps: StoreDeps) => MaybePromise<StoreUnderTest>, { schedules = 100 }: StoreContractOptions = {}): void {
  const test = (sentence: string, body: (t: Test, kit: Kit) => Promise<void>): void => {
    t.test(`${name} ${sentence}`, async (t) => {
      const clock = fakeClock()
      const made = await makeStore({ clock, maxEntryBytes: MAX_ENTRY_BYTES })
      t.teardown(() => made.close())
      await body(t as Test, new Kit(made.store, made.log, clock))
    })
  }

  test('returns what was written, and nothing else', async (t, kit) => {
    t.equal(await kit.store.read('a'), undefined)
    for (const value of [{ x: [1, 'two', null] }, null, 0, '', false]) {
      t.same(await kit.write('a', { value, staleWhileRevalidateMs: 5, staleIfErrorMs: 9, marks: [tagMark('t'), keyMark('b')] }), { stored: true })
      const found = await kit.store.read('a')
      t.strictSame(found?.value, value)
      t.same(kit.lifeOf(found), kit.lifeOf(kit.entry({ value, staleWhileRevalidateMs: 5, staleIfErrorMs: 9 })))
      t.same([found?.kind, found?.marks, found?.loadMs], ['data', ['t:t', 'k:b'], 7])
    }
    t.equal(await kit.store.read('A'), undefined, 'keys are exact')

    const response = { status: 201, headers: [['content-type', 'text/plain'], ['x-two', 'b']], body: Buffer.from([0, 255, 10, 13]) }
    await kit.write('r', { value: response, kind: 'response' })
    const found = await kit.store.read('r')
    t.equal(found?.kind, 'response')
    t.strictSame(found?.value, response, 'responses keep their order of headers and their bytes')
  })

  test('takes every key for what it is', async (t, kit) => {
    for (const key of ODD_KEYS) t.equal(await kit.store.read(key), undefined, 'nothing is there by birth')
    for (const key of ODD_KEYS) await kit.write(key, { value: key })
    for (const key of ODD_KEYS) t.equal((await kit.store.read(key))?.value, key)
    t.equal(await kit.store.remove(['*']), 1, 'a key is not a pattern')
    t.equal((await kit.store.read('[x]'))?.value, '[x]')
  })

  test('keeps the order of a batch, and its holes', async (t, kit) => {
    const ticket = kit.log.ticket()
    await kit.log.append({ marks: [tagMark('late')] })
    const verdicts = await kit.store.writeMany([
      ['a', kit.entry({ value: 1, ticket }), ticket],
      ['late', kit.entry({ value: 2, ticket, marks: [tagMark('late')] }), ticket],
      ['huge', kit.entry({ value: 'x'.repeat(MAX_ENTRY_BYTES), ticket, bytes: MAX_ENTRY_BYTES + 1 }), ticket],
      ['b', kit.entry({ value: 3, ticket }), ticket]
    ])
    t.same(verdicts, [{ stored: true }, { stored: false, reason: 'purged' }, { stored: false, reason: 'too-large' }, { stored: true }])
    const found = await kit.store.readMany(['b', 'late', 'a', 'huge', 'b', 'none'])
    t.same(found.map((entry) => entry?.value), [3, undefined, 1, undefined, 3, undefined])
    t.same(await kit.store.readMany([]), [])
    t.same(await kit.store.writeMany([]), [])
  })

  test('the near tier, where there is one, has what was written before the writing is over', async (t, kit) => {
    const writing = kit.store.write('k', kit.entry({ value: 1 }), kit.log.ticket())
    const { near } = kit.store
    t.equal(near === undefined ? 1 : (near.read('k') as Entry).value, 1)
    await writing
    t.equal((await kit.store.read('k'))?.value, 1)
  })

  for (const [what, record] of PURGES) {
    test(`never returns what a purge of ${what} has touched, whether it was stored before or is stored after`, async (t, kit) => {
      const shape = { value: 'old', marks: [tagMark('shoes'), keyMark('price:7')], staleIfErrorMs: 60_000 }
      await kit.write('other', { value: 'other' })
      await kit.write('product:42', shape)
      const ticket = kit.log.ticket()
      await kit.log.append(record)
      t.equal(await kit.store.read('product:42'), undefined)
      t.same(await kit.write('product:42', { ...shape, ticket }), { stored: false, reason: 'purged' }, 'a load that began before is refused')
      t.equal(await kit.store.read('product:42'), undefined)
      t.equal((await kit.store.read('other'))?.value, record.everything === true ? undefined : 'other')
      t.same(await kit.write('product:42', { ...shape, value: 'new' }), { stored: true }, 'a load that begins after is stored')
      t.equal((await kit.store.read('product:42'))?.value, 'new')
    })

    test(`softens what a soft purge of ${what} touches`, async (t, kit) => {
      const shape = { value: 'old', marks: [tagMark('shoes'), keyMark('price:7')], freshMs: 60_000, staleWhileRevalidateMs: 10_000, staleIfErrorMs: 20_000 }
      await kit.write('product:42', shape)
      kit.clock.advance(1000)
      const ticket = kit.log.ticket()
      const purgedAtMs = kit.clock.now()
      await kit.log.append({ ...record, soft: true })
      kit.clock.advance(1000)
      const softened = [purgedAtMs, purgedAtMs + 10_000, purgedAtMs + 20_000]
      t.same(kit.lifeOf(await kit.store.read('product:42')).slice(1), softened)
      t.same(kit.lifeOf(await kit.store.read('product:42')).slice(1), softened, 'once')
      t.same(await kit.write('product:42', { ...shape, ticket }), { stored: true }, 'a load that began before is stored')
      t.ok(Number((await kit.store.read('product:42'))?.freshUntilMs) <= kit.clock.now(), 'and is not fresh either')
      await kit.log.append(record)
      t.equal(await kit.store.read('product:42'), undefined, 'a hard purge after the soft one takes it')
    })
  }

  test('judges an overwritten entry by its last write only', async (t, kit) => {
    await kit.write('a', { value: 'old', marks: [tagMark('shoes')] })
    await kit.log.append({ keys: ['a'] })
    await kit.write('a', { value: 'new', marks: [tagMark('hats')] })
    t.equal((await kit.store.read('a'))?.value, 'new')
    await kit.log.append({ marks: [tagMark('shoes')] })
    t.equal((await kit.store.read('a'))?.value, 'new')
    await kit.log.append({ marks: [tagMark('hats')] })
    t.equal(await kit.store.read('a'), undefined)
  })

  test('leaves alone what a purge does not touch', async (t, kit) => {
    await kit.write('product:42', { value: 1, marks: [tagMark('shoes')] })
    const ticket = kit.log.ticket()
    await kit.log.append(OTHERS)
    await kit.log.append({ ...OTHERS, soft: true })
    const found = await kit.store.read('product:42')
    t.equal(found?.value, 1)
    t.equal(found?.freshUntilMs, kit.clock.now() + 60_000)
    t.same(await kit.write('product:42', { value: 2, ticket, marks: [tagMark('shoes')] }), { stored: true })
  })

  test('loses at once by a soft purge what may not be served stale', async (t, kit) => {
    await kit.write('a', { value: 1 })
    await kit.log.append({ keys: ['a'], soft: true })
    t.equal(await kit.store.read('a'), undefined)
  })

  test('returns stale entries up to the end of their last window, and not after', async (t, kit) => {
    await kit.write('plain', { value: 1, freshMs: 1000 })
    await kit.write('swr', { value: 2, freshMs: 1000, staleWhileRevalidateMs: 1000, staleIfErrorMs: 500 })
    await kit.write('sie', { value: 3, freshMs: 1000, staleIfErrorMs: 2000 })
    const alive = async (): Promise<unknown[]> => (await kit.store.readMany(['plain', 'swr', 'sie'])).map((entry) => entry?.value)
    kit.clock.advance(999)
    t.same(await alive(), [1, 2, 3])
    kit.clock.advance(1)
    t.same(await alive(), [undefined, 2, 3])
    kit.clock.advance(1000)
    t.same(await alive(), [undefined, undefined, 3])
    kit.clock.advance(1000)
    t.same(await alive(), [undefined, undefined, undefined])
    await kit.write('plain', { value: 4, freshMs: 1000 })
    t.equal((await kit.store.read('plain'))?.value, 4, 'written anew, it lives anew')
  })

  test('refuses what is expired or too large, and forgets the older copy', async (t, kit) => {
    for (const [reason, shape] of [
      ['expired', { value: 2, freshMs: 0 }],
      ['too-large', { value: 'x'.repeat(MAX_ENTRY_BYTES), bytes: MAX_ENTRY_BYTES + 1 }]
    ] as const) {
      await kit.write('a', { value: 1 })
      t.same(await kit.write('a', shape), { stored: false, reason })
      t.equal(await kit.store.read('a'), undefined, reason)
    }
  })

  test('removes keys and tells how many there were', async (t, kit) => {
    for (const key of ['a', 'b', 'c']) await kit.write(key, { value: key })
    t.equal(await kit.store.remove(['a', 'none', 'c']), 2)
    t.equal(await kit.store.remove(['a']), 0)
    t.equal(await kit.store.remove([]), 0)
    t.same((await kit.store.readMany(['a', 'b', 'c'])).map((entry) => entry?.value), [undefined, 'b', undefined])
  })

  test('wipes everything and goes on', async (t, kit) => {
    for (let i = 0; i < 50; i++) await kit.write(`k${i}`, { value: i })
    await kit.store.wipe()
    t.same((await kit.scanAll()).keys, [])
    t.equal(await kit.store.read('k1'), undefined)
    await kit.write('k1', { value: 'again' })
    t.equal((await kit.store.read('k1'))?.value, 'again')
  })

  test('shows all it holds in pages, each entry once', async (t, kit) => {
    t.same((await kit.scanAll()).keys, [])
    const keys = Array.from({ length: 250 }, (_, i) => `k${i}`).sort()
    for (const key of keys) await kit.write(key, { value: key, marks: [tagMark(key.endsWith('7') ? 'seven' : 'other')], freshMs: key.endsWith('3') ? 10 : 1000 })
    const { keys: found, entries } = await kit.scanAll(40)
    t.same(found, keys)
    t.ok(entries.every(([key, entry]) => entry.value === key))

    await kit.log.append({ marks: [tagMark('seven')] })
    kit.clock.advance(10)
    t.same((await kit.scanAll()).keys, keys.filter((key) => !/[37]$/.test(key)), 'without what is purged or expired')
  })

  test('refuses a cursor that it has not told', async (t, { store }) => {
    for (const cursor of ['nonsense', '-1', '1e3', '', '/', 'r', 'x0']) await t.rejects(async () => await store.scan(cursor, 10), { code: 'FST_ERR_CACHE_CURSOR', statusCode: 400 }, cursor)
  })

  test('shows in a scan whatever was there from its beginning to its end', async (t, kit) => {
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
    t.ok(turn > 3, 'it took several pages')
    t.same(keys.filter((key) => key.startsWith('stay')), stay)
  })

  test('counts what it was asked', async (t, kit) => {
    const before = kit.figures()
    await kit.write('a', { value: 1 })
    await kit.store.read('a')
    await kit.store.read('a')
    const hit = kit.figures()
    t.equal(hit.hits - before.hits, 2)
    t.equal(hit.misses - before.misses, 0)
    await kit.store.read('none')
    t.equal(kit.figures().hits, hit.hits)
    t.ok(kit.figures().misses > hit.misses)
    t.equal(kit.figures().errors, 0)
  })

  test('is a cache of values by itself', async (t, kit) => {
    const { store } = kit
    t.equal(await store.get('a'), undefined)
    t.equal(await store.exists('a'), false)
    const given = { at: new Date(0), nested: { list: [1, undefined] }, gone: undefined }
    t.equal(await store.set('a', given, 60), true)
    const found = await store.get<{ nested: { list: unknown[] } }>('a')
    t.strictSame(found, { at: '1970-01-01T00:00:00.000Z', nested: { list: [1, null] } }, 'as JSON has it')
    t.throws(() => { found?.nested.list.push(2) }, TypeError, 'and frozen')
    t.equal(await store.exists('a'), true)
    t.equal(await store.set('null', null), true)
    t.equal(await store.get('null'), null)
    t.equal(await store.set('undefined', undefined), false)
    t.equal(await store.exists('undefined'), false)

    kit.clock.advance(59_999)
    t.equal(await store.exists('a'), true)
    kit.clock.advance(1)
    t.equal(await store.get('a'), undefined, 'the TTL is in seconds')
    t.equal(await store.exists('null'), true, 'and the default is longer')
    t.equal(await store.delete('null'), true)
    t.equal(await store.delete('null'), false)
    await store.set('b', 1)
    t.equal(await store.clear(), true)
    t.equal(await store.get('b'), undefined)

    const { hits, misses, sets, deletes, errors, hitRate, totalRequests } = store.getStats()
    t.same({ hits, misses, sets, deletes, errors, hitRate, totalRequests }, { hits: 2, misses: 3, sets: 3, deletes: 1, errors: 0, hitRate: 2 / 5, totalRequests: 5 })
    for (const ttl of [0, -1, NaN, Infinity]) await t.rejects(store.set('a', 1, ttl), { code: 'FST_ERR_CACHE_OPTION' })
    await t.rejects(store.set('a', new Map()), { code: 'FST_ERR_CACHE_VALUE' })
    await t.rejects(store.get(''), { code: 'FST_ERR_CACHE_KEY' })
    await t.rejects(store.set('', 1), { code: 'FST_ERR_CACHE_KEY' })
  })

  test('answers as if it held nothing once it is closed, and closes twice', async (t, kit) => {
    await kit.write('a', { value: 1 })
    await kit.store.close()
    await kit.store.close()
    t.equal(await kit.store.read('a'), undefined)
    t.same(await kit.store.readMany(['a']), [undefined])
    t.same(await kit.write('a', { value: 1 }), { stored: false, reason: 'closed' })
    t.equal(await kit.store.remove(['a']), 0)
    t.same((await kit.scanAll()).keys, [])
  })

  test('never returns a value older than the last purge that touched it, in any order of events', async (t) => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const clock = fakeClock()
      const { store, log, close } = await makeStore({ clock, maxEntryBytes: MAX_ENTRY_BYTES })
      try {
        await replay(new Kit(store, log, clock), steps)
      } finally {
        await close()
      }
    }), { numRuns: schedules })
    t.pass(`${schedules} schedules`)
  })
}

class Kit {
  readonly store: BaseCache
  readonly log: InvalidationLog
  readonly clock: FakeClock

  constructor (store: BaseCache, log: InvalidationLog, clock: FakeClock) {
    this.store = store
    this.log = log
    this.clock = clock
  }

  entry (shape: Partial<EntryShape> & { value: unknown }): Entry {
    return entryOf({ ticket: this.log.ticket(), clock: this.clock, ...shape })
  }

  async write (key: string, shape: Partial<EntryShape> & { value: unknown }): Promise<unknown> {
    const ticket = shape.ticket ?? this.log.ticket()
    return await this.store.write(key, this.entry({ ...shape, ticket }), ticket)
  }

  lifeOf (entry: Entry | undefined): unknown[] {
    return [entry?.storedAtMs, entry?.freshUntilMs, entry?.staleWhileRevalidateUntilMs, entry?.staleIfErrorUntilMs]
  }

  async scanAll (count = 100, between?: () => Promise<void>): Promise<{ keys: string[], entries: Array<readonly [string, Entry]> }> {
    const entries: Array<readonly [string, Entry]> = []
    let cursor: string | undefined
    do {
      const page: ScanPage = await this.store.scan(cursor, count)
      entries.push(...page.entries)
      cursor = page.cursor
      await between?.()
    } while (cursor !== undefined)
    return { entries, keys: entries.map(([key]) => key).sort() }
  }

  figures (): { hits: number, misses: number, errors: number } {
    const sum = (pick: 'hits' | 'misses' | 'errors'): number => this.store.usage().reduce((total, tier) => total + tier[pick], 0)
    return { hits: sum('hits'), misses: sum('misses'), errors: sum('errors') }
  }
}

const KEYS = ['a:1', 'a:2', 'b:1']
const TAGS = ['red', 'blue']

type Step =
  | { do: 'begin' | 'get', key: string }
  | { do: 'commit', /** Which load, from the latest back. */ load: number, tag: string }
  | { do: 'purge', record: PurgeRecord, touches: (key: string, tag: string) => boolean }

const keyed = fc.constantFrom(...KEYS)
const tagged = fc.constantFrom(...TAGS)
const purge = (record: PurgeRecord, touches: (key: string, tag: string) => boolean): Step => ({ do: 'purge', record, touches })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('begin' as const, 'get' as const), key: keyed }),
  fc.record({ do: fc.constant('commit' as const), load: fc.nat(3), tag: tagged }),
  keyed.map((key) => purge({ keys: [key] }, (other) => other === key)),
  tagged.map((tag) => purge({ marks: [tagMark(tag)] }, (_, other) => other === tag)),
  fc.constant(purge({ patterns: ['a:*'] }, (key) => key.startsWith('a:'))),
  fc.constant(purge({ patterns: ['?:1'] }, (key) => key.endsWith(':1'))),
  fc.constant(purge({ everything: true }, () => true))
)

/** Plays the steps against the store and against a model that knows when each load began and each purge happened. */
async function replay (kit: Kit, steps: readonly Step[]): Promise<void> {
  const loads: Array<{ key: string, ticket: Ticket, begunAt: number }> = []
  const purges: Array<{ at: number, touches: (key: string, tag: string) => boolean }> = []
  const held = new Map<string, { value: number, tag: string, begunAt: number }>()
  const overtaken = (key: string, tag: string, begunAt: number): boolean => purges.some((one) => one.at > begunAt && one.touches(key, tag))

  for (const [at, one] of steps.entries()) {
    if (one.do === 'begin') {
      loads.push({ key: one.key, ticket: kit.log.ticket(), begunAt: at })
    } else if (one.do === 'commit') {
      const load = loads.at(-1 - one.load)
      if (load === undefined) continue
      const { key, ticket, begunAt } = load
      await kit.write(key, { value: at, ticket, marks: [tagMark(one.tag)] })
      if (!overtaken(key, one.tag, begunAt)) held.set(key, { value: at, tag: one.tag, begunAt })
    } else if (one.do === 'purge') {
      await kit.log.append(one.record)
      purges.push({ at, touches: one.touches })
    } else {
      const model = held.get(one.key)
      const expected = model === undefined || overtaken(one.key, model.tag, model.begunAt) ? undefined : model.value
      const found = (await kit.store.read(one.key))?.value
      if (found !== expected) throw new Error(`step ${at}: ${one.key} is ${String(found)}, should be ${String(expected)}`)
    }
  }
}
