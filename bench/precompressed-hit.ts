/*
 * What does a hit cost whose client accepts brotli? CPU time per request of the server process for a 20 KB JSON response:
 * compressed ahead, compressed for each answer by @fastify/compress (with and without the cache), and not at all; with ACCEPT=gzip
 * beside an nginx that has the gzip ready in a file, if one is installed.
 *
 *   npm run build && node --import=tsx bench/precompressed-hit.ts
 */
import { cpuPerRequest, printCosts, startServer, type Target } from './support/load.ts'
import { startNginx } from './support/nginx.ts'
import { large } from './support/product.ts'

const ROUNDS = Number(process.env['ROUNDS'] ?? 16)
const REQUESTS = Number(process.env['REQUESTS'] ?? 300)
const fields = [`Accept-Encoding: ${process.env['ACCEPT'] ?? 'br'}`]

console.log(`${Buffer.byteLength(JSON.stringify(large))} bytes of JSON, ${fields[0] ?? ''}`)
const targets: Target[] = []
for (const name of ['large, compressed', 'large, cached and compressed', 'large, precompressed', 'large, bare']) targets.push(await startServer(name))
const nginx = await startNginx('nginx, gzip_static', JSON.stringify(large))
if (nginx !== undefined) targets.push(nginx)
for (const target of targets) {
  const ask = async (): Promise<Response> => await fetch(`http://127.0.0.1:${target.port}/product`, { headers: { 'accept-encoding': process.env['ACCEPT'] ?? 'br' } })
  await (await ask()).text()
  const { headers } = await ask()
  console.log(`${target.name.padEnd(32)} ${headers.get('content-encoding') ?? 'identity'}, ${headers.get('content-length') ?? '?'} bytes, ${headers.get('cache-status') ?? 'no cache'}`)
}
const costs = await cpuPerRequest(targets, { rounds: ROUNDS, requests: REQUESTS, pathOf: () => '/product', fields })
for (const target of targets) target.stop()
printCosts(costs, ['large, precompressed'], `${ROUNDS} turns of ${REQUESTS} requests; median (quiet tenth)`)
