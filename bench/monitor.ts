/*
 * What does the monitor cost, and the sketch that the learned warming keeps of what is hot? Nanoseconds of CPU for each lookup
 * event, with and without it, for a memory of the default size; and what that is of a hit over HTTP, whose CPU time is measured
 * in the same run. Ratios are of the same run.
 */
import { CacheManager } from '../lib/cache-manager.ts'
import { CacheMonitor } from '../lib/engine/monitor/cache-monitor.ts'
import { HotList } from '../lib/engine/hot-list.ts'
import type { CacheEvents } from '../lib/events.ts'
import { load, startServer } from './support/load.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 200_000)
const REQUESTS = Number(process.env['REQUESTS'] ?? 10_000)

/** What is asked for: few keys are popular and many are rare. As in an application, each key is one piece of text. */
const keys = Array.from({ length: 5000 }, (_, n) => ['response:http://localhost/products', n].join('/'))
const asked = Uint16Array.from({ length: 65_536 }, () => keys.length ** Math.random())
const nowMs = Date.now()
const hit = (n: number): CacheEvents['lookup'] => ({ key: keys[asked[n & 65_535] ?? 0] ?? '', result: 'hit', atMs: nowMs, durationMs: 0.004, namespace: '', route: '/products/:id', reason: 'fresh' })

interface Contestant { readonly name: string, readonly speak: (event: CacheEvents['lookup']) => void, best: number }

function contestant (name: string, listen: (cache: CacheManager) => unknown): Contestant {
  const cache = new CacheManager({ strategy: 'memory' })
  listen(cache)
  return { name, speak: (event) => { cache.parts.events.emit('lookup', event) }, best: Infinity }
}

const watched = (study: boolean) => (cache: CacheManager): void => { new CacheMonitor(cache, { study }).recordMetric({ operation: 'bench', duration: 0 }) }
const sketched = contestant('an event for the hot list', (cache) => new HotList(cache))
const contestants = [contestant('an event that somebody hears', (cache) => cache.on('lookup', () => {})), sketched, contestant('counted by the monitor', watched(false)), contestant('and followed by the study', watched(true))]
for (let round = 0; round < 8; round++) {
  for (const each of contestants) {
    const start = process.cpuUsage()
    for (let i = 0; i < ROUNDS; i++) each.speak(hit(i))
    // The best of several, so that a busy machine does not count.
    const { user, system } = process.cpuUsage(start)
    each.best = Math.min(each.best, (user + system) * 1000 / ROUNDS)
  }
}
const silent = contestants[0]?.best ?? NaN
const whole = contestants.at(-1)?.best ?? NaN

const server = await startServer('public, no monitor')
await load(server.port, REQUESTS, () => '/product')
const before = await server.cpuMicros()
await load(server.port, REQUESTS, () => '/product')
const hitNanos = (await server.cpuMicros() - before) / REQUESTS * 1000
server.stop()

for (const { name, best } of contestants) console.log(`${name.padEnd(30)} ${best.toFixed(0).padStart(5)} ns`)
console.log(`a hit over HTTP                ${hitNanos.toFixed(0).padStart(5)} ns of CPU; the monitor is ${((whole - silent) / hitNanos * 100).toFixed(1)} % of it, the sketch of the learned warming ${((sketched.best - silent) / hitNanos * 100).toFixed(1)} %`)
