import type { ServerResponse } from 'node:http'
import type { ReplyHeaders } from './exchange.ts'

/**
 * Calls `decide` with status and headers at the moment they are written, after every onSend hook of every plugin: the
 * only moment at which they are final. What `decide` changes in the headers is what goes out.
 *
 * Others may have replaced `writeHead` before (session middleware does), and add headers after us. `written` is called when
 * they are through; `late` are all headers, if there may be some that `decide` has not seen.
 */
export function onFinalHeaders (raw: ServerResponse, decide: (status: number, headers: ReplyHeaders) => void, written: (late: ReplyHeaders | undefined) => void): void {
  const writeHead = raw.writeHead as (...args: unknown[]) => ServerResponse
  // Assigned, not defined and deleted: responses of changing shape make Node's own code slow.
  raw.writeHead = function writeFinalHead (this: ServerResponse, status: number, ...rest: unknown[]): ServerResponse {
    raw.writeHead = writeHead as ServerResponse['writeHead']
    const last = rest.at(-1)
    const given = typeof last === 'object' && last !== null && !Array.isArray(last) ? last as ReplyHeaders : undefined
    const headers = given !== undefined && raw.getHeaderNames().length === 0 ? given : allHeaders(raw, given)
    decide(status, headers)
    const result = writeHead.call(raw, status, ...rest)
    const replaced = writeHead !== (Object.getPrototypeOf(raw) as ServerResponse).writeHead
    // What came as a list of names and values has been read by nobody yet.
    const late = replaced || Array.isArray(last) || raw.getHeaderNames().some((name) => !(name in headers) && !isPseudo(name))
    written(late ? writtenHeaders(raw) : undefined)
    return result
  } as ServerResponse['writeHead']
}

/** HTTP/2 keeps the status among the headers (RFC 9113 §8.3). */
const isPseudo = (name: string): boolean => name.startsWith(':')

/** What has been written. Node keeps the text of the head; what was given to `writeHead` stands nowhere else. */
function writtenHeaders (raw: ServerResponse): ReplyHeaders {
  const { _header: head } = raw as ServerResponse & { _header?: unknown }
  const headers: ReplyHeaders = Object.fromEntries(Object.entries(raw.getHeaders()).filter(([name]) => !isPseudo(name)))
  if (typeof head !== 'string') return headers
  const written: Record<string, string> = {}
  for (const line of head.split('\r\n').slice(1)) {
    const colon = line.indexOf(':')
    if (colon === -1) continue
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    written[name] = name in written ? `${written[name] ?? ''}, ${value}` : value
  }
  return { ...headers, ...written }
}

/** Headers that were set on the response one by one, as Fastify does for streams, and those given besides. A change goes where the header is. */
function allHeaders (raw: ServerResponse, given: ReplyHeaders = {}): ReplyHeaders {
  return new Proxy<ReplyHeaders>({ ...raw.getHeaders(), ...given }, {
    set (target, name: string, value: number | string) {
      if (name in given) given[name] = value
      else raw.setHeader(name, value)
      return Reflect.set(target, name, value)
    },
    deleteProperty (target, name: string) {
      raw.removeHeader(name)
      return Reflect.deleteProperty(given, name) && Reflect.deleteProperty(target, name)
    }
  })
}
