/** One field: a single line, or several lines of the same name in order. */
export type HeaderValue = string | readonly string[]

/** Response fields in the order in which they were sent. Names are lower-case. */
export type HeaderList = ReadonlyArray<readonly [name: string, value: HeaderValue]>

/** Request fields as Node parses them: lower-case names, usually one joined line. */
export type RequestHeaders = Readonly<Record<string, HeaderValue | undefined>>

/** Every line of a field, in order; none when it is absent. */
export function linesOf (headers: HeaderList, name: string): readonly string[] {
  const lines: string[] = []
  for (const [key, value] of headers) {
    if (key !== name) continue
    if (typeof value === 'string') lines.push(value)
    else lines.push(...value)
  }
  return lines
}

/** The combined value of a field, its lines joined with `, ` (RFC 9110 §5.2); `undefined` when it is absent. */
export function headerOf (headers: HeaderList, name: string): string | undefined {
  let found: string | undefined
  for (const [key, value] of headers) {
    if (key !== name) continue
    const line = typeof value === 'string' ? value : value.join(', ')
    found = found === undefined ? line : found + ', ' + line
  }
  return found
}

/** The combined value of a request field; `undefined` when it is absent. */
export function requestHeaderOf (headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name]
  return value === undefined || typeof value === 'string' ? value : value.join(', ')
}

/** A request field as it was sent, whatever has become of it since; `undefined` when it was not. */
export function sentHeader (rawHeaders: readonly string[], name: string): string | undefined {
  const values: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = rawHeaders[at] ?? ''
    if (sent.length === name.length && sent.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '')
  }
  return values.length === 0 ? undefined : values.join(name === 'cookie' ? '; ' : ', ')
}

/**
 * The fields of a record such as `getHeaders()` gives. Fastify takes any value and Node writes it as text, so `true`, a date
 * or `null` is text here too; what is absent is left out.
 */
export function headerListOf (record: Readonly<Record<string, unknown>>): HeaderList {
  const list: Array<readonly [string, HeaderValue]> = []
  for (const [name, value] of Object.entries(record)) {
    if (value !== undefined) list.push([name.toLowerCase(), Array.isArray(value) ? value.map(String) : String(value)])
  }
  return list
}
