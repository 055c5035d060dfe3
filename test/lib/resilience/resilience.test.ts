import t from 'tap'

import { backoffMs } from '../../../lib/resilience/backoff.ts'
import { CircuitBreaker, type CircuitState } from '../../../lib/resilience/circuit-breaker.ts'
import { deadline } from '../../../lib/resilience/deadline.ts'
import { retry } from '../../../lib/resilience/retry.ts'
import { fakeClock } from '../../support/fake-clock.ts'

const late = (): Error => new Error('late')
const settle = async (): Promise<void> => { await new Promise((resolve) => setImmediate(resolve)) }

t.test('a promise within its deadline is passed on', async (t) => {
  const clock = fakeClock()
  t.equal(await deadline(Promise.resolve(7), 100, clock, late), 7)
  await t.rejects(deadline(Promise.reject(new Error('mine')), 100, clock, late), { message: 'mine' })
})

t.test('a promise beyond its deadline is given up, and what it does later disturbs nobody', async (t) => {
  const clock = fakeClock()
  let fail = (_error: Error): void => {}
  const guarded = deadline(new Promise<never>((_resolve, reject) => { fail = reject }), 100, clock, late)
  const rejected = t.rejects(guarded, { message: 'late' })
  clock.advance(99)
  clock.advance(1)
  await rejected
  fail(new Error('nobody listens'))
  await settle()
})

function watchedBreaker (): { clock: ReturnType<typeof fakeClock>, breaker: CircuitBreaker, changes: CircuitState[] } {
  const clock = fakeClock()
  const changes: CircuitState[] = []
  const breaker = new CircuitBreaker({ clock, threshold: 3, cooldownMs: 500, maxCooldownMs: 1500, onChange: (state) => changes.push(state) })
  return { clock, breaker, changes }
}

t.test('failures in a row open the circuit, a success in between does not', async (t) => {
  const { breaker, changes } = watchedBreaker()
  breaker.failed()
  breaker.failed()
  breaker.succeeded()
  breaker.failed()
  breaker.failed()
  t.equal(breaker.state, 'closed')
  t.same(breaker.admit(), { pass: true, probe: false })
  breaker.failed()
  t.equal(breaker.state, 'open')
  t.same(breaker.admit(), { pass: false, reason: 'open' })
  t.equal(breaker.wouldAdmit, false)
  t.same(changes, ['open'])
})

t.test('after the pause one call probes, and its success closes the circuit', async (t) => {
  const { clock, breaker, changes } = watchedBreaker()
  for (let n = 0; n < 3; n++) breaker.failed()
  clock.advance(499)
  t.equal(breaker.admit().pass, false)
  clock.advance(1)
  t.equal(breaker.wouldAdmit, true)
  t.same(breaker.admit(), { pass: true, probe: true })
  t.same(breaker.admit(), { pass: false, reason: 'probing' })
  breaker.succeeded()
  t.same(breaker.admit(), { pass: true, probe: false })
  t.same(changes, ['open', 'half-open', 'closed'])
})

t.test('a probe that fails makes the next pause longer, up to a limit', async (t) => {
  const { clock, breaker } = watchedBreaker()
  for (let n = 0; n < 3; n++) breaker.failed()
  for (const pauseMs of [500, 1000, 1500, 1500]) {
    clock.advance(pauseMs - 1)
    t.equal(breaker.admit().pass, false)
    clock.advance(1)
    t.equal(breaker.admit().pass, true)
    breaker.failed()
  }
  clock.advance(1500)
  breaker.admit()
  breaker.succeeded()
  for (let n = 0; n < 3; n++) breaker.failed()
  clock.advance(500)
  t.equal(breaker.admit().pass, true, 'a success shortens the pause again')
})

t.test('a probe that nobody reports on is replaced by another', async (t) => {
  const { clock, breaker } = watchedBreaker()
  for (let n = 0; n < 3; n++) breaker.failed()
  clock.advance(500)
  t.equal(breaker.admit().pass, true)
  clock.advance(1499)
  t.equal(breaker.admit().pass, false)
  clock.advance(1)
  t.equal(breaker.admit().pass, true)
})

t.test('a failure that says it all opens the circuit at once, and a sign of life ends the pause', async (t) => {
  const { clock, breaker, changes } = watchedBreaker()
  breaker.stirred()
  breaker.tripped()
  t.equal(breaker.state, 'open')
  t.equal(breaker.admit().pass, false)
  breaker.stirred()
  t.same(breaker.admit(), { pass: true, probe: true })
  breaker.stirred()
  t.same(breaker.admit(), { pass: false, reason: 'probing' }, 'one probe at a time')
  breaker.tripped()
  clock.advance(999)
  t.equal(breaker.admit().pass, false, 'a probe that fails makes the pause longer')
  clock.advance(1)
  t.equal(breaker.admit().pass, true)
  breaker.succeeded()
  t.same(changes, ['open', 'half-open', 'open', 'half-open', 'closed'])
})

t.test('answers that come late do not close an open circuit, a new connection does', async (t) => {
  const { breaker, changes } = watchedBreaker()
  for (let n = 0; n < 4; n++) breaker.failed()
  breaker.succeeded()
  t.equal(breaker.state, 'open')
  breaker.reset()
  t.same(changes, ['open', 'closed'])
})

t.test('pauses between attempts double up to their limit, with a little chance in them', async (t) => {
  t.same([1, 2, 3, 4, 5, 6, 50, 5000].map((attempt) => backoffMs(attempt, { random: () => 0 })), [50, 100, 200, 400, 800, 1000, 1000, 1000])
  t.equal(backoffMs(1, { baseMs: 10, maxMs: 100, random: () => 0.5 }), 15)
})

t.test('a task is tried again while its failure may pass', async (t) => {
  const clock = fakeClock()
  let runs = 0
  const flaky = async (): Promise<number> => { if (++runs < 3) throw new Error('not yet'); return runs }
  const result = retry(flaky, { clock, attempts: 5, random: () => 0 })
  for (let n = 0; n < 10; n++) { await settle(); clock.advance(1000) }
  t.equal(await result, 3)

  runs = 0
  const hopeless = t.rejects(retry(async () => { runs++; throw new Error('never') }, { clock, attempts: 2, random: () => 0 }), { message: 'never' })
  for (let n = 0; n < 10; n++) { await settle(); clock.advance(1000) }
  await hopeless
  t.equal(runs, 3)

  runs = 0
  await t.rejects(retry(async () => { runs++; throw new Error('wrong password') }, { clock, attempts: 9, random: () => 0, transient: () => false }), { message: 'wrong password' })
  t.equal(runs, 1)
})
