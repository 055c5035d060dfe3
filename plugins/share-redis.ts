import fastifyRedis from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import type { EngineParts } from '../lib/engine/parts.ts'

/**
 * Lends the connection of the cache to the app as `fastify.redis[namespace]`. Only one that is ready: @fastify/redis holds
 * up the start of the app until Redis answers, and fails it when that takes too long. The cache closes it, as before.
 */
export async function shareRedis (app: FastifyInstance, { connection }: EngineParts, namespace: string): Promise<void> {
  if (connection === undefined) {
    app.log.warn(`cache: there is no connection to lend as redis.${namespace}; strategy 'memory' has none`)
  } else if (!connection.ready) {
    app.log.warn(`cache: Redis at ${connection.where} does not answer, so it is not lent as redis.${namespace}`)
  } else {
    await app.register(fastifyRedis, { client: connection.raw, namespace, closeClient: false })
  }
}
