import t from 'tap'
import { startScene, suffer } from '../fleet/support/outage.ts'

/*
 * Outages that take their time, for `npm run test:slow`: the pauses between attempts must not have grown with them.
 * The ordinary suite has the same fault for 0.8 s.
 */
t.jobs = 3

for (const seconds of [5, 20, 60]) {
  t.test(`F05 Redis is away for ${seconds} s`, async (t) => {
    const scene = await startScene()
    t.teardown(async () => { await scene.stop() })
    const { requests, failures, slowestMs, recoveryMs, stale } = await suffer(scene, {
      inject: async ({ server }) => { await server.kill() },
      heal: async ({ server }) => { await server.restart() },
      forMs: seconds * 1000
    })
    t.comment(`${requests} requests, slowest ${slowestMs.toFixed(0)} ms, used again ${recoveryMs.toFixed(0)} ms after the fault`)
    t.equal(failures, 0)
    t.same(stale, [])
    t.ok(recoveryMs < 5000)
  })
}
