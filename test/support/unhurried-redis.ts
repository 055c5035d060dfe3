import type { RedisClient, RedisCommand } from '../../lib/ports/redis-client.ts'

const LONGER_MS = 3_600_000

function longer (command: RedisCommand): RedisCommand {
  if (command.at(-2) !== 'PX') return command
  const [name, ...args] = command
  return [name, ...args.slice(0, -1), Number(args.at(-1)) + LONGER_MS]
}

/**
 * The same Redis, in which nothing expires during the test. Where time is a fake clock's, the server's own goes on
 * meanwhile, and must not expire what is still alive by the other.
 */
export function unhurried (client: RedisClient): RedisClient {
  return {
    get ready () { return client.ready },
    get state () { return client.state },
    clustered: client.clustered,
    call: async (command, options) => await client.call(longer(command), options),
    callBuffer: async (command, options) => await client.callBuffer(longer(command), options),
    batch: async (commands, options) => await client.batch(commands.map(longer), options),
    script: async (...args) => await client.script(...args),
    scan: async (...args) => await client.scan(...args),
    subscriber: () => client.subscriber(),
    onChange: (listener) => client.onChange(listener),
    now: () => client.now()
  }
}
