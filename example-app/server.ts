import { parseArgs } from 'node:util'
import { buildApp } from './app.ts'

// npm start [-- --catalogue FILE --database FILE], with PORT and CACHE_ADMIN_TOKEN from the environment
const { values: { catalogue, database } } = parseArgs({ options: { catalogue: { type: 'string' }, database: { type: 'string' } } })
const { PORT: port = '3000', CACHE_ADMIN_TOKEN: adminToken } = process.env

const app = await buildApp({ catalogue, database, adminToken, logger: { level: 'warn' } })
const origin = await app.listen({ port: Number(port), host: '127.0.0.1' })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void app.close() })

console.log(`Product Descriptions API on ${origin}
  curl -i ${origin}/products/1      twice: a miss, then a hit
  curl ${origin}/cache/stats        what the cache has done
  ${adminToken === undefined ? 'Set CACHE_ADMIN_TOKEN to get the guarded cache routes as well.' : `curl -H "authorization: Bearer $CACHE_ADMIN_TOKEN" "${origin}/cache/explain?url=/products/1"`}`)
