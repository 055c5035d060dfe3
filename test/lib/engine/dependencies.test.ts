import { EventEmitter, once } from 'node:events'
import t from 'tap'
import Fastify from 'fastify'
import { DependencyScope, DependencyTracker } from '../../../lib/engine/dependencies.ts'
import cache from '../../../plugins/index.ts'

const marksOf = (...scopes: readonly DependencyScope[]): string[][] => scopes.map(({ marks }) => [...marks])

t.test('scopes are followed from the first read in one of them; those that are held by then take all that is read for their own', async (t) => {
  const tracker = new DependencyTracker(true)
  tracker.note('nobody builds anything')
  const [a, b, c, d] = [1, 2, 3, 4].map(() => new DependencyScope()) as [DependencyScope, DependencyScope, DependencyScope, DependencyScope]
  const endA = tracker.hold(a)
  const endB = tracker.hold(b)
  tracker.enter(a, () => { t.notOk(tracker.isInside(a), 'nothing leads there yet') })
  tracker.enter(a, () => { tracker.note('x', ['t:of-x'], true) })
  t.same(marksOf(a, b), [['k:x', 't:of-x'], ['k:x', 't:of-x']], 'which of the two it was cannot be told')
  t.ok(a.stale && b.stale)

  const endC = tracker.hold(c)
  const endD = tracker.hold(d)
  tracker.enter(c, () => {
    t.ok(tracker.isInside(c))
    tracker.note('y')
  })
  await Promise.all([
    tracker.enter(c, async () => {
      await null
      tracker.note('later')
    }),
    tracker.enter(d, async () => { tracker.note('in d') })
  ])
  t.same(marksOf(c, d), [['k:y', 'k:later'], ['k:in d']], 'from now on it can')
  t.match([...a.marks], ['k:x', 't:of-x', 'k:y', 'k:in d', 'k:later'])
  endA?.()
  tracker.enter(c, () => { tracker.note('z') })
  t.ok(b.marks.has('k:z'))
  t.ok(a.ended)
  for (const end of [endB, endC, endD]) end?.()
  t.ok(b.ended && c.ended && d.ended)
  tracker.note('too late')
  t.notOk(b.marks.has('k:too late'), 'where nobody is held nobody reads')
})

t.test('a scope that is held more than once takes what is read until its last holder has gone', async (t) => {
  const tracker = new DependencyTracker(true)
  const scope = new DependencyScope()
  const first = tracker.hold(scope)
  tracker.note('x')
  const second = tracker.hold(scope)
  first?.()
  tracker.note('y')
  const other = new DependencyScope()
  other.add('t:z')
  tracker.share(other)
  second?.()
  tracker.note('too late')
  t.same(marksOf(scope), [['k:x', 'k:y', 't:z']])
})

t.test('responses under way when the first one reads through the cache are reached by its purge too, and later ones are told apart', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(cache, { strategy: 'memory' })
  const doors = new EventEmitter()
  app.get('/reads', { config: { cache: true } }, async () => await app.cache.getOrSet('x', () => 1))
  app.get('/waits', { config: { cache: true } }, async ({ url }) => {
    doors.emit('begun')
    await once(doors, 'open')
    return url
  })
  await app.ready()
  const status = async (url: string): Promise<unknown> => (await app.inject(url)).headers['cache-status']
  const askAndWait = async (meanwhile?: () => Promise<unknown>): Promise<unknown> => {
    const begun = once(doors, 'begun')
    const waiting = status('/waits')
    await begun
    await meanwhile?.()
    doors.emit('open')
    return await waiting
  }
  const both = async (): Promise<void> => {
    t.match(await askAndWait(async () => await app.inject('/reads')), /;stored/)
    t.match(await status('/waits'), /;hit/)
    t.match(await status('/reads'), /;hit/)
  }
  await both()
  await app.cache.invalidate({ keys: ['x'] })
  t.match(await status('/reads'), /fwd=/)
  t.match(await askAndWait(), /fwd=/, 'one purge too many, once in the life of a process')

  await app.cache.invalidate({ everything: true })
  await both()
  await app.cache.invalidate({ keys: ['x'] })
  t.match(await status('/reads'), /fwd=/)
  t.match(await status('/waits'), /;hit/)
})
