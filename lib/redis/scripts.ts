import { createHash } from 'node:crypto'

import { isReply, type RedisArgument } from '../ports/redis-client.ts'
import { send } from './commands.ts'
import type { AnyRedis } from './source.ts'

/** Scripts are constants of the program, so there are few. */
const hashes = new Map<string, string>()

function hashOf (source: string): string {
  let hash = hashes.get(source)
  if (hash === undefined) {
    hash = createHash('sha1').update(source).digest('hex')
    hashes.set(source, hash)
  }
  return hash
}

/** Runs a script by its hash; a server that has forgotten it (SCRIPT FLUSH, restart, failover) gets the source. */
export async function runScript (client: AnyRedis, source: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
  try {
    return await send(client, ['EVALSHA', hashOf(source), keys.length, ...keys, ...args], false)
  } catch (error) {
    if (!isReply(error) || !error.message.startsWith('NOSCRIPT')) throw error
    return await send(client, ['EVAL', source, keys.length, ...keys, ...args], false)
  }
}
