import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * The scheme of a request once its handler has run. Fastify asks the socket of the request for it, and who sends the body on
 * to another server (undici) takes that away; the reply still has it.
 */
export function schemeOf (request: FastifyRequest, reply: FastifyReply): string {
  const protocol: string | undefined = request.protocol
  return protocol ?? ((reply.raw.socket as { encrypted?: boolean } | null)?.encrypted === true ? 'https' : 'http')
}
