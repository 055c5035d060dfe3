import t from 'tap'
import { CacheEventHub } from '../../lib/events.ts'

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
