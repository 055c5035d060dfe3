import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { errors } from '../lib/errors.ts'
import { refuseCrossOrigin } from './same-origin.ts'

/** Who may use the routes that name or change what is stored. Without either they do not exist; with both, both must agree. */
export interface AdminOptions {
  /** The bearer token that requests must show: at least 16 visible ASCII characters, without spaces. */
  token?: string | undefined
  /** An own guard: runs as an onRequest hook on each of these routes, and refuses by throwing or replying. */
  onRequest?: onRequestHookHandler | undefined
}

const BEARER = /^bearer +(\S+) *$/i
const CHALLENGE = 'Bearer realm="cache"'

/** The hooks of a guarded route. They belong to the route, not to a path, so that no spelling of the path goes around them. */
export function guardHooks ({ token, onRequest }: AdminOptions): readonly onRequestHookHandler[] {
  return [
    refuseCrossOrigin,
    ...token === undefined ? [] : [bearerGuard(token)],
    ...onRequest === undefined ? [] : [onRequest]
  ]
}

function bearerGuard (token: string): onRequestHookHandler {
  const expected = digest(token)
  return function cacheAdmin (request: FastifyRequest, reply: FastifyReply, done) {
    const shown = BEARER.exec(request.headers.authorization ?? '')?.[1]
    // Digests have one length, so the comparison tells nothing of the token, not even how long it is.
    if (shown !== undefined && timingSafeEqual(digest(shown), expected)) {
      done()
      return
    }
    // RFC 6750 §3.1: no error code for a request that shows nothing.
    reply.header('www-authenticate', shown === undefined ? CHALLENGE : `${CHALLENGE}, error="invalid_token"`)
    done(new errors.FST_ERR_CACHE_UNAUTHORIZED())
  }
}

function digest (token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
