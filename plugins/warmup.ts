import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import { HotList } from '../lib/engine/hot-list.ts'
import { createTextInCache } from '../lib/engine/text-in-cache.ts'
import type { WarmingReport } from '../lib/engine/warming-job.ts'
import { CacheWarmingService, type WarmingDeps } from '../lib/engine/warming-service.ts'
import { createWarmingRequests } from './warming-requests.ts'
import type { WarmupOptions } from './warmup-options.ts'

export type { WarmupOptions }

/** The warm-up of an application. */
export interface Warmup {
  readonly service: CacheWarmingService
  /** What is asked for most; `undefined` where nothing is learned. */
  readonly hot: HotList | undefined
  /** Whether it has ended: what a readiness probe waits for. Never longer than the time budget after the start. */
  readonly done: boolean
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<readonly WarmingReport[]>
  /** Cancels what runs and saves what was learned. */
  readonly close: () => Promise<void>
}

/** What a warm-up may be given. */
export interface WarmupDeps extends Omit<WarmingDeps, 'inject'> {
  /** Name of the route option of the cache. @default 'cache' */
  readonly name?: string
}

/**
 * Warms the application up by its own requests. They cannot run before it is ready (an `inject` in an onReady hook waits
 * for that very hook), so boot is not held up: it is the readiness probe that should wait for `done`.
 */
export function addWarmup (app: FastifyInstance, manager: CacheManager, options: WarmupOptions = {}, { name = 'cache', ...deps }: WarmupDeps = {}): Warmup {
  const { paths = [], learn = true, storage = createTextInCache(manager), timeBudget = 5, concurrency = 4 } = options
  const service = new CacheWarmingService(manager, { ...deps, inject: createWarmingRequests(app, manager.parts, name) })
  const hot = learn ? new HotList(manager, { storage }) : undefined
  let done = false
  let loaded = false
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
      // First, whatever becomes of the rest: what is saved at the end must contain what was known before.
      if (hot !== undefined) loaded = await hot.load()
      if (paths.length > 0) {
        const report = await service.warmRoutes(paths, { name: 'warm-up', concurrency, signal: cut.signal })
        reports.push(report)
        sayIfFailed(app.log, report)
      }
      if (hot !== undefined && !cut.signal.aborted) {
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
    hot,
    get done () { return done },
    ended,
    async close () {
      await service.close()
      if (hot === undefined) return
      hot.close()
      const { keys, targets } = hot.top()
      // A list that could not be read, and that nothing was added to, is not overwritten with an empty one.
      if (loaded || keys.length + targets.length > 0) await hot.save()
    }
  }
}

/** Paths that the program itself has named should be there; what was learned may be gone since. */
function sayIfFailed (log: FastifyBaseLogger, { failed, total, faults }: WarmingReport): void {
  if (failed === 0) return
  log.warn(`cache: ${failed} of ${total} paths of warmup.paths were not stored: ${faults.map(({ key, error }) => `${key} ${error instanceof Error ? error.message : String(error)}`).join(', ')}${failed > faults.length ? ', …' : ''}`)
}
