import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Takes what is written, and is never full. */
class Sink extends Socket {
  override write (...args: unknown[]): boolean {
    const told = args.at(-1)
    if (typeof told === 'function') process.nextTick(told as () => void)
    return true
  }

  override cork (): void {}
  override uncork (): void {}
}

const sinks = Array.from({ length: 16 }, () => new Sink())
let n = 0

function ask (handler: Handler, sink: Sink): void {
  const request = new IncomingMessage(sink)
  // A text of its own, as a parser makes one.
  Object.assign(request, { method: 'GET', url: Buffer.from(`/product?n=${n++}`).toString('latin1'), httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1, headers: { host: 'localhost' }, rawHeaders: ['Host', 'localhost'], complete: true })
  const response = new ServerResponse(request)
  response.assignSocket(sink)
  response.shouldKeepAlive = true
  response.once('finish', () => {
    response.detachSocket(sink)
    response.emit('close')
  })
  handler(request, response)
}

/** Requests between parser and kernel, of which no two are alike, sixteen at a time. */
export async function askWithoutSockets (handler: Handler, count: number): Promise<void> {
  for (let done = 0; done < count; done += sinks.length) {
    for (const sink of sinks) ask(handler, sink)
    await new Promise(setImmediate)
  }
}
