import type { FastifyReply } from 'fastify'

/** What waits for the end of replies that have no socket yet. */
const queued = new WeakMap<object, Set<() => void>>()

/** Calls `listener` once, when the response has gone out, or the client has left, or both have happened long ago. */
export function onReplyEnd (reply: FastifyReply, listener: () => void): void {
  const { raw } = reply
  if (hasLeft(reply)) {
    listener()
    return
  }
  if (!isQueued(reply)) {
    raw.once('close', listener)
    return
  }
  const waiting = waitingOn(reply.request.raw.socket)
  const end = (): void => {
    raw.off('close', end)
    waiting.delete(end)
    listener()
  }
  raw.once('close', end)
  waiting.add(end)
}

/** Whether nobody is there any more to take the reply. */
export function hasLeft (reply: FastifyReply): boolean {
  return reply.raw.destroyed || (isQueued(reply) && reply.request.raw.socket.destroyed)
}

/** Node gives the socket to one response of a connection after the other; one that never gets it is never closed either. */
const isQueued = ({ raw }: FastifyReply): boolean => raw.socket === null && !raw.writableFinished

/** One listener for all replies of a connection, however many are asked for ahead. */
function waitingOn (socket: { once: (event: 'close', listener: () => void) => unknown }): Set<() => void> {
  const known = queued.get(socket)
  if (known !== undefined) return known
  const waiting = new Set<() => void>()
  queued.set(socket, waiting)
  socket.once('close', () => {
    queued.delete(socket)
    for (const end of [...waiting]) end()
  })
  return waiting
}
