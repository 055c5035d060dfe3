/*
 * What does a hit cost? CPU time per request of the server process for a 2 KB JSON response, beside a raw node:http
 * server that sends the same bytes and headers, a Fastify hook that does, the bare Fastify route, and other caches in the
 * handler. Each server is a process of its own on one core, the client is on the other; they take turns. How many times
 * that of another is within its round, where the machine is as fast for both: the middle of all rounds.
 *
 *   npm run build && node --import=tsx bench/http-hit.ts
 */
import { cpuByRound, load, median, pin, quantile, startServer, type Target } from './support/load.ts'

const PROCESSES = Number(process.env['PROCESSES'] ?? 6)
const ROUNDS = Number(process.env['ROUNDS'] ?? 20)
const REQUESTS = Number(process.env['REQUESTS'] ?? 1500)

const model = await startServer('public')
await load(model.port, 2, () => '/product', 1)
const response = await fetch(`http://127.0.0.1:${model.port}/product`)
const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'connection' && name !== 'keep-alive'))
const RAW_RESPONSE = JSON.stringify({ headers, body: await response.text() })
model.stop()

const others = process.env['ONLY']?.split('|') ?? ['hook', 'public', 'guarded', 'public, no metrics', 'public, no monitor', 'public, no Cache-Status', 'public, nothing else', 'async-cache-dedupe', 'bentocache', 'cacheable']
const names = ['raw', 'bare', ...others]
const samples = new Map<string, number[]>(names.map((name) => [name, []]))
pin(process.pid, 0)
for (let started = 0; started < PROCESSES; started++) {
  const targets: Target[] = []
  for (const name of names) {
    const target = await startServer(name, { RAW_RESPONSE })
    pin(target.pid, 1)
    targets.push(target)
  }
  const byRound = await cpuByRound(targets, { rounds: ROUNDS, requests: REQUESTS, pathOf: () => '/product' })
  for (const target of targets) target.stop()
  for (const [name, values] of byRound) samples.get(name)?.push(...values)
}
const quiet = (values: readonly number[]): number => quantile(values, 0.1)
const beside = (values: readonly number[], limit: string): string => {
  const limits = samples.get(limit) ?? []
  return `   ${median(values.map((value, round) => value / (limits[round] ?? NaN))).toFixed(2)} (${(quiet(values) / quiet(limits)).toFixed(2)})`
}
console.log(`${PROCESSES} processes of each, ${ROUNDS} turns of ${REQUESTS} requests in each, 16 connections; CPU µs per request, median (quiet tenth); × raw, × bare: middle of the rounds (of the quiet tenths)`)
for (const [name, values] of samples) console.log(`${name.padEnd(32)} ${median(values).toFixed(1).padStart(6)} (${quiet(values).toFixed(1)})${beside(values, 'raw')}${beside(values, 'bare')}`)
