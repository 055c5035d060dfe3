import { trimBlanks } from '../lib/http/blanks.ts'

/** The pairs of a Cookie header (RFC 6265 §4.2.1) as they stand there: nothing is decoded, so nothing can be confused. */
function pairsOf (cookie: string | undefined): Array<readonly [name: string, value: string]> {
  if (cookie === undefined) return []
  return cookie.split(';').map(trimBlanks).filter((pair) => pair !== '').map((pair) => {
    const at = pair.indexOf('=')
    return at === -1 ? ['', pair] : [trimBlanks(pair.slice(0, at)), trimBlanks(pair.slice(at + 1))]
  })
}

export function cookieNames (cookie: string | undefined): string[] {
  return pairsOf(cookie).map(([name]) => name)
}

/** The value of a cookie; all of its values, in order, when it comes more than once; `undefined` when it is not there. */
export function cookieValue (cookie: string | undefined, name: string): string | undefined {
  const values = pairsOf(cookie).filter(([other]) => other === name).map(([, value]) => value)
  return values.length === 0 ? undefined : values.join(';')
}
