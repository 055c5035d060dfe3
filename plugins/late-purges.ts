import type { FastifyReply, FastifyRequest, onRequestHookHandler, RouteHandlerMethod } from 'fastify'
import { isSafeMethod } from '../lib/http/method.ts'
import { isStream } from './body-capture.ts'
import type { Miss } from './exchange.ts'
import { asPromise, isThenable } from './handler-scope.ts'
import { hasLeft, onReplyEnd } from './reply-end.ts'

/** Whatever `send` was given, as far as it is asked here. */
interface Source { readonly closed?: boolean, once?: (event: 'close', listener: () => void) => unknown }
type Method = (...args: unknown[]) => unknown
type Ending = Record<'end', Method>

/** @param unknown whether nobody can tell if the request has succeeded */
type PurgeAfter = (request: FastifyRequest, reply: FastifyReply, unknown: boolean) => Promise<void>

/**
 * The purges of unsafe requests that are not over when our onSend hook sees them: what was answered past `reply.send` comes
 * by no such hook, and a stream has only begun there. They are made when the reply has ended. Whoever answers may go on to
 * change things though the client has its answer, or has left, or Fastify has given the request up; then there is another
 * one when that has ended as well.
 */
export class LatePurges {
  readonly #purge: PurgeAfter
  readonly #sent = new WeakSet<FastifyRequest>()
  /** Those whose clients have had their answer for a while. */
  readonly #answered = new WeakSet<FastifyRequest>()

  constructor (purge: PurgeAfter) {
    this.#purge = purge
  }

  /** The first hook of a route that takes unsafe requests: the hooks behind it may answer in their own way. */
  readonly hook: onRequestHookHandler = (request, reply, done) => {
    if (!isSafeMethod(request.method)) this.#awaitEnd(request, reply)
    done()
  }

  /** The handler of such a route. What it answers too late, or to nobody, comes by no hook. */
  watch (handler: RouteHandlerMethod): RouteHandlerMethod {
    const late = this
    return function cacheWatch (request, reply) {
      if (isSafeMethod(request.method)) return handler.call(this, request, reply)
      const result = asPromise(handler.call(this, request, reply))
      if (isThenable(result)) result.then((answer) => { late.#over(request, reply, answer) }, () => { late.#over(request, reply) })
      return result
    }
  }

  /** Takes note of an answer that has come by our onSend hook; `miss` tells whether it is being stored. */
  note (request: FastifyRequest, reply: FastifyReply, payload: unknown, miss?: Miss): void {
    if (this.#sent.has(request) && isGivenUp(request)) this.#now(request, reply)
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
    const purge = (): void => { if (!this.#sent.has(request) || isGivenUp(request)) this.#now(request, reply) }
    onceEnded(reply, () => {
      // A handler that returns the reply ends with it.
      setImmediate(() => { this.#answered.add(request) })
      if (isGivenUp(request)) {
        afterCall(reply as unknown as Record<'send', Method>, 'send', purge)
        afterCall(raw as unknown as Ending, 'end', purge)
        return
      }
      // A client that leaves before anybody has let it in is to purge nothing.
      if (reply.sent || raw.headersSent) purge()
      if (!raw.writableEnded) afterCall(raw as unknown as Ending, 'end', purge)
    })
  }

  /** A handler has come to its end, maybe long after its answer; Fastify sends nothing to a client that has left, if there is nothing to be sent. */
  #over (request: FastifyRequest, reply: FastifyReply, ...answer: unknown[]): void {
    const toNobody = answer.length > 0 && answer[0] === undefined && hasLeft(reply) && !reply.sent && !reply.raw.headersSent
    if (toNobody || isGivenUp(request) || this.#answered.has(request)) this.#now(request, reply)
  }

  #now (request: FastifyRequest, reply: FastifyReply): void {
    this.#purge(request, reply, isGivenUp(request)).catch((error: unknown) => {
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
  if ('end' in source) afterCall(source, 'end', listener)
}

/** Nothing is emitted by what is ended after it has been closed. */
function afterCall<N extends string> (target: Record<N, Method>, name: N, listener: () => void): void {
  const method = target[name]
  target[name] = function callLate (...args) {
    const result = method.apply(this, args)
    listener()
    return result
  }
}

/** Whether Fastify has answered in place of a handler that took longer than its `handlerTimeout`. */
function isGivenUp (request: FastifyRequest): boolean {
  return request.routeOptions.handlerTimeout > 0 && (request.signal.reason as { code?: unknown } | undefined)?.code === 'FST_ERR_HANDLER_TIMEOUT'
}
