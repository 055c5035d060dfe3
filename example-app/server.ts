import { parseArgs } from 'node:util'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { messageOf, UnusableError } from './unusable.ts'

// npm start [-- --catalogue FILE --database FILE --hot-list FILE], with PORT and CACHE_ADMIN_TOKEN from the environment
const { PORT = '3000', CACHE_ADMIN_TOKEN: adminToken } = process.env

try {
  const port = portOf(PORT)
  const { catalogue, database, 'hot-list': hotList } = files()
  const app = await buildApp({ catalogue, database, hotList, host: `127.0.0.1:${port}`, adminToken, logger: { level: 'warn' } })
  const origin = await listen(app, port)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void app.close() })

  const guarded = `curl -H "authorization: Bearer $CACHE_ADMIN_TOKEN" "${origin}/cache/explain?url=/products/1"
  ${origin}/cache/dashboard      in a browser; it asks for the token`
  console.log(`Product Descriptions API on ${origin}
  curl -i ${origin}/products/1      twice: a miss, then a hit
  curl ${origin}/cache/stats        what the cache has done
  ${adminToken === undefined ? 'Set CACHE_ADMIN_TOKEN to get the guarded cache routes as well.' : guarded}`)
} catch (error) {
  if (!isForTheUser(error)) throw error
  console.error(messageOf(error))
  process.exitCode = 1
}

function files (): { catalogue?: string, database?: string, 'hot-list'?: string } {
  try {
    return parseArgs({ options: { catalogue: { type: 'string' }, database: { type: 'string' }, 'hot-list': { type: 'string' } } }).values
  } catch (error) {
    throw new UnusableError(messageOf(error))
  }
}

function portOf (text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new UnusableError(`PORT is ${JSON.stringify(text)}, must be a number from 0 to 65535`)
  return Number(text)
}

async function listen (app: FastifyInstance, port: number): Promise<string> {
  try {
    return await app.listen({ port, host: '127.0.0.1' })
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
