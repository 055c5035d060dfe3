const ESCAPE = /%[0-9a-f]{2}/gi
/** What means the same with and without its escape to the router: every visible character but the delimiters of a target. */
const PLAIN = /[!"$&-.0->@-[\]-~]/

/** What no request target contains as it is (RFC 3986 §2): blanks, controls, and all that is not ASCII. */
const NEVER_SENT = /[^!-~]/
const RUN_NEVER_SENT = /[^!-~]+/g

/**
 * A path in the one spelling by which purges know it: percent-escapes of visible characters undone, the others in upper
 * case (RFC 3986 §6.2.2). `/%78` and `/x`, `/a%2Cb` and `/a,b` reach the same route with the same parameters, so a purge of
 * either must reach both. Whoever purges by what a parameter was decoded to (`/brands/café`) means the path that was sent.
 */
export function normalisePath (path: string): string {
  const sent = NEVER_SENT.test(path) ? path.replace(RUN_NEVER_SENT, (run) => encodeURIComponent(Buffer.from(run).toString())) : path
  if (!sent.includes('%')) return sent
  return sent.replace(ESCAPE, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16))
    return PLAIN.test(character) ? character : escape.toUpperCase()
  })
}

/** The path of a request target, without its query. */
export function pathOf (target: string): string {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}
