import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Ambient } from '../lib/ambient.ts'
import type { EngineParts } from '../lib/engine/parts.ts'

interface OwnRequest<Purpose> {
  readonly purpose: Purpose
  readonly url: string
  /** Whether the request it is modelled on came over TLS; injected requests never seem to. */
  readonly encrypted: boolean
  /** The request that was made; whatever else is injected on its behalf has no purpose of ours. */
  request: FastifyRequest | undefined
}

/** What a request of our own looks like. */
export interface OwnRequestLike {
  /** The request that it comes from the same client as. */
  readonly model: FastifyRequest
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/**
 * Requests that the plugin makes of its own app, through `inject`, so that routing, hooks and serialisers are the real
 * ones, and no socket is opened. Their purpose travels in the asynchronous context, not in a header: no client can imitate it.
 */
export class OwnRequests<Purpose> {
  readonly #app: FastifyInstance
  readonly #parts: EngineParts
  readonly #made = new Ambient<OwnRequest<Purpose>>()
  readonly #open = new Set<AbortController>()

  constructor (app: FastifyInstance, parts: EngineParts) {
    this.#app = app
    this.#parts = parts
  }

  /** What this request was made for; `undefined` for the requests of clients, and for what a handler injects in turn. */
  purposeOf (request: FastifyRequest): Purpose | undefined {
    const own = this.#made.current
    if (own === undefined || own.url !== request.originalUrl) return undefined
    if (own.request === undefined) {
      own.request = request
      if (own.encrypted) Object.assign(request.raw.socket, { encrypted: true })
    }
    return own.request === request ? own.purpose : undefined
  }

  /** Makes a GET, apart from whatever is being built at the moment. @returns the status @throws when it takes too long */
  async make (purpose: Purpose, { model, url, headers }: OwnRequestLike): Promise<number> {
    const { clock, defaults, dependencies } = this.#parts
    const controller = new AbortController()
    const timer = clock.after(defaults.loadTimeoutMs, () => { controller.abort() })
    const own: OwnRequest<Purpose> = { purpose, url, encrypted: model.protocol === 'https', request: undefined }
    this.#open.add(controller)
    try {
      const { statusCode } = await dependencies.apart(() => this.#made.during(own, async () => await this.#app.inject({
        method: 'GET',
        url,
        headers: { ...headers },
        remoteAddress: model.socket.remoteAddress ?? '127.0.0.1',
        signal: controller.signal
      })))
      return statusCode
    } finally {
      timer.cancel()
      this.#open.delete(controller)
    }
  }

  /** Gives up all that are under way. */
  abandon (): void {
    for (const controller of this.#open) controller.abort()
  }
}
