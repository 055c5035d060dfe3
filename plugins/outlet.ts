import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { appendCacheStatus } from '../lib/http/cache-status.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { nothingBehind } from './route-hooks.ts'

/** The name of our own onSend hook, which has nothing to do with hits. */
const CAPTURE_HOOK = 'cacheCapture'

/**
 * How the hits of one route leave. Where nobody would see them on their way out, they are written past `reply.send`, which
 * asks every payload what it is and every header where it goes.
 */
export class Outlet {
  #symbols: { readonly headers: symbol, readonly trailers: symbol } | false | undefined

  #seen: boolean | undefined

  /** Whether hooks of others see what leaves. They know whole responses: in a part they may not find what they look for. */
  isSeen (request: FastifyRequest): boolean {
    this.#seen ??= !nothingBehind(request, CAPTURE_HOOK)
    return this.#seen
  }

  /**
   * Writes a stored response with what hooks have put onto the reply by now, if it may leave as it is: no hook would see it,
   * and no trailer waits for its end. @returns whether it has
   */
  send (request: FastifyRequest, reply: FastifyReply, { status, headers: stored, body }: StoredResponse, age: string, cacheStatus: string | undefined): boolean {
    this.#symbols ??= symbolsOf(request, reply)
    if (this.#symbols === false || status !== 200 || request.method !== 'GET' || body.length === 0 || request.raw.httpVersionMajor !== 1) return false
    const held = reply as unknown as Record<symbol, unknown>
    if (held[this.#symbols.trailers] !== null || Object.hasOwn(reply, 'send')) return false
    const headers = held[this.#symbols.headers] as OutgoingHttpHeaders
    for (const [name, value] of stored) {
      // What hooks have set is sent as well, in lines of their own.
      if (name === 'set-cookie') reply.header(name, value)
      else headers[name] = typeof value === 'string' ? value : [...value]
    }
    headers['age'] = age
    if (cacheStatus !== undefined) headers['cache-status'] = headers['cache-status'] === undefined ? cacheStatus : appendCacheStatus(String(headers['cache-status']), cacheStatus)
    headers['content-length'] = String(body.length)
    // First, for it throws when a hook has set what cannot be written; then the error is Fastify's to answer.
    reply.raw.writeHead(status, headers)
    reply.hijack()
    reply.raw.end(body)
    return true
  }
}

/** Where Fastify keeps what goes with a reply; `false` where others look at replies, or nothing is where it should be. */
function symbolsOf (request: FastifyRequest, reply: FastifyReply): { readonly headers: symbol, readonly trailers: symbol } | false {
  const named = (name: string): symbol | undefined => Object.getOwnPropertySymbols(reply).find(({ description }) => description === name)
  const headers = named('fastify.reply.headers')
  const trailers = named('fastify.reply.trailers')
  return headers !== undefined && trailers !== undefined && nothingBehind(request, CAPTURE_HOOK) && { headers, trailers }
}
