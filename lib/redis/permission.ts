import { isCluster, type AnyRedis } from './source.ts'

/** The words of Redis 6, 7 and 8, also from within a script. */
const REFUSED = /\bNOPERM\b|The user executing the script can't|ACL failure in script/

/** Everything that the cache ever sends; docs/redis.md has the same, which a test compares. */
const COMMANDS = 'hello info ping time quit getrange get set unlink del exists pexpire persist scan eval evalsha xadd xrange xrevrange publish subscribe'

/** Whether Redis is there, and does not let our user do this. */
export function isRefusal (error: unknown): error is Error {
  return error instanceof Error && saysRefused(error.message)
}

/** How Redis says that it is there, and that we may not in. */
const LOCKED = /\b(?:WRONGPASS|NOAUTH)\b|invalid password/
const OTHER_DATABASE = /cannot be selected/

/** What lets us in, where Redis has answered with this and does not; nothing where it is something else. */
export function keyTo (trouble: string): string | undefined {
  if (LOCKED.test(trouble)) return 'Check redisPassword, and the user in redisUrl'
  return OTHER_DATABASE.test(trouble) ? 'Check redisDb, and the end of redisUrl' : undefined
}

export function saysRefused (text: string): boolean {
  return REFUSED.test(text)
}

/** Whether Redis takes no writes from anybody: a replica, or a master that has become one. In a script it says so in the middle. */
export function saysReadOnly (text: string): boolean {
  return /\bREADONLY\b/.test(text)
}

/** What Redis has refused: a command, the name of a key, or that of a channel. */
export type RefusalKind = 'commands' | 'keys' | 'channels'

export function refusalKind (why: string): RefusalKind {
  return /\bchannels?\b/.test(why) ? 'channels' : /\bkeys?\b/.test(why) ? 'keys' : 'commands'
}

/**
 * What an administrator types to let this client do what a cache with this prefix needs. Names are only allowed where they are
 * lacking: Redis takes no pattern beside the one that allows all.
 */
export function permissionLine (client: AnyRedis, prefix: string, kind: RefusalKind): string {
  const { username, db = 0 } = (isCluster(client) ? client.options.redisOptions : client.options) ?? {}
  const names = prefix.replaceAll(/[*?[\]\\^]/g, '\\$&')
  const user = username === undefined || username === null || username === '' ? 'default' : username
  const more = isCluster(client) ? ' cluster' : db === 0 ? '' : ' select'
  const allowed = { commands: '', keys: `~${names}* `, channels: `&${names}* ` }[kind]
  return `ACL SETUSER ${user} ${allowed}${(COMMANDS + more).split(' ').map((command) => `+${command}`).join(' ')}`
}
