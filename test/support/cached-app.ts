import Fastify, { type FastifyInstance, type FastifyServerOptions, type LightMyRequestResponse } from 'fastify'
import cache, { type CachePluginOptions } from '../../plugins/index.ts'
import { fakeClock, type FakeClock } from './fake-clock.ts'

export interface CachedApp { app: FastifyInstance, clock: FakeClock }

/** An app with the plugin, a clock moved by hand, and no jitter. */
export async function cachedApp (options: CachePluginOptions = {}, server: FastifyServerOptions = {}): Promise<CachedApp> {
  const clock = fakeClock()
  const app: FastifyInstance = Fastify(server)
  await app.register(cache, { clock, random: () => 0, metrics: false, exposeStats: false, ...options })
  return { app, clock }
}

/** What the cache said of itself, without its name. */
export function cacheStatus (response: Pick<LightMyRequestResponse, 'headers'>): string {
  return String(response.headers['cache-status'] ?? '').replace(/^fastify-response-cache;/, '')
}

export interface Deferred<T = void> { promise: Promise<T>, resolve: (value: T) => void, reject: (error: unknown) => void }

export function deferred<T = void> (): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((_resolve, _reject) => {
    resolve = _resolve
    reject = _reject
  })
  return { promise, resolve, reject }
}

/** Lets everything run that is ready to: `rounds` turns of the event loop. */
export async function turns (rounds = 5): Promise<void> {
  for (let i = 0; i < rounds; i++) await new Promise((resolve) => { setImmediate(resolve) })
}
