import type { FastifyRequest } from 'fastify'
import { sentHeader } from '../lib/http/headers.ts'

/** What describes a connection or the framing of one message, or asks for less than the whole response. */
const NOT_REPEATED: readonly string[] = ['connection', 'keep-alive', 'upgrade', 'te', 'trailer', 'transfer-encoding', 'content-length', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'range', 'cache-control', 'pragma']

/** The headers of a request as a request of our own may carry them, through `inject`. */
export function repeatableHeaders (request: FastifyRequest): Record<string, string | string[] | undefined> {
  const { raw } = request
  const headers: Record<string, string | string[] | undefined> = { ...raw.headers }
  // What a hook has taken off, it is to find again.
  for (let at = 0; at < raw.rawHeaders.length; at += 2) {
    const name = (raw.rawHeaders[at] ?? '').toLowerCase()
    headers[name] ??= sentHeader(raw.rawHeaders, name)
  }
  for (const name of NOT_REPEATED) delete headers[name]
  // HTTP/2 says in pseudo-fields what HTTP/1.1 says in the request line and in Host.
  headers['host'] ??= headers[':authority']
  for (const name in headers) if (name.startsWith(':')) delete headers[name]
  return headers
}
