/*
 * What does a miss cost? CPU time per request of the server process for requests of which no two are the same, beside the
 * same route without a cache: a list of 20 products from an embedded SQL database, a search in it, and a handler that does nothing.
 *
 *   npm run build && node --import=tsx bench/http-miss.ts
 */
import { cpuPerRequest, printCosts, startServers } from './support/load.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 40)
const REQUESTS = Number(process.env['REQUESTS'] ?? 400)

const targets = await startServers(['list, uncached', 'list, missed', 'list, missed, no dependencies', 'search, uncached', 'search, missed', 'nothing, uncached', 'nothing, missed'])
const costs = await cpuPerRequest(targets, { rounds: ROUNDS, requests: REQUESTS, pathOf: (n) => `/product?n=${n}` })
for (const target of targets) target.stop()
printCosts(costs, 'list, uncached', { rounds: ROUNDS, requests: REQUESTS })
