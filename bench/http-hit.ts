/*
 * What does a hit cost? CPU time per request of the server process for a 2 KB JSON response, beside a raw node:http
 * server that sends the same bytes and headers, the bare Fastify route, and other caches in the handler.
 *
 *   npm run build && node --import=tsx bench/http-hit.ts
 */
import { cpuOfProcesses, load, printCosts, startServer } from './support/load.ts'

const PROCESSES = Number(process.env['PROCESSES'] ?? 6)
const REQUESTS = Number(process.env['REQUESTS'] ?? 20_000)

const model = await startServer('public')
await load(model.port, 2, () => '/product', 1)
const response = await fetch(`http://127.0.0.1:${model.port}/product`)
const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'connection' && name !== 'keep-alive'))
const RAW_RESPONSE = JSON.stringify({ headers, body: await response.text() })
model.stop()

const others = process.env['ONLY']?.split('|') ?? ['public', 'guarded', 'public, no metrics', 'public, no monitor', 'public, no Cache-Status', 'public, nothing else', 'bare', 'async-cache-dedupe', 'bentocache', 'cacheable']
const costs = await cpuOfProcesses(['raw', ...others], { processes: PROCESSES, requests: REQUESTS, pathOf: () => '/product', env: { RAW_RESPONSE } })
printCosts(costs, 'raw', `${PROCESSES} processes of each, ${REQUESTS} requests; median (best)`)
