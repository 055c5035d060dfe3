import type { FastifyBaseLogger } from 'fastify'
import type { CacheManager } from '../lib/cache-manager.ts'
import type { Clock } from '../lib/clock.ts'
import { CacheStrategy, misspeltVariables } from '../lib/config.ts'
import { errors } from '../lib/errors.ts'
import type { CacheEvents } from '../lib/events.ts'
import { keyTo, saysReadOnly, saysRefused } from '../lib/redis/permission.ts'

/** Faults of which somebody has to be told. */
const TOLD = [errors.FST_ERR_CACHE_PURGES_LOST, errors.FST_ERR_CACHE_REDIS_LOCKED, errors.FST_ERR_CACHE_REDIS_PERMISSION, errors.FST_ERR_CACHE_REDIS_READ_ONLY] as const

/** That Redis is there and refuses something is a fault, which says what to do about it. */
const isToldAsFault = (trouble: string): boolean => saysRefused(trouble) || saysReadOnly(trouble) || keyTo(trouble) !== undefined

/** A node of a Cluster that hangs makes the connection come and go for as long as it does. */
const QUIET_MS = 60_000

/** Writes a line when Redis comes and when it goes, and when purges are lost in the end; nothing in between, however long it is away. */
export function logConnection (log: FastifyBaseLogger, manager: CacheManager): void {
  const say = ({ ready, where, trouble }: CacheEvents['connection']): void => {
    if (ready) log.info(`cache: Redis at ${where} answers; the cache is shared from now on`)
    else if (!isToldAsFault(trouble)) log.warn(`cache: Redis at ${where} does not answer (${trouble}); the cache goes on without it and looks for it in the background`)
  }
  manager.on('connection', seldom(manager.parts.clock, say, ({ ready, where, trouble }, changes) => {
    log.warn(`cache: Redis at ${where} comes and goes: it has changed ${changes} times within the last ${QUIET_MS / 1000} s; now it ${ready ? 'answers' : `does not answer (${trouble})`}`)
  }))
  manager.on('fault', ({ error }) => {
    if (error instanceof Error && TOLD.some((kind) => error instanceof kind)) log.warn(`cache: ${error.message}`)
  })
}

/** Tells that Redis is there at the start, and later the first change to each state at once, and what follows within a minute as one. */
function seldom (clock: Clock, say: (event: CacheEvents['connection']) => void, sayMany: (last: CacheEvents['connection'], changes: number) => void): (event: CacheEvents['connection']) => void {
  const told = new Set<boolean>()
  let untold = 0
  let last: CacheEvents['connection'] | undefined
  let begun = false
  const beQuiet = (): void => {
    clock.after(QUIET_MS, () => {
      told.clear()
      if (untold === 0 || last === undefined) return
      if (untold === 1) say(last)
      else sayMany(last, untold)
      untold = 0
      told.add(true).add(false)
      beQuiet()
    })
  }
  return (event) => {
    last = event
    const first = !begun
    begun = true
    if (first && event.ready) {
      say(event)
      return
    }
    if (told.has(event.ready)) {
      untold++
      return
    }
    if (told.size === 0) beQuiet()
    told.add(event.ready)
    say(event)
  }
}

/**
 * The one line for a start without Redis, with the cure.
 * @param option by which another would be named
 */
export function sayIfAlone (log: FastifyBaseLogger, { parts: { connection }, config }: CacheManager, option: 'redis' | 'redisUrl'): void {
  if (connection === undefined || connection.ready || isToldAsFault(connection.trouble)) return
  const meanwhile = config.strategy === 'hybrid' ? 'serving from the memory of this process alone' : 'nothing is cached'
  log.warn(`cache: no Redis at ${connection.where} (${connection.trouble}); ${meanwhile} until it comes. Start it, name another with ${option}, or choose strategy: 'memory'`)
}

/** Says that applications without a name share what they cache, where this is one. */
export function sayIfNameless (log: FastifyBaseLogger, { parts: { connection }, config }: CacheManager, application: string | undefined): void {
  if (connection === undefined || config.redisPrefix !== null || application !== undefined) return
  log.warn(`cache: no package.json names this application, so its keys in Redis at ${connection.where} begin with "frc:", as those of any other without a name, and what they cache is shared. Set redisPrefix`)
}

/** Says that the environment keeps the cache from a Redis that the program names. */
export function sayIfUnused (log: FastifyBaseLogger, { config }: CacheManager, named: boolean): void {
  if (named && config.strategy === CacheStrategy.MEMORY) log.warn('cache: the environment says CACHE_STRATEGY=memory, so the Redis that the program names is not used. Take that away, or give strategy to the plugin')
}

/** Names variables that nobody reads, and that somebody may have meant to be read. */
export function sayIfMisspelt (log: FastifyBaseLogger, env: Readonly<Record<string, string | undefined>>): void {
  for (const [name, meant] of misspeltVariables(env)) log.warn(`cache: the environment has ${name}, which is not read. Did you mean ${meant}?`)
}
