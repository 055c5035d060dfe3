import { toMs, type Milliseconds, type Seconds } from '../clock.ts'
import { errors, shown } from '../errors.ts'
import type { Leases } from '../ports/leases.ts'
import { refuseUnknown } from '../unknown-option.ts'
import type { HotList } from './hot-list.ts'
import { checkHost, type CacheHost } from './host.ts'
import { Fill } from './fill.ts'
import { FleetTurns, type FleetWork } from './fleet-turn.ts'
import { durationMs, type StoreOptions } from './load-options.ts'
import { checkDataWarming, DataWarmer } from './warming-data.ts'
import { WarmingJob, type WarmingListener, type WarmingOutcome, type WarmingReport } from './warming-job.ts'
import { Pace, type LoopMonitor } from './warming-pace.ts'
import { RouteWarmer } from './warming-requests.ts'
import type { InjectRequest, WarmingTarget } from './warming-routes.ts'
import type { WarmingSource } from './warming-rows.ts'

/** What a warming service may be given. */
export interface WarmingDeps {
  /** Runs requests for `warmRoutes`; the plugin hands in the application's `inject`. */
  readonly inject?: InjectRequest
  /** Let one instance of a fleet warm while the others go without; `false`: every instance warms. @default those of the manager, which it has where there is Redis */
  readonly leases?: Pick<Leases, 'acquire'> | false
  /** Watches the event loop. @default that of this process */
  readonly watch?: () => LoopMonitor
  /** Delay of the event loop, in milliseconds, above which warming pauses. @default 30 */
  readonly maxLoopDelayMs?: Milliseconds
}

interface JobOptions {
  /** A second warming of a name joins the one that runs. @default the key pattern; `routes`; `learned` */
  name?: string
  /** Warm although another instance is at it, or has just done it. @default false */
  force?: boolean
  /** Cancels the warming. */
  signal?: AbortSignal
  onProgress?: WarmingListener
}

export interface WarmCacheOptions<T = unknown> extends StoreOptions<T>, JobOptions {
  /** Rows stored at a time. @default config `warmingBatchSize` */
  batchSize?: number
  /** Batches stored at the same time. @default 2 */
  concurrency?: number
  /** How often a source that throws, or a store that is away, is tried again. @default 2 */
  retries?: number
  /** Part of the ttl, 0 to 1, by which it is shortened at random. @default config `ttlJitter` */
  jitter?: number
}

export interface WarmRoutesOptions extends JobOptions {
  /** Requests at the same time. @default 4 */
  concurrency?: number
  /** Request headers, such as those that the responses vary on. @default none */
  headers?: Readonly<Record<string, string>>
  /** How often a request that fails is tried again. @default 1 */
  retries?: number
}

export interface WarmLearnedOptions extends WarmRoutesOptions {
  /** Seconds after which warming ends, wherever it is. @default 10 */
  timeBudget?: Seconds
}

const DEPS: ReadonlySet<string> = new Set<keyof WarmingDeps>(['inject', 'leases', 'watch', 'maxLoopDelayMs'])
const JOB_OPTIONS = ['name', 'force', 'signal', 'onProgress'] as const satisfies ReadonlyArray<keyof JobOptions>
const DATA_OPTIONS: ReadonlySet<string> = new Set<keyof WarmCacheOptions>([...JOB_OPTIONS, 'ttl', 'staleWhileRevalidate', 'staleIfError', 'tags', 'batchSize', 'concurrency', 'retries', 'jitter'])
const ROUTE_OPTIONS: ReadonlySet<string> = new Set<keyof WarmRoutesOptions>([...JOB_OPTIONS, 'concurrency', 'headers', 'retries'])
const LEARNED_OPTIONS: ReadonlySet<string> = new Set([...ROUTE_OPTIONS, 'timeBudget' satisfies keyof WarmLearnedOptions])
const MAX_ENDED_JOBS = 20

/**
 * Fills the cache before anybody asks. Warming never gets in the way: it pauses while the event loop is busy, its
 * failures are counted and reported but never thrown, and it overwrites nothing that a purge has meanwhile taken out.
 *
 * ```ts
 * const warming = new CacheWarmingService(cache)
 * const { stored, failed } = await warming.warmCache(() => database.allProducts(), 'products', { batchSize: 50 })
 * ```
 */
export class CacheWarmingService {
  readonly #host: CacheHost
  readonly #deps: WarmingDeps
  readonly #turns: FleetTurns
  /** The running jobs and the last ended ones, by id. */
  readonly #jobs = new Map<string, WarmingJob>()
  #closed = false

  /** @throws FST_ERR_CACHE_OPTION_UNKNOWN */
  constructor (manager: CacheHost, deps: WarmingDeps = {}) {
    refuseUnknown(deps, DEPS)
    this.#host = checkHost(manager)
    this.#deps = deps
    const { leases = manager.parts.leases } = deps
    this.#turns = new FleetTurns(manager.parts, leases === false ? undefined : leases)
  }

  /**
   * Stores what a source yields under `<keyPattern>:<key>`. In a fleet one instance does, and the others end as `elsewhere`: while
   * it is at it, and for five minutes (the ttl, if that is less) after it has stored all.
   * @param options or the batch size
   * @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN; a source that fails is reported, not thrown
   */
  async warmCache<T> (source: WarmingSource<T>, keyPattern: string, options: WarmCacheOptions<T> | number = {}): Promise<WarmingReport> {
    return await this.startWarmCache(source, keyPattern, options).report
  }

  /** The same as a job to watch and to cancel. */
  startWarmCache<T> (source: WarmingSource<T>, keyPattern: string, options: WarmCacheOptions<T> | number = {}): WarmingJob {
    const all: WarmCacheOptions<T> = typeof options === 'number' ? { batchSize: options } : options
    refuseUnknown(all, DATA_OPTIONS)
    const { name = keyPattern, signal, onProgress, force, ...given } = all
    const { parts, config } = this.#host
    const warming = { batchSize: config.warmingBatchSize, concurrency: 2, retries: 2, jitter: parts.defaults.jitter, ...given }
    checkDataWarming(keyPattern, warming)
    const leaves = { keyPattern, lifeMs: typeof warming.ttl === 'number' ? toMs(warming.ttl) : parts.defaults.ttlMs }
    const atCall = new Fill(parts)
    return this.#start(name, { signal, onProgress, force, leaves }, async (job, pace) => await new DataWarmer(job, parts, pace, keyPattern, warming).run(source, atCall))
  }

  /**
   * Requests paths of this application, so that their responses are stored as if a client had asked: through all hooks
   * and serialisers. Anything but a clean path is refused and counts as failed.
   */
  async warmRoutes (paths: Iterable<string | WarmingTarget>, options: WarmRoutesOptions = {}): Promise<WarmingReport> {
    return await this.startWarmRoutes(paths, options).report
  }

  /** The same as a job to watch and to cancel. */
  startWarmRoutes (paths: Iterable<string | WarmingTarget>, options: WarmRoutesOptions = {}): WarmingJob {
    refuseUnknown(options, ROUTE_OPTIONS)
    const { name = 'routes', ...rest } = options
    const warmer = this.#routeWarmer(rest)
    return this.#start(name, rest, async (job, pace) => {
      if (Array.isArray(paths)) job.expect(paths.length)
      return await warmer.run(job, pace, paths)
    })
  }

  /** Fetches what was asked for most before: data that Redis still has, and responses. Ends within its time budget. */
  async warmLearned (hot: HotList, options: WarmLearnedOptions = {}): Promise<WarmingReport> {
    return await this.startWarmLearned(hot, options).report
  }

  /** The same as a job to watch and to cancel. */
  startWarmLearned (hot: HotList, options: WarmLearnedOptions = {}): WarmingJob {
    refuseUnknown(options, LEARNED_OPTIONS)
    const { name = 'learned', timeBudget = 10, ...rest } = options
    const budgetMs = durationMs('timeBudget', timeBudget)
    const warmer = this.#deps.inject === undefined ? undefined : this.#routeWarmer(rest)
    const { clock, store } = this.#host.parts
    return this.#start(name, rest, async (job, pace) => {
      const timer = clock.after(budgetMs, () => { job.cancel('out-of-time') })
      try {
        const { keys, targets } = hot.top()
        job.expect(keys.length + (warmer === undefined ? 0 : targets.length))
        const size = this.#host.config.warmingBatchSize
        for (let at = 0; at < keys.length && !job.signal.aborted; at += size) {
          for (const entry of await store.readMany(keys.slice(at, at + size), false)) job.count(entry === undefined ? 'skipped' : 'stored')
          job.tell()
          await pace.breathe(job.signal)
        }
        return warmer === undefined ? job.outcome : await warmer.run(job, pace, targets)
      } finally {
        timer.cancel()
      }
    })
  }

  /** The running warmings and the last ended ones, oldest first. */
  jobs (): WarmingJob[] {
    return [...this.#jobs.values()]
  }

  /** Cancels what runs, and waits for its end. */
  async close (): Promise<void> {
    this.#closed = true
    for (const job of this.#jobs.values()) job.cancel()
    await Promise.all([...this.#jobs.values()].map(async (job) => await job.report))
  }

  #routeWarmer ({ concurrency = 4, headers = {}, retries = 1 }: WarmRoutesOptions): RouteWarmer {
    const { inject } = this.#deps
    if (inject === undefined) throw new errors.FST_ERR_CACHE_OPTION('inject', shown(inject), 'given to the CacheWarmingService for warming routes')
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) throw new errors.FST_ERR_CACHE_OPTION('concurrency', shown(concurrency), 'a whole number, 1 or more')
    return new RouteWarmer(this.#host.parts, inject, { concurrency, headers, retries })
  }

  #start (name: string, { signal, onProgress, force = false, leaves }: Omit<JobOptions, 'name'> & Pick<FleetWork, 'leaves'>, work: (job: WarmingJob, pace: Pace) => Promise<WarmingOutcome>): WarmingJob {
    const running = [...this.#jobs.values()].find((job) => job.name === name && !job.ended)
    if (running !== undefined) {
      if (onProgress !== undefined) running.onProgress(onProgress)
      return running
    }
    if (this.#closed) throw new errors.FST_ERR_CACHE_CLOSED('warming')
    const { clock, dependencies } = this.#host.parts
    const job = dependencies.apart(() => new WarmingJob(name, clock, signal, async (self) => await this.#run(self, { name, force, leaves }, work)))
    if (onProgress !== undefined) job.onProgress(onProgress)
    this.#jobs.set(job.id, job)
    this.#forgetEnded()
    return job
  }

  async #run (job: WarmingJob, fleetWork: FleetWork, work: (job: WarmingJob, pace: Pace) => Promise<WarmingOutcome>): Promise<WarmingOutcome> {
    if (!this.#host.config.enableWarming) return 'disabled'
    if (job.signal.aborted) return job.outcome
    const turn = await this.#turns.take(fleetWork)
    if (turn === undefined) return 'elsewhere'
    const { watch, maxLoopDelayMs } = this.#deps
    const pace = new Pace({ clock: this.#host.parts.clock, ...watch && { watch }, ...maxLoopDelayMs !== undefined && { maxDelayMs: maxLoopDelayMs } })
    let done = false
    try {
      const outcome = await work(job, pace)
      done = outcome === 'completed' && job.progress.failed === 0
      return outcome
    } finally {
      pace.stop()
      await turn.end(done)
    }
  }

  #forgetEnded (): void {
    const ended = this.jobs().filter((job) => job.ended)
    for (const job of ended.slice(0, Math.max(0, ended.length - MAX_ENDED_JOBS))) this.#jobs.delete(job.id)
  }
}
