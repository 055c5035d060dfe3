import type { FastifyBaseLogger } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import { errors } from '../lib/errors.ts'
import { saysRefused } from '../lib/redis/permission.ts'

/** How Redis says that it is there, and that we may not in. */
const LOCKED = /\b(?:WRONGPASS|NOAUTH)\b|invalid password/
/** The trouble itself says what to do about it. */
const OTHER_DATABASE = /cannot be selected/

/** Writes a line when Redis comes and when it goes, and when purges are lost in the end; nothing in between, however long it is away. */
export function logConnection (log: FastifyBaseLogger, manager: CacheManager): void {
  manager.on('connection', ({ ready, where, trouble }) => {
    if (ready) log.info(`cache: Redis at ${where} answers; the cache is shared from now on`)
    // That it refuses something is a fault, and told as one.
    else if (!saysRefused(trouble)) log.warn(`cache: Redis at ${where} does not answer (${trouble}); the cache goes on without it and looks for it in the background`)
  })
  manager.on('fault', ({ error }) => {
    if (error instanceof errors.FST_ERR_CACHE_PURGES_LOST || error instanceof errors.FST_ERR_CACHE_REDIS_PERMISSION) log.warn(`cache: ${error.message}`)
  })
}

/** The one line for a start without Redis, with the cure. */
export function sayIfAlone (log: FastifyBaseLogger, { parts: { connection }, config }: CacheManager): void {
  if (connection === undefined || connection.ready || saysRefused(connection.trouble)) return
  const meanwhile = config.strategy === 'hybrid' ? 'serving from the memory of this process alone' : 'nothing is cached'
  if (LOCKED.test(connection.trouble)) log.warn(`cache: Redis at ${connection.where} refuses us (${connection.trouble}); ${meanwhile} until it lets us in. Check redisPassword, and the user in redisUrl`)
  else if (OTHER_DATABASE.test(connection.trouble)) log.warn(`cache: Redis at ${connection.where} cannot be used (${connection.trouble}); ${meanwhile}`)
  else log.warn(`cache: no Redis at ${connection.where} (${connection.trouble}); ${meanwhile} until it comes. Start it, name another with redisUrl, or choose strategy: 'memory'`)
}
