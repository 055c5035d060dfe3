import fc from 'fast-check'
import t from 'tap'
import type { Position } from '../../../lib/entry.ts'
import { catchUp } from '../../../lib/invalidation/catch-up.ts'
import { EarlyNews } from '../../../lib/invalidation/early-news.ts'
import { formatId, parseId } from '../../../lib/invalidation/log-id.ts'
import { readNews } from '../../../lib/invalidation/news.ts'
import { Outbox } from '../../../lib/invalidation/outbox.ts'
import { scopeOf, type PurgeScope } from '../../../lib/invalidation/purge-scope.ts'
import { SharedHistory } from '../../../lib/invalidation/shared-history.ts'
import type { LogPage, PlacedRecord } from '../../../lib/invalidation/stream-log.ts'
import { successiveRuns } from '../../../lib/invalidation/successive-runs.ts'
import { Waiters } from '../../../lib/invalidation/waiters.ts'
import { decodeRecord, encodeRecord } from '../../../lib/invalidation/wire-record.ts'
import type { PurgeRecord } from '../../../lib/ports/invalidation-log.ts'
import { fakeClock } from '../../support/fake-clock.ts'

const names = (scope: PurgeScope): unknown => ({ ...scope, globs: scope.globs.map(({ text }) => text) })

t.test('a record comes back from the wire as it was sent', async (t) => {
  const text = fc.string({ minLength: 1, unit: 'binary' })
  const record: fc.Arbitrary<PurgeRecord> = fc.record({
    keys: fc.array(text),
    marks: fc.array(text),
    markPrefixes: fc.array(text),
    patterns: fc.array(fc.constantFrom('a*', '*b', 'a?c', '[x]', '*', 'exact', '🦊*?')),
    everything: fc.boolean(),
    soft: fc.boolean()
  })
  fc.assert(fc.property(fc.array(record, { maxLength: 3 }), (records) => {
    const scopes = records.map((one) => scopeOf(one))
    const decoded = decodeRecord(encodeRecord('sender_-9', 7, scopes))
    t.equal(decoded.understood && decoded.sender, 'sender_-9', { silent: true })
    t.same(decoded.scopes.map(names), scopes.map(names), { silent: true })
  }))
})

t.test('whatever cannot be read is a purge of everything, and never an exception', async (t) => {
  const junk = fc.oneof(fc.string(), fc.json(), fc.json().map((json) => '1 x.1 ' + json), fc.json().map((json) => `1 x.1 [${json}]`), fc.array(fc.dictionary(fc.constantFrom('m', 'x', 'g', 'e', 's', '__proto__'), fc.anything()), { maxLength: 3 }).map((parts) => {
    try { return '1 x.1 ' + JSON.stringify(parts) } catch { return '' }
  }))
  fc.assert(fc.property(junk, (text) => {
    const record = decodeRecord(text)
    for (const { marks, prefixes, globs } of record.scopes) {
      if (![...marks, ...prefixes].every((name) => typeof name === 'string' && name !== '') || globs.some(({ tokens }) => tokens.length === 0)) return false
    }
    return record.understood || record.scopes.some(({ everything, soft }) => everything && !soft)
  }), { numRuns: 2000 })
  t.match(decodeRecord('2 x.1 []'), { understood: false, why: 'unknownVersion' })
  t.match(decodeRecord('1 x.1 [' + ' '.repeat(700_000) + ']'), { understood: false, why: 'tooLarge' })
  t.match(decodeRecord('1 x.1 [{"__proto__":{"e":1}}]'), { understood: false, why: 'malformed' })
  t.match(decodeRecord('1 x.1 [{"m":["k:a"],"everythingNew":1}]'), { understood: false, why: 'malformed' }, 'a field that is not known may widen the purge')
  fc.assert(fc.property(fc.uint8Array(), (bytes) => ['record', 'unlogged', 'malformed', 'tooLarge'].includes(readNews(Buffer.from(bytes)).kind)))
})

t.test('an ID is two plain numbers', async (t) => {
  t.same(parseId(formatId({ epoch: 1795349559387, seq: 12 })), { epoch: 1795349559387, seq: 12 })
  for (const bad of ['', '1', '1-', '-1', '1-2-3', ' 1-2', '1-2 ', '1.5-2', '1e3-2', '9007199254740993-1', '1-99999999999999999', 'NaN-NaN', '١-٢']) t.equal(parseId(bad), undefined, bad)
})

t.test('the outbox', async (t) => {
  const key = (...keys: string[]): PurgeScope => scopeOf({ keys })

  t.test('sends in order, at most 500 names or 64 Ki characters at a time', async (t) => {
    const outbox = new Outbox(10_000)
    for (let i = 0; i < 1200; i++) outbox.add(key(`k${i}`), 0)
    const sizes: number[] = []
    while (outbox.size > 0) {
      const { scopes, upTo } = outbox.take()
      sizes.push(scopes[0]?.marks.length ?? 0)
      outbox.sent(upTo)
    }
    t.same(sizes, [500, 500, 200])
    for (let i = 0; i < 10; i++) outbox.add(key(String(i).repeat(20_000)), 0)
    t.equal(outbox.take().scopes[0]?.marks.length, 4)
    outbox.add(key('x'.repeat(40_000)), 0)
    t.equal(outbox.size, 1)
    t.equal(outbox.take().scopes[0]?.everything, true, 'a name beyond reason becomes everything')
  })

  t.test('keeps a name that is purged again while it is on its way', async (t) => {
    const outbox = new Outbox(100)
    outbox.add(key('a'), 0)
    outbox.add(key('a'), 0)
    t.equal(outbox.size, 1)
    const first = outbox.take()
    const need = outbox.add(key('a'), 0)
    outbox.sent(first.upTo)
    t.equal(outbox.size, 1)
    outbox.release(first.upTo)
    t.equal(outbox.judge('a', []), 'purged')
    const second = outbox.take()
    t.ok(second.upTo >= need)
    outbox.sent(second.upTo)
    outbox.release(second.upTo)
    t.equal(outbox.judge('a', []), 'valid')
    t.equal(outbox.size, 0)
  })

  t.test('says in words what waits', async (t) => {
    const outbox = new Outbox(100)
    t.equal(outbox.words, '')
    outbox.add(scopeOf({ keys: ['a'], marks: ['t:a', 't:b', 'p:/x', 'u:http//shop.example/x', 'm:shop.example /:id 1'], markPrefixes: ['p:/y/'], patterns: ['a?', 'b:*'] }), 0)
    t.equal(outbox.words, '2 names, 2 paths, 1 route, 3 patterns')
    outbox.add(scopeOf({ everything: true }), 0)
    t.equal(outbox.words, 'everything')
  })

  t.test('sends again what was not confirmed', async (t) => {
    const outbox = new Outbox(100)
    outbox.add(scopeOf({ keys: ['a'], patterns: ['b?'], soft: true }), 0)
    t.same(outbox.take(), outbox.take())
    t.match(outbox.take().scopes.map(names), [{ soft: true, marks: ['k:a'], globs: ['b?'] }])
  })

  t.test('becomes everything when it overflows, and stays bounded then', async (t) => {
    const outbox = new Outbox(100)
    for (let i = 0; i < 1000; i++) outbox.add(key(`k${i}`), 0)
    t.equal(outbox.size, 1)
    t.equal(outbox.judge('any', []), 'purged')
    const { scopes, upTo } = outbox.take()
    t.match(scopes.map(names), [{ soft: false, everything: true }])
    for (let i = 0; i < 1000; i++) outbox.add(key(`k${i}`), 0)
    t.ok(outbox.size <= 2, 'also while the first everything is on its way')
    outbox.sent(upTo)
    outbox.release(upTo)
    t.equal(outbox.judge('any', []), 'purged')
  })

  t.test('a soft everything does not stand for a hard purge', async (t) => {
    const outbox = new Outbox(100)
    outbox.add(scopeOf({ everything: true, soft: true }), 0)
    outbox.add(key('a'), 0)
    t.match(outbox.take().scopes.map(names), [{ soft: false, marks: ['k:a'] }, { soft: true, everything: true }])
    t.equal(outbox.judge('a', []), 'purged')
    t.equal(outbox.judge('b', []), 'soft')
  })
})

t.test('waiters', async (t) => {
  const clock = fakeClock()
  const waiters = new Waiters(clock, 200)
  const first = waiters.wait(1)
  clock.advance(150)
  const second = waiters.wait(2)
  const third = waiters.wait(3)
  waiters.reached(1)
  t.equal(await first, 'everywhere')
  clock.advance(150)
  const fourth = waiters.wait(4)
  clock.advance(50)
  t.equal(await second, 'here', 'after the deadline, each by its own')
  t.equal(await third, 'here')
  waiters.giveUp()
  t.equal(await fourth, 'here')
  const fifth = waiters.wait(5)
  clock.advance(199)
  waiters.reached(9)
  t.equal(await fifth, 'everywhere')
})

t.test('a caller gets a run that began after the call', async (t) => {
  let began = 0
  const ends: Array<(value: number) => void> = []
  const run = successiveRuns(async () => await new Promise<number>((resolve) => {
    began++
    ends.push(resolve)
  }))
  const first = run()
  t.equal(began, 1)
  const late = [run(), run(), run()]
  t.equal(began, 1)
  ends[0]?.(1)
  t.equal(await first, 1)
  await new Promise(setImmediate)
  t.equal(began, 2, 'all that came later share one')
  const later = run()
  ends[1]?.(2)
  t.same(await Promise.all(late), [2, 2, 2])
  await new Promise(setImmediate)
  t.equal(began, 3)
  ends[2]?.(3)
  t.equal(await later, 3)

  let fail = true
  const failing = successiveRuns(async () => {
    await Promise.resolve()
    if (fail) throw new Error('no')
    return 'yes'
  })
  const broken = failing()
  const after = failing()
  await t.rejects(broken, /no/)
  await t.rejects(after, /no/)
  fail = false
  t.equal(await failing(), 'yes', 'a failure does not stay')
})

t.test('early news wait for those before them', async (t) => {
  const early = new EarlyNews()
  early.keep({ epoch: 1, seq: 5 }, 'five')
  early.keep({ epoch: 1, seq: 4 }, 'four')
  t.equal(early.takeAfter({ epoch: 1, seq: 2 }), undefined)
  t.equal(early.takeAfter({ epoch: 2, seq: 3 }), undefined)
  t.equal(early.takeAfter({ epoch: 1, seq: 3 }), 'four')
  t.equal(early.clear({ epoch: 1, seq: 4 }), true, 'something is missing')
  t.equal(early.takeAfter({ epoch: 1, seq: 4 }), undefined)
  t.equal(early.clear({ epoch: 1, seq: 4 }), false)
  for (let seq = 2; seq < 100_000; seq++) early.keep({ epoch: 3, seq }, 'x')
  let kept = 0
  for (let seq = 1; early.takeAfter({ epoch: 3, seq }) !== undefined; seq++) kept++
  t.ok(kept > 0 && kept < 10_000, 'bounded')
})

t.test('a history', async (t) => {
  const history = new SharedHistory({ maxRecords: 100 })
  t.equal(history.judge('a', [], { epoch: 0, seq: 0 }), 'purged', 'without a log nothing is trusted')
  history.restart(7, 10)
  history.add('eleven', [scopeOf({ keys: ['a'] })], 0)
  history.add('twelve', [], 0)
  const judged = (seq: number, epoch = 7): string => history.judge('b', [], { epoch, seq })
  t.same([9, 10, 12, 13, NaN].map((seq) => judged(seq)), ['purged', 'valid', 'valid', 'purged', 'purged'])
  t.same([judged(11, 6), judged(11, 8)], ['purged', 'purged'])
  t.same([10, 11].map((seq) => history.judge('a', [], { epoch: 7, seq })), ['purged', 'valid'])
  const succession = (seq: number, text: string, epoch = 7): string => history.succession({ epoch, seq }, text)
  t.equal(succession(13, 'x'), 'next')
  t.equal(succession(14, 'x'), 'gap')
  t.equal(succession(12, 'twelve'), 'known')
  t.equal(succession(12, 'other'), 'conflict')
  t.equal(succession(13, 'x', 8), 'conflict')
  for (let i = 13; i < 2000; i++) history.add(`r${i}`, [], 0)
  t.equal(succession(12, 'other'), 'known', 'nobody can tell any more')
})

t.test('catching up survives whatever the log looks like', async (t) => {
  const at = fc.record({ epoch: fc.integer({ min: 1, max: 3 }), seq: fc.integer({ min: 0, max: 6 }) })
  const page: fc.Arbitrary<LogPage | undefined> = fc.option(fc.record({ head: at, tail: at, records: fc.array(fc.tuple(at, fc.constantFrom('1 a.1 []', '1 a.2 [{"e":1}]', 'junk')), { maxLength: 5 }) }), { nil: undefined })
  await fc.assert(fc.asyncProperty(fc.array(page, { maxLength: 6 }), fc.array(fc.boolean()), async (pages, renewals) => {
    const history = new SharedHistory({})
    let reads = 0
    let distrusts = 0
    const done = await catchUp({
      history,
      read: async () => {
        if (++reads > 100) throw new Error('it does not end')
        return pages[reads % Math.max(1, pages.length)]
      },
      renew: async () => renewals.pop() ?? false,
      apply: (text) => { history.add(text, decodeRecord(text).scopes, 0) },
      distrust: () => { distrusts++ }
    })
    return done ? history.epoch > 0 : distrusts > 0 || reads > 0
  }), { numRuns: 1000 })
})

t.test('catching up reads a long log page by page, while news keep coming', async (t) => {
  const records: PlacedRecord[] = Array.from({ length: 4500 }, (_, i) => [{ epoch: 5, seq: i + 1 }, encodeRecord('s', i + 1, [])])
  const history = new SharedHistory({})
  let reads = 0
  let visible = 4000
  const done = await catchUp({
    history,
    read: async (from: Position, count) => {
      reads++
      const page = { head: { epoch: 5, seq: 1 }, tail: { epoch: 5, seq: visible }, records: records.slice(0, visible).filter(([{ seq }]) => seq >= from.seq).slice(0, count) }
      visible += 50
      return page
    },
    renew: async () => { throw new Error('there is nothing to renew') },
    apply: (text) => { history.add(text, [], 0) },
    distrust: () => {}
  })
  t.equal(done, true)
  t.ok(history.tip >= 4000)
  t.ok(reads <= 7)
})
