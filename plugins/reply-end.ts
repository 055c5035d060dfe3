import type { FastifyReply } from 'fastify'

/** Calls `listener` once, when the response has gone out, or the client has left, or both have happened long ago. */
export function onReplyEnd ({ raw }: FastifyReply, listener: () => void): void {
  if (raw.destroyed) listener()
  else raw.once('close', listener)
}
