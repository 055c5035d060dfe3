import type { FastifyBaseLogger } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'

/** Writes a line when Redis comes and when it goes; nothing in between, however long it is away. */
export function logConnection (log: FastifyBaseLogger, manager: CacheManager): void {
  manager.on('connection', ({ ready, where, trouble }) => {
    if (ready) log.info(`cache: Redis at ${where} answers; the cache is shared from now on`)
    else log.warn(`cache: Redis at ${where} does not answer (${trouble}); the cache goes on without it and looks for it in the background`)
  })
}

/** The one line for a start without Redis, with the cure. */
export function sayIfAlone (log: FastifyBaseLogger, { parts: { connection }, config }: CacheManager): void {
  if (connection === undefined || connection.ready) return
  log.warn(`cache: no Redis at ${connection.where} (${connection.trouble}); ${config.strategy === 'hybrid' ? 'serving from the memory of this process alone' : 'nothing is cached'} until it comes. Start it, name another with redisUrl, or choose strategy: 'memory'`)
}
