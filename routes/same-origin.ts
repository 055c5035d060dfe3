import type { FastifyReply, FastifyRequest } from 'fastify'
import type { IncomingHttpHeaders } from 'node:http'
import { errors } from '../lib/errors.ts'

/**
 * Whether a browser sent this on behalf of another origin. Browsers say so in Sec-Fetch-Site; older ones send Origin at
 * least with everything that changes something. A client that sends neither is no browser, so it has no cookies that
 * somebody else could make use of.
 */
export function isCrossOrigin (headers: IncomingHttpHeaders, host: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  const { origin } = headers
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host.toLowerCase())
}

/** Refuses what other sites send through the browser of somebody who is allowed to. */
export function refuseCrossOrigin (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  done(isCrossOrigin(request.headers, request.host) ? new errors.FST_ERR_CACHE_CROSS_ORIGIN() : undefined)
}
