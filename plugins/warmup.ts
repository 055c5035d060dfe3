import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import type { Seconds } from '../lib/clock.ts'
import { HotList } from '../lib/engine/hot-list.ts'
import { createTextInCache } from '../lib/engine/text-in-cache.ts'
import type { WarmingReport } from '../lib/engine/warming-job.ts'
import type { InjectRequest, WarmingRequest, WarmingTarget } from '../lib/engine/warming-routes.ts'
import { CacheWarmingService, type WarmingDeps } from '../lib/engine/warming-service.ts'
import type { TextStorage } from '../lib/ports/text-storage.ts'

/** What is fetched as soon as the application is ready. */
export interface WarmupOptions {
  /** Paths of this application, the most important first. @default none */
  paths?: ReadonlyArray<string | WarmingTarget>
  /** Remember what is asked for most, and fetch that as well. @default true */
  learn?: boolean
  /** Where that is kept over a restart. @default the cache itself, which is of use where it is in Redis */
  storage?: TextStorage
  /** Seconds after which the warm-up ends, wherever it is. @default 5 */
  timeBudget?: Seconds
  /** Requests at the same time. @default 4 */
  concurrency?: number
}

/** The warm-up of an application. */
export interface Warmup {
  readonly service: CacheWarmingService
  /** Whether it has ended: what a readiness probe waits for. Never longer than the time budget after the start. */
  readonly done: boolean
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<readonly WarmingReport[]>
  /** Cancels what runs and saves what was learned. */
  readonly close: () => Promise<void>
}

/**
 * Warms the application up by its own requests. They cannot run before it is ready (an `inject` in an onReady hook waits
 * for that very hook), so boot is not held up: it is the readiness probe that should wait for `done`.
 */
export function addWarmup (app: FastifyInstance, manager: CacheManager, options: WarmupOptions = {}, deps: Omit<WarmingDeps, 'inject'> = {}): Warmup {
  const { paths = [], learn = true, storage = createTextInCache(manager), timeBudget = 5, concurrency = 4 } = options
  const service = new CacheWarmingService(manager, { ...deps, inject: injector(app) })
  const hot = learn ? new HotList(manager, { storage }) : undefined
  let done = false
  let finish = (_reports: readonly WarmingReport[]): void => {}
  const ended = new Promise<readonly WarmingReport[]>((resolve) => {
    finish = (reports) => {
      done = true
      resolve(reports)
    }
  })

  const run = async (): Promise<readonly WarmingReport[]> => {
    const { clock } = manager.parts
    const cut = new AbortController()
    const untilMs = clock.now() + timeBudget * 1000
    const timer = clock.after(timeBudget * 1000, () => { cut.abort() })
    const reports: WarmingReport[] = []
    try {
      if (paths.length > 0) reports.push(await service.warmRoutes(paths, { name: 'warm-up', concurrency, signal: cut.signal }))
      if (hot !== undefined && !cut.signal.aborted) {
        await hot.load()
        reports.push(await service.warmLearned(hot, { concurrency, timeBudget: Math.max(0, untilMs - clock.now()) / 1000 }))
      }
    } finally {
      timer.cancel()
    }
    return reports
  }

  app.addHook('onReady', async function cacheWarmup () {
    run().then(finish, (error: unknown) => {
      manager.parts.events.emit('fault', { where: 'warm-up', error })
      finish([])
    })
  })
  return {
    service,
    get done () { return done },
    ended,
    async close () {
      await service.close()
      if (hot === undefined) return
      hot.close()
      await hot.save()
    }
  }
}

/** Requests of the application to itself, which pass for TLS where they stand for such requests. */
function injector (app: FastifyInstance): InjectRequest {
  const requests = new AsyncLocalStorage<WarmingRequest>()
  app.addHook('onRequest', function cacheWarming (request, _reply, next) {
    const warming = requests.getStore()
    if (warming?.encrypted === true && warming.url === request.raw.url) Object.assign(request.raw.socket, { encrypted: true })
    next()
  })
  return async (warming) => await requests.run(warming, async () => await app.inject({ method: warming.method, url: warming.url, headers: { ...warming.headers }, signal: warming.signal }))
}
