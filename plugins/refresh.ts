import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Milliseconds } from '../lib/clock.ts'
import type { Entry } from '../lib/entry.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { Found } from '../lib/engine/response-cache.ts'
import { isFailure } from '../lib/http/staleness.ts'
import { OwnRequests } from './own-requests.ts'
import { repeatableHeaders } from './repeatable-headers.ts'
import type { RoutePolicy } from './route-options.ts'

/** A request that this plugin makes of its own app to renew what is stored. */
export interface RefreshJob {
  readonly key: string
  /** What was found, and is to be renewed. */
  readonly renewed: Entry | undefined
  /** Whether the new response has been stored. */
  kept: boolean
  /** Whether the handler failed, whatever stood in for it. */
  failed: boolean
}

/** The request by which somebody came upon what is to be renewed. */
export interface Asker { readonly key: string, readonly request: FastifyRequest, readonly policy: RoutePolicy }

/** How a refresh ended: stored; failed, so that what is stale may stand in; or answered with something that is not stored. */
export type RefreshEnd = 'kept' | 'failed' | 'refused'

/** How long closing waits for refreshes under way before it abandons them. */
const CLOSE_MS: Milliseconds = 1000

/** Renews stored responses in the background, by requests of the plugin's own. */
export class Refresher {
  readonly #parts: EngineParts
  readonly #credentials: readonly string[]
  readonly #requests: OwnRequests<RefreshJob>
  readonly #running = new Map<string, Promise<RefreshEnd>>()
  #closed = false

  constructor (app: FastifyInstance, parts: EngineParts, options: { credentials: readonly string[] }) {
    this.#parts = parts
    this.#credentials = options.credentials
    this.#requests = new OwnRequests(app, parts)
  }

  /** The job that this request was made for; `undefined` for the requests of clients, and for what a handler injects in turn. */
  jobOf (request: FastifyRequest): RefreshJob | undefined {
    return this.#requests.purposeOf(request)
  }

  /** Renews what a request has found, of the variants of its URL its own, once however many ask. Never rejects. */
  refresh ({ key, request, policy }: Asker, found: Found): Promise<RefreshEnd> {
    const running = this.#running.get(found.key)
    if (running !== undefined) return running
    if (this.#closed) return Promise.resolve('failed')
    const done = this.#run({ key, renewed: found.entry, kept: false, failed: false }, request, policy).finally(() => { this.#running.delete(found.key) })
    this.#running.set(found.key, done)
    return done
  }

  /** Starts no more jobs; waits a moment for those that run, and abandons the rest. */
  async close (): Promise<void> {
    this.#closed = true
    const timer = this.#parts.clock.after(CLOSE_MS, () => { this.#requests.abandon() }, { keepAlive: true })
    await Promise.all(this.#running.values())
    timer.cancel()
  }

  async #run (job: RefreshJob, request: FastifyRequest, policy: RoutePolicy): Promise<RefreshEnd> {
    try {
      const status = await this.#requests.make(job, { model: request, url: request.originalUrl, headers: this.#headersOf(request, policy) })
      return job.kept ? 'kept' : job.failed || isFailure(status) ? 'failed' : 'refused'
    } catch (error) {
      if (!this.#closed) this.#parts.events.emit('fault', { where: `background refresh of ${policy.route}`, error })
      return 'failed'
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
