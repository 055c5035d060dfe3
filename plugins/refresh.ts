import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Milliseconds } from '../lib/clock.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import { isFailure } from '../lib/http/staleness.ts'
import { repeatableHeaders } from './repeatable-headers.ts'
import type { RoutePolicy } from './route-options.ts'

/** A request that this plugin makes of its own app to renew what is stored. */
export interface RefreshJob {
  readonly key: string
  readonly url: string
  /** Whether the request that asked for it came over TLS; injected requests never seem to. */
  readonly encrypted: boolean
  /** The request that was made; whatever else is injected on its behalf is no refresh. */
  request: FastifyRequest | undefined
  /** Whether the new response has been stored. */
  kept: boolean
  /** Whether the handler failed, whatever stood in for it. */
  failed: boolean
}

/** How a refresh ended: stored; failed, so that what is stale may stand in; or answered with something that is not stored. */
export type RefreshEnd = 'kept' | 'failed' | 'refused'

/** How long closing waits for refreshes under way before it abandons them. */
const CLOSE_MS: Milliseconds = 1000

/**
 * Renews stored responses in the background, through `inject`, so that every hook and serialiser has its part in it. The
 * job travels in an AsyncLocalStorage, not in a header: no client can imitate it.
 */
export class Refresher {
  readonly #app: FastifyInstance
  readonly #parts: EngineParts
  readonly #credentials: readonly string[]
  readonly #timeoutMs: Milliseconds
  readonly #jobs = new AsyncLocalStorage<RefreshJob>()
  readonly #running = new Map<string, Promise<RefreshEnd>>()
  readonly #abandon = new Set<() => void>()
  #closed = false

  constructor (app: FastifyInstance, parts: EngineParts, options: { credentials: readonly string[], timeoutMs: Milliseconds }) {
    this.#app = app
    this.#parts = parts
    this.#credentials = options.credentials
    this.#timeoutMs = options.timeoutMs
  }

  /** The job that this request was made for; `undefined` for the requests of clients, and for what a handler injects in turn. */
  jobOf (request: FastifyRequest): RefreshJob | undefined {
    if (this.#running.size === 0) return undefined
    const job = this.#jobs.getStore()
    if (job === undefined || job.url !== request.originalUrl) return undefined
    if (job.request === undefined) {
      job.request = request
      if (job.encrypted) Object.assign(request.raw.socket, { encrypted: true })
    }
    return job.request === request ? job : undefined
  }

  /** Renews what is stored under `key`, once however many ask. Never rejects. */
  refresh (key: string, request: FastifyRequest, policy: RoutePolicy): Promise<RefreshEnd> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    if (this.#closed) return Promise.resolve('failed')
    const job: RefreshJob = { key, url: request.originalUrl, encrypted: request.protocol === 'https', request: undefined, kept: false, failed: false }
    const done = this.#parts.dependencies.apart(() => this.#jobs.run(job, async () => await this.#run(job, request, policy)))
      .finally(() => { this.#running.delete(key) })
    this.#running.set(key, done)
    return done
  }

  /** Starts no more jobs; waits a moment for those that run, and abandons the rest. */
  async close (): Promise<void> {
    this.#closed = true
    const timer = this.#parts.clock.after(CLOSE_MS, () => { for (const abandon of this.#abandon) abandon() })
    await Promise.all(this.#running.values())
    timer.cancel()
  }

  async #run (job: RefreshJob, request: FastifyRequest, policy: RoutePolicy): Promise<RefreshEnd> {
    const { clock, events } = this.#parts
    const controller = new AbortController()
    const abandon = (): void => { controller.abort() }
    const timer = clock.after(this.#timeoutMs, abandon)
    this.#abandon.add(abandon)
    try {
      const { statusCode } = await this.#app.inject({ method: 'GET', url: job.url, headers: this.#headersOf(request, policy), remoteAddress: request.socket.remoteAddress ?? '127.0.0.1', signal: controller.signal })
      return job.kept ? 'kept' : job.failed || isFailure(statusCode) ? 'failed' : 'refused'
    } catch (error) {
      if (!this.#closed) events.emit('fault', { where: `background refresh of ${policy.route}`, error })
      return 'failed'
    } finally {
      timer.cancel()
      this.#abandon.delete(abandon)
    }
  }

  /** The client's headers, without its conditions, and without its credentials where the response is for everybody. */
  #headersOf (request: FastifyRequest, policy: RoutePolicy): Record<string, string | string[] | undefined> {
    const headers = repeatableHeaders(request)
    if (policy.partition === undefined) {
      for (const name of this.#credentials) if (name !== 'cookie' || policy.cookies.length === 0) delete headers[name]
    }
    return headers
  }
}
