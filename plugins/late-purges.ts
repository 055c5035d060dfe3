import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { isSafeMethod } from '../lib/http/method.ts'
import { isStream } from './body-capture.ts'
import type { Miss } from './exchange.ts'
import { onReplyEnd } from './reply-end.ts'

/** Whatever `send` was given, as far as it is asked here. */
interface Source { readonly closed?: boolean, once?: (event: 'close', listener: () => void) => unknown }
interface Ending { end: (...args: unknown[]) => unknown }

/**
 * The purges of unsafe requests that are not over when our onSend hook sees them: what was answered past `reply.send` comes
 * by no such hook, and a stream has only begun there. They are made when the reply has ended. Whoever answers may go on to
 * change things though the client has left; then there is another one when that has ended as well.
 */
export class LatePurges {
  readonly #purge: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  readonly #sent = new WeakSet<FastifyRequest>()

  constructor (purge: (request: FastifyRequest, reply: FastifyReply) => Promise<void>) {
    this.#purge = purge
  }

  /** The first hook of a route that takes unsafe requests: the hooks behind it may answer in their own way. */
  readonly hook: onRequestHookHandler = (request, reply, done) => {
    if (!isSafeMethod(request.method)) this.#awaitEnd(request, reply)
    done()
  }

  /** Takes note of an answer that has come by our onSend hook; `miss` tells whether it is being stored. */
  note (request: FastifyRequest, reply: FastifyReply, payload: unknown, miss?: Miss): void {
    this.#sent.add(request)
    if (!isStream(payload)) return
    const purge = (): void => { this.#now(request, reply) }
    onceEnded(reply, () => {
      if (miss?.keeping === true) return
      purge()
      if (!reply.raw.writableEnded) onSourceEnd(payload as Source, purge)
    })
  }

  #awaitEnd (request: FastifyRequest, reply: FastifyReply): void {
    const { raw } = reply
    const purge = (): void => { if (!this.#sent.has(request)) this.#now(request, reply) }
    onceEnded(reply, () => {
      // A client that leaves before anybody has let it in is to purge nothing.
      if (reply.sent || raw.headersSent) purge()
      if (!raw.writableEnded) afterEnd(raw as unknown as Ending, purge)
    })
  }

  #now (request: FastifyRequest, reply: FastifyReply): void {
    this.#purge(request, reply).catch((error: unknown) => {
      const route = request.routeOptions.url ?? request.url
      request.log.error({ err: error, route }, `what a request of ${route} has made untrue could not be told`)
    })
  }
}

/** Calls `listener` once, with the last byte, and not only when all is closed: a client that has stayed may ask again at once. */
function onceEnded (reply: FastifyReply, listener: () => void): void {
  let ended = false
  const end = (): void => {
    if (ended) return
    ended = true
    listener()
  }
  reply.raw.once('finish', end)
  onReplyEnd(reply, end)
}

/** A stream that others write into is closed at once when nobody reads it any more; they still end it when they are done. */
function onSourceEnd (source: Source | Source & Ending, listener: () => void): void {
  if (source.closed !== true) source.once?.('close', listener)
  if ('end' in source) afterEnd(source, listener)
}

/** Nothing is emitted by what is ended after it has been closed. */
function afterEnd (target: Ending, listener: () => void): void {
  const { end } = target
  target.end = function endLate (...args) {
    const ended = end.apply(this, args)
    listener()
    return ended
  }
}
