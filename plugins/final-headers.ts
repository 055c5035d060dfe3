import type { ServerResponse } from 'node:http'
import type { ReplyHeaders } from './exchange.ts'

/**
 * Calls `decide` with status and headers at the moment they are written, after every onSend hook of every plugin: the
 * only moment at which they are final. What `decide` changes in the headers is what goes out.
 */
export function onFinalHeaders (raw: ServerResponse, decide: (status: number, headers: ReplyHeaders) => void): void {
  const own = Object.getOwnPropertyDescriptor(raw, 'writeHead')
  const writeHead = raw.writeHead.bind(raw)
  const replacement = (status: number, ...rest: unknown[]): ServerResponse => {
    if (own === undefined) Reflect.deleteProperty(raw, 'writeHead')
    else Object.defineProperty(raw, 'writeHead', own)
    const given = rest.at(-1)
    const named = typeof given === 'object' && given !== null && !Array.isArray(given) ? given as ReplyHeaders : undefined
    const before: ReplyHeaders = { ...raw.getHeaders(), ...named }
    const final: ReplyHeaders = { ...before }
    decide(status, final)
    for (const name of Object.keys(before)) {
      if (name in final) continue
      raw.removeHeader(name)
      if (named !== undefined) Reflect.deleteProperty(named, name)
    }
    for (const [name, value] of Object.entries(final)) {
      if (value === before[name] || value === undefined) continue
      if (named === undefined) raw.setHeader(name, value)
      else named[name] = value
    }
    return (writeHead as (...args: unknown[]) => ServerResponse)(status, ...rest)
  }
  Object.defineProperty(raw, 'writeHead', { value: replacement, configurable: true, writable: true })
}
