import { parseArgs } from 'node:util'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { messageOf, UnusableError } from './unusable.ts'

// npm start [-- --catalogue FILE --database FILE], with PORT and CACHE_ADMIN_TOKEN from the environment
const { PORT: port = '3000', CACHE_ADMIN_TOKEN: adminToken } = process.env

try {
  const { catalogue, database } = files()
  const app = await buildApp({ catalogue, database, adminToken, logger: { level: 'warn' } })
  const origin = await listen(app)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void app.close() })

  console.log(`Product Descriptions API on ${origin}
  curl -i ${origin}/products/1      twice: a miss, then a hit
  curl ${origin}/cache/stats        what the cache has done
  ${adminToken === undefined ? 'Set CACHE_ADMIN_TOKEN to get the guarded cache routes as well.' : `curl -H "authorization: Bearer $CACHE_ADMIN_TOKEN" "${origin}/cache/explain?url=/products/1"`}`)
} catch (error) {
  if (!isForTheUser(error)) throw error
  console.error(messageOf(error))
  process.exitCode = 1
}

function files (): { catalogue?: string, database?: string } {
  try {
    return parseArgs({ options: { catalogue: { type: 'string' }, database: { type: 'string' } } }).values
  } catch (error) {
    throw new UnusableError(messageOf(error))
  }
}

async function listen (app: FastifyInstance): Promise<string> {
  try {
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new UnusableError(`PORT is ${JSON.stringify(port)}, must be a number from 0 to 65535`)
    return await app.listen({ port: Number(port), host: '127.0.0.1' })
  } catch (error) {
    await app.close()
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE') throw new UnusableError(`Port ${port} is taken; end what listens there, or choose another: PORT=3001 npm start`)
    if (code === 'EACCES') throw new UnusableError(`Port ${port} may not be used; choose one above 1023: PORT=3000 npm start`)
    throw error
  }
}

/** Settings of the cache can be wrong, too: its errors say what is allowed. */
function isForTheUser (error: unknown): boolean {
  return error instanceof UnusableError || (error instanceof Error && 'code' in error && String(error.code).startsWith('FST_ERR_CACHE_'))
}
