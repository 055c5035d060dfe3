import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import cache, { type CachePluginOptions } from 'fastify-response-cache'
import { Redis } from 'ioredis'
import type t from 'tap'
import { loopClock, loopMs } from '../../support/loop-time.ts'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'
import { VersionTable } from './race.ts'

type Test = Pick<typeof t, 'comment' | 'ok' | 'equal' | 'same'>

/** Where two apps find the Redis that they share. */
export interface Sources { readonly here: CachePluginOptions, readonly there: CachePluginOptions }

/** Redis behind a network that can fail, and a line to it that does not. */
export interface Scene extends Sources { readonly server: TestRedis, readonly proxy: TcpProxy, readonly admin: Redis }

/** The app whose customers are watched, and the other one. */
export interface Apps { readonly app: FastifyInstance, readonly other: FastifyInstance }

export interface Outage<S extends Sources = Scene> {
  readonly inject: (scene: S, apps: Apps) => Promise<unknown> | void
  /** What heals by itself has none, or waits until it has. */
  readonly heal?: (scene: S) => Promise<unknown> | void
  readonly forMs?: number
  readonly options?: CachePluginOptions
  /** Of the other app alone. */
  readonly otherOptions?: CachePluginOptions
}

/** Of Redis: the default. */
const DEADLINE_MS = 200

/**
 * Whoever waited for Redis twice has waited longer. The handler takes nothing; what is left beside one deadline is for
 * the turns that an answer takes on a machine that is busy.
 */
export const TWICE_MS = 2 * DEADLINE_MS

/** A bare client looks for a Redis that is back every five seconds. */
const RECOVERY_MS = 5000

export interface OutageFigures {
  readonly requests: number
  /** Answers other than 200. */
  readonly failures: number
  readonly slowestMs: number
  /** From the end of the fault until Redis was used again. */
  readonly recoveryMs: number
  /** The same, from its beginning. */
  readonly lastedMs: number
  /** Answers that were older than a purge: at once in the process that made it, in the other once it could know. */
  readonly stale: readonly string[]
}

export const PREFIX = 'frc:'

/** An app whose route reads a database that lives in the test. */
export async function startApp (table: VersionTable, options: CachePluginOptions): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(cache, { strategy: 'hybrid', redisPrefix: PREFIX, ttlJitter: 0, clock: loopClock, ...options })
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
    here: { redisUrl: proxy.url },
    there: { redisUrl: server.url },
    stop: async () => {
      admin.disconnect()
      await proxy.close()
      await server.stop()
    }
  }
}

/** So many names lie on every node of a small Cluster. */
const PROBES = 12

/** Whether a purge that is made now reaches everybody, and entries that are stored now are in Redis. */
async function isShared (app: FastifyInstance, probe: number): Promise<boolean> {
  const { store, connection } = app.cache.parts
  if (connection?.ready !== true || app.cache.parts.log.state !== 'current') return false
  const errors = (): number => store.usage().find(({ tier }) => tier === 'redis')?.errors ?? 0
  const before = errors()
  const keys = Array.from({ length: PROBES }, (_, n) => `probe:${probe}:${n}`)
  const stored = await Promise.all(keys.map(async (key) => await app.cache.set(key, 1, 60)))
  return stored.every(Boolean) && errors() === before && (await app.cache.invalidate({ keys })).reach === 'everywhere'
}

const CUSTOMERS = 8

/** Customers come all the time; Redis fails and comes back; products change meanwhile, in both apps. */
export async function suffer<S extends Sources> (scene: S, { inject, heal = () => {}, forMs = 800, options = {}, otherOptions = {} }: Outage<S>): Promise<OutageFigures> {
  const table = new VersionTable()
  const app = await startApp(table, { ...scene.here, ...options })
  const other = await startApp(table, { ...scene.there, ...options, ...otherOptions })
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
  const change = async (by: FastifyInstance, key: string): Promise<void> => {
    const version = table.update(key)
    await by.cache.invalidate({ tags: [key] })
    if (await get(by, key) < version) stale.push(`${key} right after its purge`)
  }
  let customers: Array<Promise<void>> = []
  try {
    for (const key of ['here', 'there']) for (const one of [app, other]) await get(one, key)
    let probes = 0
    await until('both use Redis', async () => await isShared(app, ++probes) && await isShared(other, ++probes))
    requests = 0
    slowestMs = 0
    customers = Array.from({ length: CUSTOMERS }, async (_, name) => { await customer(name) })
    await allServed(1)
    const brokenAt = loopMs()
    await inject(scene, { app, other })
    // So long the fault lasts at least, in the time by which deadlines are kept.
    const half = async (): Promise<void> => { await new Promise<void>((resolve) => { loopClock.after(forMs / 2, resolve) }) }
    await Promise.all([half(), allServed(2)])
    await Promise.all([change(app, 'here'), change(other, 'there')])
    await Promise.all([half(), allServed(2)])
    await heal(scene)
    const healedAt = loopMs()
    await until('Redis is used again', async () => await isShared(app, ++probes))
    const recoveryMs = loopMs() - healedAt
    const lastedMs = loopMs() - brokenAt
    day.abort()
    await Promise.all(customers)
    for (const [from, to, key] of [[app, other, 'here'], [other, app, 'there']] as const) {
      await until('the other process has the news', async () => from.cache.parts.log.queued === 0 && await to.cache.parts.log.sync())
      if (await get(to, key) < table.read(key)) stale.push(`${key}, in the other process, after the recovery`)
    }
    return { requests, failures, slowestMs, recoveryMs, lastedMs, stale }
  } finally {
    // A fault that was not overcome must not keep this process alive.
    day.abort()
    await Promise.allSettled(customers)
    await app.close()
    await other.close()
  }
}

/** Suffers it, prints the figures, and looks whether a customer has noticed. */
export async function unnoticed<S extends Sources> (t: Test, scene: S, outage: Outage<S>): Promise<void> {
  const { requests, failures, slowestMs, recoveryMs, lastedMs, stale } = await suffer(scene, outage)
  t.comment(`${requests} requests, slowest ${slowestMs} ms, used again ${recoveryMs} ms after the fault, ${lastedMs} ms after it began`)
  t.ok(requests > 20)
  t.equal(failures, 0)
  t.ok(slowestMs < TWICE_MS, 'nobody has waited for Redis twice')
  t.ok(recoveryMs < RECOVERY_MS)
  t.same(stale, [])
}
