import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'

export interface RawAnswer { readonly status: number, readonly headers: Readonly<Record<string, string>>, readonly body: string }

/** The port of a listening app. */
export async function listening (app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the app does not listen')
  return address.port
}

/** Sends a request head exactly as given, and reads until the server closes. `lines` are the request line and the fields. */
export async function rawRequest (port: number, lines: readonly string[], body = ''): Promise<RawAnswer> {
  const text = await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => { socket.write([...lines, 'Connection: close', '', ''].join('\r\n') + body, 'latin1') })
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => { resolve(Buffer.concat(chunks).toString('latin1')) })
  })
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...fields] = text.slice(0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const colon = field.indexOf(':')
    const name = field.slice(0, colon).toLowerCase()
    headers[name] = (name in headers ? headers[name] + ', ' : '') + field.slice(colon + 1).trim()
  }
  return { status: Number(statusLine.split(' ')[1]), headers, body: text.slice(end + 4) }
}

/** Sends a request and leaves as soon as `when` says so, without waiting for the answer. */
export async function abandonedRequest (port: number, path: string, when: Promise<unknown>, method = 'GET'): Promise<void> {
  const socket = connect(port, '127.0.0.1', () => { socket.write(`${method} ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`) })
  await when
  await new Promise<void>((resolve) => {
    socket.on('close', () => { resolve() })
    socket.destroy()
  })
}
