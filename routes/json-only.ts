import type { FastifyReply, FastifyRequest } from 'fastify'
import { errors, shown } from '../lib/errors.ts'

/** Bytes of a request body at most. */
export const BODY_LIMIT = 64 * 1024

/** Accepts JSON only: the types that an HTML form can send need no consent of ours (CORS), so any page could send them. */
export function requireJson (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  const type = request.headers['content-type']
  const essence = type?.split(';', 1)[0]?.trim().toLowerCase()
  done(essence === 'application/json' ? undefined : new errors.FST_ERR_CACHE_MEDIA_TYPE(type === undefined ? 'missing' : shown(type)))
}
