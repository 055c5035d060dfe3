/** A Redis URL, or what was meant to be one, as a message may show it: without user and password. */
export function withoutSecrets (url: string): string {
  // Up to the last @: a password that was not encoded may contain slashes and further @.
  return url.replace(/^([a-z]+:\/\/)?.*@/is, '$1***@').replaceAll(/([?&](?:user(?:name)?|password|sentinel(?:User|Pass)\w*)=)[^&]*/gi, '$1***')
}

/** Whether it leads to a Redis: `redis://[user:password@]host[:port][/db]`, or the same with `rediss:`. */
export function isRedisUrl (value: unknown): value is string {
  if (typeof value !== 'string' || !/^rediss?:\/\//i.test(value) || !URL.canParse(value)) return false
  const { username, password, pathname, searchParams } = new URL(value)
  return isDecodable(username + password) && /^(?:\/\d*)?$/.test(pathname) && /^\d*$/.test(searchParams.get('db') ?? '')
}

/** A password with a percent sign of its own, not encoded, is none that ioredis could read. */
function isDecodable (text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** The number of the database that a Redis URL names, where it names one. */
export function databaseOf (url: string): number | undefined {
  const { pathname, searchParams } = new URL(url)
  const digits = pathname.slice(1) || (searchParams.get('db') ?? '')
  return digits === '' ? undefined : Number(digits)
}
