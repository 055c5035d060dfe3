/*
 * What does a miss cost? CPU time per request of the server process for requests of which no two are the same, beside the
 * same route without a cache: a list of 20 products from an embedded SQL database, a search in 194 of them, in ten times as
 * many, and a handler that does nothing.
 *
 *   npm run build && node --import=tsx bench/http-miss.ts
 */
import { cpuOfProcesses, printCosts } from './support/load.ts'

const PROCESSES = Number(process.env['PROCESSES'] ?? 6)
const REQUESTS = Number(process.env['REQUESTS'] ?? 10_000)

/** Only the servers with this in their names. */
const ONLY = process.env['ONLY'] ?? ''

const names = ['list, uncached', 'list, missed', 'list, missed, no dependencies', 'search, uncached', 'search, missed', 'search in ten times as many, uncached', 'search in ten times as many, missed', 'nothing, uncached', 'nothing, missed'].filter((name) => name.includes(ONLY))
const costs = await cpuOfProcesses(names, { processes: PROCESSES, requests: REQUESTS, pathOf: (n) => `/product?n=${n}` })
printCosts(costs, names[0] ?? '', `${PROCESSES} processes of each, ${REQUESTS} requests; median (best)`)
