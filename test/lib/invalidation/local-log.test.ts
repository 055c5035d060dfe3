import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { InvalidationIndex } from '../../../lib/invalidation/invalidation-index.ts'
import { scopeOf } from '../../../lib/invalidation/purge-scope.ts'
import { globMatches, parseGlob } from '../../../lib/keyspace/glob.ts'
import { keyMark, tagMark } from '../../../lib/keyspace/mark.ts'
import type { InvalidationLog, PurgeRecord, Validity } from '../../../lib/ports/invalidation-log.ts'
import { fakeClock } from '../../support/fake-clock.ts'

const newLog = (limits: { maxRecords?: number, maxGlobs?: number } = {}): InvalidationLog => createLocalLog({ clock: fakeClock(), ...limits })

t.test('an option that does not exist is refused', async (t) => {
  t.throws(() => createLocalLog({ clock: fakeClock(), maxRecord: 1 } as never), { code: 'FST_ERR_CACHE_OPTION_UNKNOWN', message: /Did you mean maxRecords\?$/ })
})

t.test('a position of another process is believed only inside this log', async (t) => {
  const log = newLog()
  log.append({ keys: ['a'] })
  t.equal(log.judgeShared('b', [], { epoch: 0, seq: 0 }), 'valid')
  t.equal(log.judgeShared('a', [], { epoch: 0, seq: 0 }), 'purged')
  t.equal(log.judgeShared('b', [], { epoch: 0, seq: 2 }), 'purged', 'ahead of the log')
  t.equal(log.judgeShared('b', [], { epoch: 7, seq: 1 }), 'purged', 'of another log')
  t.equal(log.judgeShared('b', [], { epoch: 0, seq: NaN }), 'purged', 'no position at all')
})

t.test('with more names than there is room for no purge is forgotten, and little else is lost', async (t) => {
  const index = new InvalidationIndex({ maxRecords: 1000 })
  for (let i = 1; i <= 4000; i++) index.add(scopeOf({ keys: [`k${i}`] }), i, 0)
  t.ok(index.size <= 1000)
  t.equal(index.floor, 0)
  const count = (verdict: (i: number) => Validity): number => Array.from({ length: 4000 }, (_, i) => verdict(i + 1)).filter((validity) => validity === 'purged').length
  t.equal(count((i) => index.judge(`k${i}`, [], i - 1)), 4000, 'no purge')
  t.equal(count((i) => index.judge('list', [keyMark(`k${i}`)], i - 1)), 4000)
  const stored = count((i) => index.judge(`k${i}`, [], i))
  t.ok(stored < 400, `${stored} of 4000 entries, each stored right after its own purge`)
  const old = count((i) => index.judge(`other${i}`, [], 0))
  t.ok(old < 800, `${old} of 4000 entries older than all of them`)
  index.add(scopeOf({ everything: true }), 4001, 0)
  t.equal(index.judge('k1', [], 4001), 'valid')
  t.equal(index.size, 1)
})

t.test('a sketch counts four thousand million purges, then the index begins anew', async (t) => {
  const index = new InvalidationIndex({ maxRecords: 64 })
  const far = 2 ** 40
  for (let i = 1; i <= 200; i++) index.add(scopeOf({ keys: [`k${i}`] }), far + i, 0)
  t.equal(index.judge('k1', [], far), 'purged')
  // Its seed is drawn at random, so one or another of them shares its cells with what was purged.
  const mostAreValid = (judge: (i: number) => string): boolean => Array.from({ length: 32 }, (_, i) => judge(i)).filter((validity) => validity === 'valid').length > 16
  t.ok(mostAreValid((i) => index.judge(`k${i + 1}`, [], far + i + 1)), 'stored after their purges')
  t.ok(mostAreValid((i) => index.judge(`other${i}`, [], 0)), 'before the first number that the sketch knows')
  for (let i = 1; i <= 200; i++) index.add(scopeOf({ keys: [`late${i}`] }), far + 2 ** 33 + i, 0)
  t.equal(index.judge('k1', [], far), 'purged')
  t.equal(index.judge('other', [], far + 2 ** 32), 'purged', 'the floor has risen')
  t.equal(index.judge('late1', [], far + 2 ** 33), 'purged')
  t.equal(index.judge('late1', [], far + 2 ** 33 + 136), 'valid')
})

t.test('of prefixes only the newest are remembered, and what is older counts as purged', async (t) => {
  const log = newLog({ maxRecords: 128 })
  for (let i = 0; i < 10_000; i++) log.append({ patterns: [`p${i}:*`] })
  t.equal(log.judge('never-purged', [], 10_000 - 100), 'valid', 'the recent past is known')
  t.equal(log.judge('never-purged', [], 10_000 - 200), 'purged', 'the distant past is not')
  t.equal(log.judge('p9999:x', [], 9990), 'purged')
})

t.test('of soft purges only the newest are remembered, and what is older counts as purged', async (t) => {
  const log = newLog({ maxRecords: 128 })
  for (let i = 0; i < 10_000; i++) log.append({ keys: [`k${i}`], soft: true })
  t.equal(log.judge('never-purged', [], 10_000 - 100), 'valid', 'the recent past is known')
  t.equal(log.judge('never-purged', [], 10_000 - 200), 'purged', 'the distant past is not')
  t.equal(log.judge('k9998', [], 9990), 'soft')
})

t.test('globs are bounded by themselves', async (t) => {
  const log = newLog({ maxGlobs: 10 })
  for (let i = 0; i < 25; i++) log.append({ patterns: [`a*${i}`] })
  t.equal(log.judge('b', [], 14), 'purged')
  t.equal(log.judge('b', [], 15), 'valid')
  t.equal(log.judge('a15', [], 15), 'purged')
  for (let i = 0; i < 25; i++) log.append({ patterns: ['a*24'] })
  t.equal(log.judge('b', [], 15), 'valid', 'the same glob again needs no more room')
})

t.test('a name that is purged again and again is remembered once', async (t) => {
  const index = new InvalidationIndex({ maxRecords: 100 })
  for (let n = 1; n <= 100_000; n++) index.add(scopeOf({ keys: [`k${n % 50}`], patterns: [`p${n % 50}*`] }), n, 0)
  t.equal(index.size, 100)
  t.equal(index.floor, 0)
})

t.test('a store that has checked its entries lets the log forget', async (t) => {
  const index = new InvalidationIndex()
  index.add(scopeOf({ keys: ['a'], patterns: ['p:*', 'q*r'] }), 1, 0)
  index.add(scopeOf({ keys: ['b'], patterns: ['pp:*', 'qq*r'] }), 2, 0)
  index.add(scopeOf({ keys: ['c'], soft: true }), 3, 0)
  index.forget(1)
  t.equal(index.size, 4)
  t.same([index.judge('x', [], 0), index.judge('x', [], 1)], ['purged', 'valid'])
  t.same(['b', 'pp:1', 'qqr', 'c'].map((key) => index.judge(key, [], 1)), ['purged', 'purged', 'purged', 'soft'])
  index.forget(99)
  t.equal(index.size, 0)
  t.equal(index.floor, 3, 'never further than the log has come')
  index.add(scopeOf({ keys: ['a'], patterns: ['p:*'] }), 4, 0)
  t.same(['a', 'p:1', 'b'].map((key) => index.judge(key, [], 3)), ['purged', 'purged', 'valid'], 'and it goes on')
})

t.test('a purge and a check do work that does not depend on how much was purged before', async (t) => {
  const log = newLog()
  for (let i = 0; i < 50_000; i++) log.append({ keys: [`old${i}`] })
  const lookups = countMapCalls(t, () => { log.append({ marks: [tagMark('catalog')] }) })
  const atEmpty = countMapCalls(t, () => { newLog().append({ marks: [tagMark('catalog')] }) })
  t.equal(lookups, atEmpty)
  t.ok(lookups < 10)
  t.equal(countMapCalls(t, () => { log.judge('x', [tagMark('a'), tagMark('b')], log.tip) }), 0, 'nothing newer: one comparison')
  t.equal(countMapCalls(t, () => { log.judge('x', [tagMark('a'), tagMark('b')], log.tip - 1) }), 3, 'one look-up for each name of the entry')
})

t.test('the index agrees with a model that keeps every record', async (t) => {
  const name = fc.constantFrom('a', 'b', 'ab', 'abc', 'b:1', 'b:2', 'a:b:c')
  const pattern = fc.constantFrom('*', 'a*', 'ab*', 'b:*', 'a', 'b:?', '*c', '[ab]', 'a*c', '?')
  const record: fc.Arbitrary<PurgeRecord> = fc.record({
    keys: fc.array(name, { maxLength: 2 }),
    marks: fc.array(name.map(tagMark), { maxLength: 2 }),
    patterns: fc.array(pattern, { maxLength: 1 }),
    markPrefixes: fc.array(fc.constantFrom('t:a', 't:b:', 'k:a'), { maxLength: 1 }),
    everything: fc.constantFrom(false, false, false, true),
    soft: fc.boolean()
  })
  const entry = fc.record({ key: name, marks: fc.array(fc.oneof(name.map(tagMark), name.map(keyMark)), { maxLength: 3 }) })
  const limits = fc.constantFrom({}, { maxRecords: 4, maxGlobs: 2 }, { maxRecords: 64, maxGlobs: 3 })
  let exact = 0
  fc.assert(fc.property(fc.array(record, { maxLength: 30 }), entry, fc.nat(30), fc.option(fc.nat(30)), limits, (records, { key, marks }, since, forgetUpTo, limit) => {
    const clock = fakeClock()
    const log = createLocalLog({ clock, ...limit })
    const applied: Array<{ record: PurgeRecord, atMs: number }> = []
    for (const next of records) {
      clock.advance(10)
      const before = log.tip
      log.append(next)
      if (log.tip > before) applied.push({ record: next, atMs: clock.now() })
    }
    const forgotten = forgetUpTo !== null && records.length % 2 === 0
    if (forgotten) log.forget(forgetUpTo)
    const newer = applied.slice(since).filter(({ record }) => touches(record, key, marks))
    const expected: Validity = newer.some(({ record }) => record.soft !== true) ? 'purged' : newer.length > 0 ? 'soft' : 'valid'
    const found = log.judge(key, marks, since)
    if (found === expected) {
      exact++
      return found !== 'soft' || log.softPurgedAtMs(key, marks, since) === newer.at(-1)?.atMs
    }
    return found === 'purged' && (limit.maxRecords !== undefined || forgotten)
  }), { numRuns: 3000 })
  t.ok(exact > 2000, `${exact} verdicts were exactly those of the model`)
})

/** The plain reading of a record, without any index. */
function touches (record: PurgeRecord, key: string, marks: readonly string[]): boolean {
  const keys = [key, ...marks.filter((mark) => mark.startsWith('k:')).map((mark) => mark.slice(2))]
  const all = [...marks, keyMark(key)]
  return record.everything === true ||
    keys.some((name) => record.keys?.includes(name)) ||
    all.some((mark) => record.marks?.includes(mark) || record.markPrefixes?.some((prefix) => mark.startsWith(prefix))) ||
    (record.patterns ?? []).some((text) => {
      const verdict = parseGlob(text)
      return verdict.valid && keys.some((name) => globMatches(verdict.glob, name))
    })
}

/** How often `work` touches a Map. */
function countMapCalls (t: Test, work: () => void): number {
  let calls = 0
  const restores = (['get', 'set', 'delete'] as const).map((name) => {
    const original: (this: Map<unknown, unknown>, ...args: [unknown, unknown]) => unknown = Map.prototype[name]
    return t.intercept(Map.prototype, name, { value (this: Map<unknown, unknown>, ...args: [unknown, unknown]) { calls++; return original.apply(this, args) } }).restore
  })
  // Putting the interceptions in place and taking them away again uses Maps too.
  calls = 0
  work()
  const counted = calls
  for (const restore of restores) restore()
  return counted
}
