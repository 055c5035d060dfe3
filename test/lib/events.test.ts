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

t.test('who gathers what happens with every request hears of all of it, in order, before anything rare is said', async (t) => {
  const hub = new CacheEventHub()
  const told: string[] = []
  t.notOk(hub.heard('lookup'))
  const leave = hub.gather({ lookup: ({ key }) => { told.push(key) }, load: ({ key }) => { told.push(`load of ${key}`) } })
  hub.on('coalesced', ({ key }) => { told.push(`coalesced ${key}`) })
  t.ok(hub.heard('lookup'))
  t.ok(hub.heard('load'))
  t.notOk(hub.heard('store'), 'what nobody gathers nobody hears')
  const say = (key: string): void => { hub.emit('lookup', { key, result: 'hit', atMs: 0, durationMs: 0, namespace: '' }) }
  say('a')
  hub.emit('load', { key: 'a', ok: true, atMs: 0, durationMs: 1 })
  hub.emit('store', { key: 'a', bytes: 1, kind: 'data', atMs: 0 })
  say('b')
  t.same(told, [])
  hub.emit('coalesced', { key: 'c' })
  t.same(told.splice(0), ['a', 'load of a', 'b', 'coalesced c'])
  say('d')
  hub.settle()
  hub.settle()
  t.same(told.splice(0), ['d'])
  for (let i = 0; i < 1000; i++) say(`${i}`)
  t.ok(told.length > 900, 'nor does anybody wait for long while there is much to tell')
  const joined: string[] = []
  const part = hub.gather({ lookup: ({ key }) => { joined.push(key) } })
  part()
  t.same(joined, [], 'who joins is not told what was before')
  leave()
  t.same(told.splice(0), Array.from({ length: 1000 }, (_, i) => `${i}`), 'who leaves is told the rest')
  t.notOk(hub.heard('lookup'))
  say('e')
  hub.settle()
  t.same(told, [])
})

t.test('an event that holds much does not wait for others', async (t) => {
  const hub = new CacheEventHub()
  const told: string[] = []
  hub.gather({ lookup: ({ key }) => { told.push(key) }, store: ({ key, bytes }) => { told.push(`${key}: ${bytes}`) } })
  const store = (bytes: number): void => { hub.emit('store', { key: 'a', bytes, kind: 'data', atMs: 0, value: 'v' }) }
  hub.emit('lookup', { key: 'a', result: 'miss', atMs: 0, durationMs: 0, namespace: '' })
  store(1000)
  t.same(told, [])
  store(1_000_000)
  t.same(told, ['a', 'a: 1000', 'a: 1000000'])
})

t.test('a gatherer that throws harms nobody, and what was not told is told when the hub closes', async (t) => {
  const hub = new CacheEventHub()
  const heard: unknown[] = []
  hub.gather({ lookup () { throw new Error('mine') } })
  hub.gather({ lookup: ({ key }) => { heard.push(key) } })
  hub.on('fault', ({ where, error }) => { heard.push(where, (error as Error).message) })
  hub.emit('lookup', { key: 'a', result: 'hit', atMs: 0, durationMs: 0, namespace: '' })
  hub.close()
  t.same(heard, ['gatherer of events', 'mine', 'a'])
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

t.test('a listener whose promise rejects harms nobody either', async (t) => {
  const hub = new CacheEventHub()
  const told = new Promise<unknown[]>((resolve) => { hub.on('fault', ({ where, error }) => { resolve([where, (error as Error).message]) }) })
  hub.on('coalesced', (async () => { throw new Error('later') }) as () => void)
  hub.emit('coalesced', { key: 'a' })
  t.same(await told, ["listener of 'coalesced'", 'later'])
})
