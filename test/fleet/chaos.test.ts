import t from 'tap'
import { chaos, isEnough } from './support/chaos.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const forMs = Number(process.env['CHAOS_MS'] ?? 3000)

t.jobs = 2

for (const strict of [true, false]) {
  t.test(`faults at random, ${strict ? 'strict' : 'bounded'}: no read fails, no acknowledged purge is lost; seed ${seed}`, async (t) => {
    const faults: string[] = []
    const { violations, ...figures } = await chaos({ seed, forMs, members: 3, strict, onFault: (fault) => faults.push(fault) })
    t.comment(`SEED=${seed} ${JSON.stringify(figures)}`)
    t.same(violations, [], `seed ${seed}: ${faults.join(', ')}`)
    t.ok(isEnough(figures))
  })
}
