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
