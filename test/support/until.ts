import { setTimeout as sleep } from 'node:timers/promises'
import type { CacheManager } from '../../lib/cache-manager.ts'

/** Far beyond what a busy machine needs, and within what the file may take: what has not come by then does not come. */
const PATIENCE_MS = 60_000

/** Resolves once the condition holds. */
export async function until (what: string, condition: () => boolean | Promise<boolean>, everyMs = 2): Promise<void> {
  const endAt = performance.now() + PATIENCE_MS
  while (!await condition()) {
    if (performance.now() > endAt) throw new Error('never came: ' + what)
    await sleep(everyMs)
  }
}

/** The same, named by what it looks at. */
export async function holds (condition: () => boolean | Promise<boolean>): Promise<void> {
  await until(condition.toString(), condition)
}

/** The start of an app waits for Redis half a second, and goes on without it; on a busy machine that is not long. */
export async function onRedis (...caches: ReadonlyArray<Pick<CacheManager, 'parts'>>): Promise<void> {
  await until('Redis is used', () => caches.every(({ parts: { connection, log } }) => connection?.ready === true && log.state === 'current'))
}
