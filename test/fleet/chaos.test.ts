import t from 'tap'
import { chaos, isEnough } from './support/chaos.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const forMs = Number(process.env['CHAOS_MS'] ?? 3000)

t.jobs = 2
// Each process of the two fleets has one that reaps it.
process.setMaxListeners(50)

for (const consistency of ['strict', 'bounded'] as const) {
  t.test(`faults at random, ${consistency}: no read fails, no acknowledged purge is lost; seed ${seed}`, async (t) => {
    const faults: string[] = []
    const { violations, ...figures } = await chaos({ seed, forMs, members: [consistency, consistency, consistency], onFault: (fault) => faults.push(fault) })
    t.comment(`SEED=${seed} ${JSON.stringify(figures)}`)
    t.same(violations, [], `seed ${seed}: ${faults.join(', ')}`)
    t.ok(isEnough(figures))
  })
}
