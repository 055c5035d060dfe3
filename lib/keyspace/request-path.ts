const ESCAPE = /%[0-9a-f]{2}/gi
const UNRESERVED = /[A-Za-z0-9\-._~]/

/**
 * A path in the one spelling by which purges know it: percent-escapes of unreserved characters undone, the others in
 * upper case (RFC 3986 §6.2.2). `/%78` and `/x` reach the same route, so a purge of either must reach both.
 */
export function normalisePath (path: string): string {
  if (!path.includes('%')) return path
  return path.replace(ESCAPE, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16))
    return UNRESERVED.test(character) ? character : escape.toUpperCase()
  })
}

/** The path of a request target, without its query. */
export function pathOf (target: string): string {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}
