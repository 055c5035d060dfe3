import t, { type Test } from 'tap'
import { createLocalLog } from '../../../lib/invalidation/local-log.ts'
import { createRedisLog } from '../../../lib/invalidation/redis-log.ts'
import { openRedis } from '../../../lib/redis/open.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { logContract, type LogKit } from '../../support/log-contract.ts'
import { freePort, startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

const PATIENT_MS = 20_000

async function onRedis (t: Test, url: string): Promise<LogKit> {
  const client = openRedis(url, { deadlineMs: PATIENT_MS })
  const clock = fakeClock()
  const log = createRedisLog({ client, clock, prefix: 'test:', deadlineMs: PATIENT_MS })
  t.teardown(async () => {
    const closed = log.close()
    clock.advance(PATIENT_MS)
    await Promise.all([closed, client.close()])
  })
  return { log, now: () => clock.now(), advance: (ms) => { clock.advance(ms) } }
}

t.test('the log of one process', async (t) => {
  await logContract(t, async () => {
    const clock = fakeClock()
    return { log: createLocalLog({ clock }), now: () => clock.now(), advance: (ms) => { clock.advance(ms) } }
  })
})

t.test('the log in Redis', async (t) => {
  const server = await startRedis()
  t.teardown(async () => { await server.stop() })
  await logContract(t, async (t) => {
    const kit = await onRedis(t, server.url)
    await until('it is current', () => kit.log.state === 'current')
    return kit
  })
})

t.test('the log in Redis while there is none', async (t) => {
  const port = await freePort()
  await logContract(t, async (t) => await onRedis(t, `redis://127.0.0.1:${port}`))
})
