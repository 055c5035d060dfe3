import type { RedisCommand, RedisOutcome } from '../ports/redis-client.ts'
import { isCluster, type AnyRedis } from './source.ts'

type Method = (...args: unknown[]) => Promise<unknown>

/** By the method of the command's name; `callBuffer` loses the name when auto-pipelining is on (ioredis 6.0.0). */
function methodOf (target: object, name: string, buffers: boolean): Method {
  const method = (target as Record<string, Method | undefined>)[name.toLowerCase() + (buffers ? 'Buffer' : '')]
  if (method === undefined) throw new TypeError(`ioredis has no command ${name}`)
  return method
}

/** @throws TypeError for a command that ioredis does not know */
export function send (client: AnyRedis, [name, ...args]: RedisCommand, buffers: boolean): Promise<unknown> {
  return methodOf(client, name, buffers).apply(client, args)
}

/**
 * Never rejects. A Cluster gets single commands, which its auto-pipelining sorts by node: a pipeline must stay on one.
 *
 * @param bounded limits the wait for one command, so that a node that hangs does not take the answers of the others with it
 */
export async function sendBatch (client: AnyRedis, commands: readonly RedisCommand[], bounded: (answer: Promise<unknown>) => Promise<unknown>): Promise<RedisOutcome[]> {
  if (isCluster(client)) {
    return await Promise.all(commands.map(async (command): Promise<RedisOutcome> => {
      try { return { ok: true, reply: await bounded(send(client, command, true)) } } catch (error) { return failure(error) }
    }))
  }
  const pipeline = client.pipeline()
  for (const [name, ...args] of commands) void methodOf(pipeline, name, true).apply(pipeline, args)
  const results = await pipeline.exec() ?? []
  return results.map(([error, reply]): RedisOutcome => error === null ? { ok: true, reply } : { ok: false, error })
}

export function failure (error: unknown): RedisOutcome {
  return { ok: false, error: error instanceof Error ? error : new Error(String(error)) }
}
