import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { CacheEventHub, EVENT_CHANNELS } from '../../lib/events.ts'

t.test('listeners hear what they asked for, and nothing after they left', async (t) => {
  const hub = new CacheEventHub()
  const heard: string[] = []
  const listener = ({ key }: { key: string }): void => { heard.push(key) }
  t.notOk(hub.heard('coalesced'))
  hub.on('coalesced', listener)
  t.ok(hub.heard('coalesced'))
  hub.emit('coalesced', { key: 'a' })
  hub.off('coalesced', listener).emit('coalesced', { key: 'b' })
  t.same(heard, ['a'])
  t.notOk(hub.heard('coalesced'))
})

t.test('an event that does not exist, and a listener that cannot be called, are refused', async (t) => {
  const hub = new CacheEventHub()
  for (const name of ['nope', 'toString', undefined]) t.throws(() => hub.on(name as never, () => {}), { code: 'FST_ERR_CACHE_OPTION', message: /^Option name is .*must be one of lookup, load/ })
  t.throws(() => hub.on('lookup', undefined as never), { code: 'FST_ERR_CACHE_OPTION', message: 'Option listener is undefined, must be a function' })
  t.notOk(hub.heard('lookup'))
})

t.test('a listener that throws harms neither the speaker nor the other listeners', async (t) => {
  const hub = new CacheEventHub()
  const heard: unknown[] = []
  hub.on('coalesced', () => { throw new Error('mine') }).on('coalesced', ({ key }) => { heard.push(key) })
  hub.on('fault', ({ where, error }) => { heard.push(where, (error as Error).message) })
  hub.emit('coalesced', { key: 'a' })
  t.same(heard, ["listener of 'coalesced'", 'mine', 'a'])
  hub.on('fault', () => { throw new Error('a fault about a fault') })
  t.doesNotThrow(() => { hub.emit('fault', { where: 'here', error: 1 }) })
})

t.test('a listener that leaves while it is told does not make another miss the event', async (t) => {
  const hub = new CacheEventHub()
  const heard: string[] = []
  const once = (): void => {
    heard.push('once')
    hub.off('coalesced', once)
  }
  hub.on('coalesced', once).on('coalesced', () => { heard.push('always') })
  hub.emit('coalesced', { key: 'a' })
  hub.emit('coalesced', { key: 'b' })
  t.same(heard, ['once', 'always', 'always'])
  hub.close()
  t.notOk(hub.heard('coalesced'))
})

t.test('who gathers lookups hears of all of them, in order, before anything else is said', async (t) => {
  const hub = new CacheEventHub()
  const batches: string[][] = []
  t.notOk(hub.heard('lookup'))
  const leave = hub.gatherLookups((lookups) => { batches.push(lookups.map(({ key }) => key)) })
  hub.on('coalesced', ({ key }) => { batches.push([`coalesced ${key}`]) })
  t.ok(hub.heard('lookup'))
  const say = (key: string): void => { hub.emit('lookup', { key, result: 'hit', atMs: 0, durationMs: 0, namespace: '' }) }
  say('a')
  say('b')
  t.same(batches, [])
  hub.emit('coalesced', { key: 'c' })
  t.same(batches.splice(0), [['a', 'b'], ['coalesced c']])
  say('d')
  hub.settle()
  hub.settle()
  t.same(batches.splice(0), [['d']])
  for (let i = 0; i < 1000; i++) say(`${i}`)
  const told = batches.splice(0).flat()
  t.ok(told.length > 900, 'nor does anybody wait for long while there is much to tell')
  const joined: string[] = []
  const part = hub.gatherLookups((lookups) => { joined.push(...lookups.map(({ key }) => key)) })
  part()
  t.same(joined, [], 'who joins is not told what was before')
  leave()
  t.same([...told, ...batches.flat()], Array.from({ length: 1000 }, (_, i) => `${i}`), 'who leaves is told the rest')
  t.notOk(hub.heard('lookup'))
  say('e')
  hub.settle()
  t.equal(batches.flat().length, 1000 - told.length)
})

t.test('a gatherer that throws harms nobody, and what was not told is told when the hub closes', async (t) => {
  const hub = new CacheEventHub()
  const heard: unknown[] = []
  hub.gatherLookups(() => { throw new Error('mine') })
  hub.gatherLookups((lookups) => { heard.push(lookups.length) })
  hub.on('fault', ({ where, error }) => { heard.push(where, (error as Error).message) })
  hub.emit('lookup', { key: 'a', result: 'hit', atMs: 0, durationMs: 0, namespace: '' })
  hub.close()
  t.same(heard, ["gatherer of 'lookup'", 'mine', 1])
})

t.test('what is said is published for the whole process, when somebody has subscribed', async (t) => {
  const hub = new CacheEventHub()
  const heard: unknown[] = []
  const subscriber = (message: unknown, name: string | symbol): void => { heard.push([name, message]) }
  hub.emit('coalesced', { key: 'a' })
  t.notOk(hub.heard('coalesced'), 'nobody: no event is even made')
  subscribe('fastify-response-cache:coalesced', subscriber)
  t.ok(hub.heard('coalesced'))
  t.notOk(hub.heard('lookup'), 'to others nobody has')
  hub.emit('coalesced', { key: 'b' })
  new CacheEventHub().emit('coalesced', { key: 'of another cache' })
  unsubscribe('fastify-response-cache:coalesced', subscriber)
  t.notOk(hub.heard('coalesced'))
  hub.emit('coalesced', { key: 'c' })
  t.same(heard, [['fastify-response-cache:coalesced', { key: 'b' }], ['fastify-response-cache:coalesced', { key: 'of another cache' }]])
  for (const [event, { name }] of Object.entries(EVENT_CHANNELS)) t.equal(name, `fastify-response-cache:${event}`)
})
