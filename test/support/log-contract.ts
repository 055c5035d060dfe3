import type { Test } from 'tap'
import { keyMark, tagMark } from '../../lib/keyspace/mark.ts'
import type { InvalidationLog, PurgeRecord, Validity } from '../../lib/ports/invalidation-log.ts'

export interface LogKit {
  readonly log: InvalidationLog
  /** The log's own time, in ms since the epoch. */
  readonly now: () => number
  readonly advance: (ms: number) => void
}

/** What every invalidation log does with its own records, whether others hear of them or not. */
export async function logContract (t: Test, boot: (t: Test) => Promise<LogKit>): Promise<void> {
  /** What one record does to one entry that was valid before it. */
  const effects = async (t: Test): Promise<(record: PurgeRecord, key: string, marks?: readonly string[]) => Validity> => {
    const { log } = await boot(t)
    return (record, key, marks = []) => {
      const { at } = log.ticket()
      log.append(record)
      return log.judge(key, marks, at)
    }
  }

  await t.test('a purge of a key reaches the entry of that key and every entry built from it', async (t) => {
    const effect = await effects(t)
    const record = { keys: ['product:1'] }
    t.equal(effect(record, 'product:1'), 'purged')
    t.equal(effect(record, 'list', [keyMark('product:2'), keyMark('product:1')]), 'purged')
    t.equal(effect(record, 'product:12'), 'valid')
    t.equal(effect(record, 'other', [tagMark('product:1')]), 'valid', 'a tag of the same name is something else')
    t.equal(effect(record, 'k:product:1'), 'valid')
  })

  await t.test('a purge of a mark reaches the entries that carry it', async (t) => {
    const effect = await effects(t)
    const record = { marks: [tagMark('catalog'), tagMark('prices')] }
    t.equal(effect(record, 'a', [tagMark('x'), tagMark('prices')]), 'purged')
    t.equal(effect(record, 'catalog', [tagMark('x')]), 'valid')
    t.equal(effect(record, 'a', [tagMark('catalog2')]), 'valid')
  })

  await t.test('a pattern reaches keys, and the keys that an entry was built from', async (t) => {
    const effect = await effects(t)
    for (const pattern of ['product:*', 'pr*uct:*', 'product:[0-9]', 'p?oduct:*', 'product:1']) {
      t.equal(effect({ patterns: [pattern] }, 'product:1'), 'purged', pattern)
      t.equal(effect({ patterns: [pattern] }, 'list', [tagMark('x'), keyMark('product:1')]), 'purged', pattern)
      t.equal(effect({ patterns: [pattern] }, 'list', [tagMark('product:1')]), 'valid', pattern)
      t.equal(effect({ patterns: [pattern] }, 'produce:1'), 'valid', pattern)
    }
    t.equal(effect({ patterns: ['*'] }, 'anything'), 'purged')
    t.equal(effect({ patterns: ['\\*'] }, 'anything'), 'valid')
  })

  await t.test('a mark prefix is literal', async (t) => {
    const effect = await effects(t)
    t.equal(effect({ markPrefixes: ['p:/products/'] }, 'a', ['p:/products/1']), 'purged')
    t.equal(effect({ markPrefixes: ['p:/products/'] }, 'a', ['p:/products']), 'valid')
    t.equal(effect({ markPrefixes: ['p:/*'] }, 'a', ['p:/products']), 'valid')
    t.equal(effect({ markPrefixes: ['p:/*'] }, 'a', ['p:/*/1']), 'purged')
    t.equal(effect({ markPrefixes: [''] }, 'a'), 'purged', 'an empty prefix is everything')
  })

  await t.test('a refused record leaves no half of itself behind', async (t) => {
    const { log } = await boot(t)
    const { at } = log.ticket()
    t.throws(() => log.append({ keys: ['a'], patterns: ['[a'] }), { code: 'FST_ERR_CACHE_PATTERN' })
    t.throws(() => log.append({ keys: ['a'], patterns: [''] }), { code: 'FST_ERR_CACHE_PATTERN' })
    t.equal(log.judge('a', [], at), 'valid')
    t.equal(log.tip, at)
  })

  await t.test('a record that names nothing does not move the log', async (t) => {
    const { log } = await boot(t)
    const { tip } = log
    t.equal(await log.append({}), 'everywhere')
    await log.append({ keys: [], marks: [], patterns: [], everything: false, soft: true })
    t.equal(log.tip, tip)
  })

  await t.test('prefixes of different lengths do not hide each other', async (t) => {
    const { log } = await boot(t)
    const moments = ['a:*', 'a:b:c:*', 'a:b:*'].map((pattern) => {
      const { at } = log.ticket()
      log.append({ patterns: [pattern] })
      return at
    })
    t.same(['a:1', 'a:b:1', 'a:b:c:1'].map((key) => moments.map((since) => log.judge(key, [], since))), [
      ['purged', 'valid', 'valid'],
      ['purged', 'purged', 'purged'],
      ['purged', 'purged', 'purged']
    ])
  })

  await t.test('a ticket that was taken before a purge is worth nothing after it, and one that was taken after it is', async (t) => {
    const { log } = await boot(t)
    const before = log.ticket()
    log.append({ keys: ['a'], marks: [tagMark('t')], patterns: ['b*', 'b*c'], everything: true })
    const after = log.ticket()
    t.equal(log.judge('a', [tagMark('t')], before.at), 'purged')
    t.equal(log.judge('a', [tagMark('t')], after.at), 'valid')
    t.equal(log.judgeShared('bc', [], before.asOf), 'purged')
  })

  await t.test('a soft purge makes stale, and a hard one beats it', async (t) => {
    const { log, now, advance } = await boot(t)
    const begin = log.ticket().at
    log.append({ marks: [tagMark('t')], soft: true })
    const firstMs = now()
    t.equal(log.judge('a', [tagMark('t')], begin), 'soft')
    t.equal(log.softPurgedAtMs('a', [tagMark('t')], begin), firstMs)
    t.equal(log.softPurgedAtMs('a', [tagMark('t')], log.ticket().at), undefined)
    advance(5000)
    log.append({ patterns: ['a*'], soft: true })
    t.equal(log.softPurgedAtMs('a', [tagMark('t')], begin), firstMs + 5000, 'the newest counts')
    t.equal(log.softPurgedAtMs('b', [tagMark('t')], begin), firstMs)
    const beforeHard = log.ticket().at
    log.append({ keys: ['a'] })
    t.equal(log.judge('a', [], begin), 'purged')
    const beforeLast = log.ticket().at
    log.append({ everything: true, soft: true })
    t.equal(log.judge('a', [], beforeHard), 'purged', 'hard before soft is still hard')
    t.equal(log.judge('a', [], beforeLast), 'soft')
  })
}
