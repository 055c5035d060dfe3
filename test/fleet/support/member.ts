/*
 * One process of a fleet: a Fastify app with a cached route and cached data, both read from a database that lives in the
 * test. Does what it is told over IPC.
 */
import Fastify, { type FastifyInstance } from 'fastify'
import cache from 'fastify-response-cache'
import type { FromMember, Order, Replies, ToMember } from './orders.ts'

const unhandled: string[] = []
process.on('unhandledRejection', (error) => { unhandled.push(error instanceof Error ? error.stack ?? error.message : String(error)) })

const tell = (message: FromMember): void => { process.send?.(message) }

const questions = new Map<number, (version: number) => void>()
let asked = 0
async function askDatabase (key: string): Promise<number> {
  return await new Promise((resolve) => {
    questions.set(++asked, resolve)
    tell({ kind: 'ask', id: asked, key })
  })
}

let app: FastifyInstance = Fastify()
let handlerRuns = 0
let loaderRuns = 0

async function join ({ options, ttl = 60 }: Extract<Order, { op: 'join' }>): Promise<Replies['join']> {
  const startedAt = performance.now()
  app = Fastify({ forceCloseConnections: true })
  await app.register(cache, { ttlJitter: 0, ...options })
  app.get<{ Params: { key: string } }>('/value/:key', { config: { cache: { ttl, tags: ({ params }) => [`tag:${String((params as { key: string }).key)}`] } } }, async ({ params: { key } }) => {
    handlerRuns++
    return { version: await askDatabase(key) }
  })
  await app.ready()
  return { ms: performance.now() - startedAt }
}

async function get (url: string): Promise<Replies['get']> {
  const startedAt = performance.now()
  const response = await app.inject(url)
  return { status: response.statusCode, version: response.statusCode === 200 ? response.json<{ version: number }>().version : NaN, cacheStatus: String(response.headers['cache-status']), ms: performance.now() - startedAt }
}

async function crowd (url: string, size: number): Promise<Replies['crowd']> {
  const responses = await Promise.all(Array.from({ length: size }, async () => await get(url)))
  return {
    served: responses.length,
    statuses: [...new Set(responses.map(({ status }) => status))],
    versions: [...new Set(responses.map(({ version }) => version))],
    slowestMs: Math.max(...responses.map(({ ms }) => ms))
  }
}

async function data (key: string): Promise<number> {
  return await app.cache.getOrSet(`data:${key}`, async () => {
    loaderRuns++
    return await askDatabase(key)
  }, { ttl: 60, tags: [`tag:${key}`] })
}

async function obey (order: Order): Promise<Replies[keyof Replies]> {
  switch (order.op) {
    case 'join': return await join(order)
    case 'crowd': return await crowd(order.url, order.size)
    case 'get': return await get(order.url)
    case 'data': return await data(order.key)
    case 'purge': return (await app.cache.invalidate(order.purge)).reach
    case 'set': return await app.cache.set(`data:${order.key}`, order.value, 60)
    case 'sync': return await app.cache.parts.log.sync()
    case 'tell': {
      const { log, connection } = app.cache.parts
      const { hits, coalescedLoads: coalesced } = app.cache.getStats()
      globalThis.gc?.()
      return { ready: connection?.ready ?? false, logState: log.state, handlerRuns, loaderRuns, hits, coalesced, heapBytes: process.memoryUsage().heapUsed, unhandled }
    }
    case 'close': {
      const startedAt = performance.now()
      await app.close()
      return { ms: performance.now() - startedAt }
    }
  }
}

process.on('message', (message: ToMember) => {
  if (message.kind === 'version') {
    questions.get(message.id)?.(message.version)
    questions.delete(message.id)
    return
  }
  obey(message.order).then(
    (reply) => { tell({ kind: 'done', id: message.id, reply }) },
    (error: unknown) => { tell({ kind: 'failed', id: message.id, error: error instanceof Error ? error.stack ?? error.message : String(error) }) }
  )
})
process.on('disconnect', () => { process.exit(0) })
tell({ kind: 'up' })
