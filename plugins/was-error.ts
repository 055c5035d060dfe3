import type { FastifyReply } from 'fastify'

/**
 * Whether Fastify has handed an error to an error handler for this reply, wherever it came from: thrown, sent, out of a hook
 * or a serialiser, or a time that ran out. No hook hears of all of these; Fastify notes on the reply which handler comes next.
 */
export function wasError (reply: FastifyReply): boolean {
  return Object.getOwnPropertySymbols(reply).some(({ description }) => description === 'fastify.reply.nextErrorHandler')
}
