const ESCAPE = /%[0-9a-f]{2}/gi
/** What means the same with and without its escape to the router: every visible character but the delimiters of a target. */
const PLAIN = /[!"$&-.0->@-[\]-~]/

/**
 * A path in the one spelling by which purges know it: percent-escapes of visible characters undone, the others in upper
 * case (RFC 3986 §6.2.2). `/%78` and `/x`, `/a%2Cb` and `/a,b` reach the same route with the same parameters, so a purge of
 * either must reach both.
 */
export function normalisePath (path: string): string {
  if (!path.includes('%')) return path
  return path.replace(ESCAPE, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16))
    return PLAIN.test(character) ? character : escape.toUpperCase()
  })
}

/** The path of a request target, without its query. */
export function pathOf (target: string): string {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}
