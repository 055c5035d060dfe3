import { errors, shown } from '../errors.ts'
import { backoffMs } from '../resilience/backoff.ts'
import type { EngineParts } from './parts.ts'
import type { WarmingJob, WarmingOutcome } from './warming-job.ts'
import { pauseFor, type Pace } from './warming-pace.ts'
import { warmingRequest, type InjectRequest, type WarmedResponse, type WarmingRequest, type WarmingTarget } from './warming-routes.ts'

export interface RouteWarming {
  readonly concurrency: number
  readonly headers: Readonly<Record<string, string>>
  readonly retries: number
}

const RETRY = { baseMs: 100, maxMs: 2000 }

/** Makes the requests of a warming, a few at a time. */
export class RouteWarmer {
  readonly #parts: EngineParts
  readonly #inject: InjectRequest
  readonly #options: RouteWarming

  constructor (parts: EngineParts, inject: InjectRequest, options: RouteWarming) {
    this.#parts = parts
    this.#inject = inject
    this.#options = options
  }

  async run (job: WarmingJob, pace: Pace, paths: Iterable<string | WarmingTarget>): Promise<WarmingOutcome> {
    if (typeof paths === 'string') throw new errors.FST_ERR_CACHE_OPTION('paths', shown(paths), 'a list of paths')
    const left = paths[Symbol.iterator]()
    const walk = async (): Promise<void> => {
      while (!job.signal.aborted) {
        const next = left.next()
        if (next.done === true) return
        await this.#warm(job, typeof next.value === 'string' ? { path: next.value } : next.value)
        job.tell()
        await pace.breathe(job.signal)
      }
    }
    await Promise.all(Array.from({ length: this.#options.concurrency }, walk))
    return job.outcome
  }

  async #warm (job: WarmingJob, target: WarmingTarget): Promise<void> {
    const key = shown(target?.path)
    let request: WarmingRequest
    try {
      request = warmingRequest(target, this.#options.headers, job.signal)
    } catch (error) {
      job.count('failed', { key, error })
      return
    }
    for (let attempt = 1; ; attempt++) {
      const end = await this.#ask(request)
      if (job.signal.aborted && 'error' in end) return
      const again = attempt <= this.#options.retries && ('error' in end || end.statusCode >= 500)
      if (!again) {
        if ('statusCode' in end) job.countStatus(end.statusCode)
        if ('error' in end) job.count('failed', { key, error: end.error })
        else if (end.statusCode >= 400) job.count('failed', { key, error: `status ${end.statusCode}` })
        else if (end.refused !== undefined) job.count(end.refused === 'purged' ? 'skipped' : 'failed', { key, error: `not stored: ${end.refused}` })
        else job.count('stored')
        return
      }
      await pauseFor(this.#parts.clock, backoffMs(attempt, { ...RETRY, random: this.#parts.random }), job.signal)
    }
  }

  /**
   * A handler that hangs, or a cancelled job, ends the wait for the answer. Each request has a signal of its own: whoever
   * is given one may listen to it for ever.
   */
  async #ask (request: WarmingRequest): Promise<WarmedResponse | { readonly error: unknown }> {
    const { clock, warming, defaults: { loadTimeoutMs } } = this.#parts
    const controller = new AbortController()
    const { signal } = controller
    const givenUp = new Promise<{ error: unknown }>((resolve) => {
      signal.addEventListener('abort', () => { resolve({ error: signal.reason as unknown }) }, { once: true })
    })
    const cancel = (): void => { controller.abort(request.signal.reason) }
    if (request.signal.aborted) cancel()
    request.signal.addEventListener('abort', cancel, { once: true })
    const timer = clock.after(loadTimeoutMs, () => { controller.abort(new errors.FST_ERR_CACHE_LOAD_TIMEOUT(request.url, loadTimeoutMs)) }, { keepAlive: true })
    const own = { ...request, signal }
    const answer = warming.during({ request: own }, async () => await this.#inject(own)).catch((error: unknown) => ({ error }))
    try {
      return await Promise.race([givenUp, answer])
    } finally {
      timer.cancel()
      request.signal.removeEventListener('abort', cancel)
    }
  }
}
