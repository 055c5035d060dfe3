type HeaderValue = string | readonly string[]

/** Status and fields of a stored response, in the order in which they were sent, and a 1 where the payload was text. */
export type ResponseHead = readonly [status: number, headers: ReadonlyArray<readonly [name: string, value: HeaderValue]>, text?: 1]

const NAME = /^[!#$%&'*+\-.^_`|~\da-z]+$/

/** Line breaks would split the response, other control characters make Node refuse it (RFC 9110 §5.5). */
const isSafe = (text: unknown): text is string => typeof text === 'string' && !/[^\t\x20-\x7e\x80-\xff]/.test(text)

const isValue = (value: unknown): value is HeaderValue => isSafe(value) || (Array.isArray(value) && value.every(isSafe))

/**
 * Fields that frame a message on its connection. They are never stored; one that is there would make the server send
 * a message whose end the client sees elsewhere.
 */
const FRAMING: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/** The head of a response if it is one that can be sent as it stands. */
export function readResponseHead (given: unknown): ResponseHead | undefined {
  if (!Array.isArray(given) || given.length < 2 || given.length > 3 || (given.length === 3 && given[2] !== 1)) return undefined
  const [status, headers] = given as [unknown, unknown]
  if (!Number.isInteger(status) || (status as number) < 200 || (status as number) > 599 || !Array.isArray(headers)) return undefined
  for (const field of headers as unknown[]) {
    if (!Array.isArray(field) || field.length !== 2) return undefined
    const [name, value] = field as [unknown, unknown]
    if (typeof name !== 'string' || !NAME.test(name) || FRAMING.has(name) || !isValue(value)) return undefined
  }
  return given as unknown as ResponseHead
}
