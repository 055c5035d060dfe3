import t from 'tap'
import { memoryByRoute } from '../../../lib/engine/monitor/route-memory.ts'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { routeMark } from '../../../lib/keyspace/mark.ts'
import { MemoryCache } from '../../../lib/stores/memory.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { entryOf } from '../../support/entries.ts'

t.test('what a route takes in the memory is counted, and in a large one reckoned', async (t) => {
  const clock = fakeClock()
  const log = createLocalLog({ clock })
  const store = new MemoryCache({ clock, log, maxEntries: 100_000 })
  t.teardown(() => { store.close() })
  const keep = (from: number, to: number): void => {
    for (let n = from; n < to; n++) {
      const route = n % 4 === 0 ? '/a/:id' : '/b/:id'
      const entry = entryOf({ value: {}, kind: 'response', ticket: log.ticket(), clock, marks: [routeMark('http', 'shop.example', route, JSON.stringify({ id: `${n} {` })), 't:all'] })
      store.write(`response:${n}`, entry, log.ticket())
    }
  }
  keep(0, 1000)
  const exact = memoryByRoute(store, ['/a/:id', '/none'], Math.random)
  const { bytes = 0 } = exact?.get('/a/:id') ?? {}
  t.same([...exact ?? []], [['/a/:id', { entries: 250, bytes }], ['/none', { entries: 0, bytes: 0 }]])
  t.ok(Math.abs(bytes / store.usage()[0].bytes - 1 / 4) < 0.01, 'in the bytes of the memory itself')
  keep(1000, 40_000)
  const reckoned = memoryByRoute(store, ['/a/:id'], Math.random)?.get('/a/:id')?.entries ?? 0
  t.ok(Math.abs(reckoned / 10_000 - 1) < 0.15, `some ten thousand: ${reckoned}`)
  await log.append({ marks: ['t:all'] })
  t.equal(memoryByRoute(store, ['/a/:id'], Math.random)?.get('/a/:id')?.entries, 0, 'what was purged is gone')
})
