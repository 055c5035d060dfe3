/*
 * What do the metrics cost on a hit? The listener alone, the event on its way to it, and for comparison the same figures
 * kept by prom-client itself, which looks up the labels each time. Ratios are of the same run.
 */
import { Counter, Histogram, Registry } from 'prom-client'
import { EventTally } from '../lib/engine/event-tally.ts'
import { CacheEventHub, type CacheEvents } from '../lib/events.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 1_000_000)
const routes = Array.from({ length: 20 }, (_, index) => `/route-${index}/:id`)

function hitOn (route: string): CacheEvents['lookup'] {
  return { key: '', result: 'hit', atMs: Date.now(), durationMs: 0.004, namespace: '', route, reason: 'fresh' }
}

/** The best of three, so that a busy machine does not count. */
function nanosecondsEach (work: (route: string) => void): number {
  let best = Infinity
  for (let run = 0; run < 4; run++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < ROUNDS; i++) work(routes[i % routes.length] as string)
    best = Math.min(best, Number(process.hrtime.bigint() - start) / ROUNDS)
  }
  return best
}

const silent = new CacheEventHub()
const heard = new CacheEventHub()
const tally = new EventTally()
tally.listen(heard)
const speak = (hub: CacheEventHub) => (route: string): void => { if (hub.heard('lookup')) hub.emit('lookup', hitOn(route)) }

const registry = new Registry()
const lookups = new Counter({ name: 'lookups_total', help: 'Lookups.', labelNames: ['cache', 'route', 'result'], registers: [registry] })
const times = new Histogram({ name: 'lookup_seconds', help: 'Times.', labelNames: ['cache', 'result'], registers: [registry] })

const nobody = nanosecondsEach(speak(silent))
const event = nanosecondsEach(speak(heard))
const direct = nanosecondsEach((route) => {
  lookups.inc({ cache: 'cache', route, result: 'hit' })
  times.observe({ cache: 'cache', result: 'hit' }, 0.000004)
})
if (tally.lookupTimes.hit.read().count !== 4 * ROUNDS) throw new Error('not every hit was counted')

console.log(`a hit that nobody listens to    ${nobody.toFixed(0)} ns`)
console.log(`a hit that is counted           ${event.toFixed(0)} ns`)
console.log(`the same with prom-client       ${direct.toFixed(0)} ns, ${(direct / event).toFixed(0)} times as much`)
