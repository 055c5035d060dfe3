/*
 * What does a miss cost? CPU time per request of the server process for requests of which no two are the same, beside the
 * same route without a cache: a list of 20 products from an embedded SQL database, a search in 194 of them, in ten and in twenty
 * times as many, and a handler that does nothing. `by hand` is the least that a cache can do.
 *
 *   npm run build && node --import=tsx bench/http-miss.ts
 */
import { cpuOfProcesses, printCosts } from './support/load.ts'

const PROCESSES = Number(process.env['PROCESSES'] ?? 6)
const REQUESTS = Number(process.env['REQUESTS'] ?? 10_000)

/** Only the handlers with this in their names. */
const ONLY = process.env['ONLY'] ?? ''

const handlers: Record<string, readonly string[]> = {
  list: ['uncached', 'missed', 'missed, no dependencies'],
  search: ['uncached', 'missed'],
  'search in ten times as many': ['uncached', 'by hand', 'missed'],
  'search in twenty times as many': ['uncached', 'missed'],
  nothing: ['uncached', 'missed']
}
for (const [handler, ways] of Object.entries(handlers)) {
  if (!handler.includes(ONLY)) continue
  const names = ways.map((way) => `${handler}, ${way}`)
  const costs = await cpuOfProcesses(names, { processes: PROCESSES, requests: REQUESTS, pathOf: (n) => `/product?n=${n}` })
  printCosts(costs, names[0] ?? '', `${PROCESSES} processes of each, ${REQUESTS} requests; median (best)`)
}
