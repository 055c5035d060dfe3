/*
 * What does a miss cost? CPU time per request of the server process for a handler that does real work and is never asked
 * the same twice, beside the same route without a cache; and the share of the dependency tracking.
 *
 *   npm run build && node --import=tsx bench/http-miss.ts
 */
import { cpuPerRequest, startServer } from './support/load.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 7)
const REQUESTS = Number(process.env['REQUESTS'] ?? 4000)

const targets = []
for (const name of ['work, uncached', 'work, missed', 'work, missed, no dependencies']) targets.push(await startServer(name))
const results = await cpuPerRequest(targets, { rounds: ROUNDS, requests: REQUESTS, pathOf: (n) => `/product?n=${n}` })
for (const target of targets) target.stop()

const uncached = results.get('work, uncached') ?? NaN
console.log(`median of ${ROUNDS} rounds of ${REQUESTS} requests, 16 connections`)
for (const [name, micros] of results) console.log(`${name.padEnd(32)} ${micros.toFixed(1).padStart(6)} µs CPU  ${(micros / uncached).toFixed(2)} × uncached`)
