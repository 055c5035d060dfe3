const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/

/** Whether a text is a token, as every field name is one (RFC 9110 §5.6.2). */
export function isToken (text: string): boolean {
  return TOKEN.test(text)
}
