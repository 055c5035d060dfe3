/**
 * Names of keys in Redis. What belongs to one cache key shares one Cluster slot, because the hash tag (the part in
 * braces) is exactly the cache key; a brace within the key is escaped, so that no key can choose another slot or be
 * mistaken for a second one.
 *
 *   <prefix>e{<key>}   the entry
 *   <prefix>l{<key>}   the lease on loading it
 */
export interface RedisKeys {
  readonly entry: (key: string) => string
  readonly lease: (key: string) => string
  /** A Redis glob that matches every entry of this prefix. */
  readonly entries: string
  /** The cache key in an entry's name; `undefined` for a name that is not an entry's. */
  readonly keyOf: (name: string) => string | undefined
}

export function createRedisKeys (prefix: string): RedisKeys {
  const entryStart = `${prefix}e{`
  const leaseStart = `${prefix}l{`
  return {
    entry: (key) => entryStart + escaped(key) + '}',
    lease: (key) => leaseStart + escaped(key) + '}',
    entries: literal(entryStart) + '*',
    keyOf: (name) => name.startsWith(entryStart) && name.endsWith('}') ? unescaped(name.slice(entryStart.length, -1)) : undefined
  }
}

/** `{` needs no escape: only the first one opens a hash tag. An empty tag would be none, hence the `%` for an empty key. */
function escaped (key: string): string {
  if (key === '') return '%'
  return key.includes('%') || key.includes('}') ? key.replaceAll('%', '%25').replaceAll('}', '%7D') : key
}

function unescaped (text: string): string {
  if (text === '%') return ''
  return text.includes('%') ? text.replaceAll('%7D', '}').replaceAll('%25', '%') : text
}

/** Text that a Redis glob takes literally. */
function literal (text: string): string {
  return text.replace(/[*?[\]\\^-]/g, '\\$&')
}
