import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import cache, { type CachePluginOptions } from 'fastify-response-cache'
import { Redis } from 'ioredis'
import { loopClock, loopMs } from '../../support/loop-time.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'
import { VersionTable } from './race.ts'

/** Redis behind a network that can fail, and a line to it that does not. */
export interface Scene { readonly server: TestRedis, readonly proxy: TcpProxy, readonly admin: Redis }

export interface Outage {
  readonly inject: (scene: Scene) => Promise<unknown> | void
  readonly heal: (scene: Scene) => Promise<unknown> | void
  readonly forMs?: number
  readonly options?: CachePluginOptions
}

export interface OutageFigures {
  readonly requests: number
  /** Answers other than 200. */
  readonly failures: number
  readonly slowestMs: number
  /** From the end of the fault until Redis was used again. */
  readonly recoveryMs: number
  /** Answers that were older than a purge: at once in the process that made it, in the other once it could know. */
  readonly stale: readonly string[]
}

/** An app whose route reads a database that lives in the test. */
export async function startApp (table: VersionTable, options: CachePluginOptions): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(cache, { strategy: 'hybrid', ttlJitter: 0, clock: loopClock, ...options })
  app.get<{ Params: { key: string } }>('/value/:key', { config: { cache: { ttl: 60, tags: ({ params }) => [String((params as { key: string }).key)] } } }, async ({ params: { key } }) => ({ version: table.read(key) }))
  await app.ready()
  return app
}

export async function startScene (args: readonly string[] = []): Promise<Scene & { readonly stop: () => Promise<void> }> {
  const server = await startRedis(args)
  const proxy = await startTcpProxy(server.port)
  const admin = new Redis(server.port, { retryStrategy: () => 100 })
  admin.on('error', () => {})
  return {
    server,
    proxy,
    admin,
    stop: async () => {
      admin.disconnect()
      await proxy.close()
      await server.stop()
    }
  }
}

/** Whether a purge that is made now reaches everybody, and an entry that is stored now is in Redis. */
async function isShared (app: FastifyInstance, probe: number): Promise<boolean> {
  const { store, connection } = app.cache.parts
  if (connection?.ready !== true || app.cache.parts.log.state !== 'current') return false
  const errors = (): number => store.usage().find(({ tier }) => tier === 'redis')?.errors ?? 0
  const before = errors()
  return await app.cache.set(`probe:${probe}`, 1, 60) && errors() === before && (await app.cache.invalidate({ keys: [`probe:${probe}`] })).reach === 'everywhere'
}

const CUSTOMERS = 8

/** Customers come all the time; Redis fails and comes back; a product changes meanwhile. */
export async function suffer (scene: Scene, { inject, heal, forMs = 800, options = {} }: Outage): Promise<OutageFigures> {
  const table = new VersionTable()
  const app = await startApp(table, { redisUrl: scene.proxy.url, ...options })
  const other = await startApp(table, { redisUrl: scene.server.url, ...options })
  const stale: string[] = []
  let requests = 0
  let failures = 0
  let slowestMs = 0
  const day = new AbortController()
  const get = async (from: FastifyInstance, key: string): Promise<number> => {
    const startedAt = loopMs()
    const response = await from.inject(`/value/${key}`)
    slowestMs = Math.max(slowestMs, loopMs() - startedAt)
    requests++
    if (response.statusCode !== 200) failures++
    return response.json<{ version: number }>().version
  }
  const visits: number[] = Array.from({ length: CUSTOMERS }, () => 0)
  const customer = async (name: number): Promise<void> => {
    for (let visit = 0; !day.signal.aborted; visit++) {
      await get(app, visit % 2 === 0 ? `hot${visit % 7}` : `cold${name}-${visit}`)
      visits[name] = visit + 1
      await sleep(15)
    }
  }
  /** A machine that is busy takes longer over as many. */
  const allServed = async (count: number): Promise<void> => {
    const before = [...visits]
    await until(`each customer is served ${count} times`, () => visits.every((visit, name) => visit >= (before[name] ?? 0) + count))
  }
  const change = async (key: string): Promise<void> => {
    const version = table.update(key)
    await app.cache.invalidate({ tags: [key] })
    if (await get(app, key) < version) stale.push(`${key} right after its purge`)
  }
  await get(app, 'changing')
  await get(other, 'changing')
  let probes = 0
  await until('both use Redis', async () => await isShared(app, ++probes) && await isShared(other, probes))
  requests = 0
  slowestMs = 0
  const customers = Array.from({ length: CUSTOMERS }, async (_, name) => { await customer(name) })
  await allServed(1)
  await inject(scene)
  // So long the fault lasts, at least.
  await Promise.all([sleep(forMs / 2), allServed(2)])
  await change('changing')
  await Promise.all([sleep(forMs / 2), allServed(2)])
  await heal(scene)
  const healedAt = performance.now()
  await until('Redis is used again', async () => await isShared(app, ++probes))
  const recoveryMs = performance.now() - healedAt
  day.abort()
  await Promise.all(customers)
  await until('the other process has the news', async () => await other.cache.parts.log.sync())
  if (await get(other, 'changing') < table.read('changing')) stale.push('changing, in the other process, after the recovery')
  await app.close()
  await other.close()
  return { requests, failures, slowestMs, recoveryMs, stale }
}
