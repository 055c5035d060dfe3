import t from 'tap'
import fc from 'fast-check'
import { CacheManager } from '../../../lib/cache-manager.ts'
import { deferred, type Deferred } from '../../support/cached-app.ts'
import { fakeClock } from '../../support/fake-clock.ts'

/*
 * Random schedules of everything that can happen to a value, against a plain model: each key has a true value, a number
 * that only grows. A step changes the truth, purges it in one of the ways there are, begins a read, or lets a load read
 * the truth or end. Nothing that a call returns may be older than what was true when the last purge that touches the key
 * was complete before the call was made.
 */

const KEYS = ['product:1', 'product:2', 'user:1'] as const
type Key = typeof KEYS[number]
const TAGS: Record<Key, string[]> = { 'product:1': ['shop', 'one'], 'product:2': ['shop'], 'user:1': ['people'] }
const PURGES: Array<{ purge: { keys?: string[], tags?: string[], patterns?: string[], everything?: boolean }, touches: (key: Key) => boolean }> = [
  ...KEYS.map((key) => ({ purge: { keys: [key] }, touches: (other: Key) => other === key })),
  { purge: { tags: ['shop'] }, touches: (key) => TAGS[key].includes('shop') },
  { purge: { tags: ['one', 'people'] }, touches: (key) => key !== 'product:2' },
  { purge: { patterns: ['product:*'] }, touches: (key) => key.startsWith('product:') },
  { purge: { patterns: ['*:1'] }, touches: (key) => key.endsWith(':1') },
  { purge: { patterns: ['user:?'] }, touches: (key) => key === 'user:1' },
  { purge: { everything: true }, touches: () => true }
]

const key = fc.constantFrom(...KEYS)
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('getOrSet' as const), key, refreshAhead: fc.constantFrom(0, 0.1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('getOrSetMany' as const), keys: fc.uniqueArray(key, { minLength: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('get' as const, 'getMany' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('change' as const), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('purge' as const), purge: fc.integer({ min: 0, max: PURGES.length - 1 }), soft: fc.boolean(), awaited: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('set' as const, 'delete' as const), key, awaited: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('read' as const, 'end' as const, 'fail' as const), load: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(500, 5_000, 20_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('turn' as const) }) }
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

interface Load { keys: readonly string[], read: Record<string, number> | undefined, gate: Deferred<Record<string, number>> }

async function play (steps: readonly Step[], windows: { staleWhileRevalidate: number, staleIfError: number }): Promise<void> {
  const clock = fakeClock()
  const cache = new CacheManager({ strategy: 'memory', ttlJitter: 0 }, { clock })
  const truth: Record<Key, number> = { 'product:1': 1, 'product:2': 1, 'user:1': 1 }
  /** What was true when the last hard purge was complete; nothing older may be seen by those who ask later. */
  const floor: Record<Key, number> = { 'product:1': 0, 'product:2': 0, 'user:1': 0 }
  const loads: Load[] = []
  const pending = new Set<Promise<unknown>>()
  const broken: string[] = []

  const check = (name: Key, least: number, value: unknown, how: string): void => {
    if (typeof value === 'number' && value < least) broken.push(`${how}(${name}) returned ${value}, though ${least} was true at the last purge before the call`)
  }
  const background = (work: Promise<unknown>): void => {
    const settled = work.catch(() => {}).finally(() => { pending.delete(settled) })
    pending.add(settled)
  }
  const load = async (keys: readonly string[]): Promise<Record<string, number>> => {
    const one: Load = { keys, read: undefined, gate: deferred() }
    loads.push(one)
    return await one.gate.promise
  }
  const purged = (touches: (name: Key) => boolean): void => { for (const name of KEYS) if (touches(name)) floor[name] = Math.max(floor[name], truth[name]) }
  const options = (name: Key, refreshAhead: number): object => ({ ttl: 10, tags: TAGS[name], refreshAhead, ...windows })

  const act = async (one: Step): Promise<void> => {
    switch (one.do) {
      case 'getOrSet': {
        const least = floor[one.key]
        background(cache.getOrSet(one.key, async () => (await load([one.key]))[one.key], options(one.key, one.refreshAhead)).then((value) => { check(one.key, least, value, one.do) }))
        break
      }
      case 'getOrSetMany': {
        // All its keys carry the tags of all: a purge that touches one of them may take more, never less.
        const least = one.keys.map((name) => floor[name])
        background(cache.getOrSetMany(one.keys, load, { ttl: 10, tags: Object.values(TAGS).flat(), ...windows }).then((values) => { values.forEach((value, i) => { check(one.keys[i] as Key, least[i] ?? 0, value, one.do) }) }))
        break
      }
      case 'get':
        check(one.key, floor[one.key], await cache.get(one.key), one.do)
        break
      case 'getMany':
        check(one.key, floor[one.key], (await cache.getMany([one.key]))[0], one.do)
        break
      case 'change':
        truth[one.key]++
        break
      case 'purge': {
        const { purge, touches } = PURGES[one.purge] as typeof PURGES[number]
        const done = cache.invalidate({ ...purge, soft: one.soft })
        // It holds in this process when the call returns, waited for or not.
        if (!one.soft) purged(touches)
        if (one.awaited) await done
        else background(done)
        break
      }
      case 'set': {
        const done = cache.set(one.key, truth[one.key], { ttl: 10, tags: TAGS[one.key], ...windows })
        purged((name) => name === one.key)
        if (one.awaited) await done
        else background(done)
        break
      }
      case 'delete': {
        const done = cache.delete(one.key)
        purged((name) => name === one.key)
        if (one.awaited) await done
        else background(done)
        break
      }
      case 'read': {
        const found = loads[one.load % Math.max(1, loads.length)]
        if (found !== undefined) found.read ??= Object.fromEntries(found.keys.map((name) => [name, truth[name as Key]]))
        break
      }
      case 'end':
      case 'fail': {
        const [found] = loads.splice(one.load % Math.max(1, loads.length), 1)
        if (found === undefined) break
        if (one.do === 'fail') found.gate.reject(new Error('the load failed'))
        else found.gate.resolve(found.read ?? Object.fromEntries(found.keys.map((name) => [name, truth[name as Key]])))
        break
      }
      case 'advance':
        clock.advance(one.ms)
        break
      case 'turn':
        await new Promise((resolve) => { setImmediate(resolve) })
    }
  }

  for (const one of steps) await act(one)
  // Whatever still loads comes to its end with what it has read.
  for (let i = 0; i < 50 && (pending.size > 0 || loads.length > 0); i++) {
    for (const found of loads.splice(0)) found.gate.resolve(found.read ?? Object.fromEntries(found.keys.map((name) => [name, truth[name as Key]])))
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  if (pending.size > 0) broken.push(`${pending.size} calls never came to an end`)
  for (const name of KEYS) check(name, floor[name], await cache.get(name), 'last get')
  await cache.close()
  if (broken.length > 0) throw new Error(broken.join('; '))
}

const runs = Number(process.env.PROPERTY_RUNS ?? 300)
const seed = process.env.PROPERTY_SEED === undefined ? {} : { seed: Number(process.env.PROPERTY_SEED) }

for (const windows of [{ staleWhileRevalidate: 0, staleIfError: 0 }, { staleWhileRevalidate: 10, staleIfError: 30 }]) {
  t.test(`no call returns a value older than the last purge before it, with ${JSON.stringify(windows)}`, async (t) => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => { await play(steps, windows) })
    const details = await fc.check(property, { numRuns: runs, ...seed })
    // With the seed and the path a failure can be played again.
    t.equal(details.failed, false, fc.defaultReportMessage(details) ?? 'no counterexample')
    t.equal(details.numRuns, runs)
  })
}

t.test('the model notices a cache that forgets a purge', async (t) => {
  const original = CacheManager.prototype.invalidate
  CacheManager.prototype.invalidate = async () => await Promise.resolve({ reach: 'everywhere' })
  t.teardown(() => { CacheManager.prototype.invalidate = original })
  const details = await fc.check(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => { await play(steps, { staleWhileRevalidate: 0, staleIfError: 0 }) }), { numRuns: 200, endOnFailure: true })
  t.equal(details.failed, true)
})
