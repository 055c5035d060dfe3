import { systemClock } from '../clock.ts'
import { RedisConnection, type ConnectionSettings } from './connection.ts'
import { clientOf, type RedisSource } from './source.ts'

/**
 * Begins to connect, and comes back at once. Whether and when Redis answers is told by `opened`, `ready` and
 * `onChange`; until then every call fails without waiting.
 *
 * @throws FST_ERR_CACHE_OPTION for a source that is none
 */
export function openRedis (source: RedisSource, settings: Partial<ConnectionSettings> = {}): RedisConnection {
  const all = { clock: systemClock, deadlineMs: 200, ...settings }
  return new RedisConnection(clientOf(source, all.deadlineMs), all)
}
