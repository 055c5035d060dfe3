import { Readable, Transform, type TransformCallback } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { FastifyReply } from 'fastify'

/** What of a payload can be stored at once, or has to be watched while it goes by. */
export type CapturedBody =
  | { readonly kind: 'bytes', readonly body: Buffer, readonly payload: unknown }
  | { readonly kind: 'stream', readonly payload: BodyTee }
  | { readonly kind: 'opaque', readonly payload: unknown }

const NO_BODY = Buffer.alloc(0)

const isResponse = (payload: unknown): payload is Response => Object.prototype.toString.call(payload) === '[object Response]'
const hasMethod = (payload: unknown, name: string): boolean => typeof payload === 'object' && payload !== null && typeof (payload as Record<string, unknown>)[name] === 'function'

/** Whether a payload comes bit by bit, so that whoever makes it may still be at work. */
export const isStream = (payload: unknown): boolean => hasMethod(payload, 'pipe') || hasMethod(payload, 'getReader') || isResponse(payload)

/** The body of a web Response, whose status and headers go to the reply, as Fastify would do itself a moment later. */
export function unwrapResponse (reply: FastifyReply, payload: unknown): unknown {
  if (!isResponse(payload) || payload.bodyUsed || payload.body?.locked === true) return payload
  reply.code(payload.status)
  for (const [name, value] of payload.headers) reply.header(name, value)
  return payload.body
}

/**
 * Takes hold of a payload as an onSend hook sees it. Bytes are copied: the handler may go on to change its buffer, and
 * a small slice would keep the large block alive that it was cut from.
 */
export function captureBody (payload: unknown, maxBytes: number): CapturedBody {
  if (payload === undefined || payload === null) return { kind: 'bytes', body: NO_BODY, payload }
  if (typeof payload === 'string') return { kind: 'bytes', body: Buffer.from(payload), payload }
  if (payload instanceof Uint8Array) return { kind: 'bytes', body: Buffer.from(payload), payload }
  if (hasMethod(payload, 'pipe')) return { kind: 'stream', payload: teed(payload as Readable, maxBytes) }
  if (hasMethod(payload, 'getReader')) return { kind: 'stream', payload: teed(Readable.fromWeb(payload as ReadableStream), maxBytes) }
  return { kind: 'opaque', payload }
}

/** Lets go of a payload that nobody will read. */
export function letGo (payload: unknown): void {
  if (hasMethod(payload, 'destroy')) (payload as { destroy: () => void }).destroy()
}

/** Passes a body through and keeps a copy, until it is longer than what may be stored; then it only passes it through. */
export class BodyTee extends Transform {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #bytes = 0
  #whole: (body: Buffer | undefined) => void = () => {}
  #start: (() => void) | undefined
  #run: (read: () => void) => void = (read) => { read() }

  constructor (maxBytes: number, start: (tee: BodyTee) => void) {
    super()
    this.#maxBytes = maxBytes
    this.#start = () => { start(this) }
  }

  /** Nothing flows before somebody reads. */
  override _read (size: number): void {
    const start = this.#start
    this.#start = undefined
    this.#run(() => {
      start?.()
      super._read(size)
    })
  }

  /** Runs all reading through `run`: a source goes on when a socket drains, which may be on behalf of another response. */
  runIn (run: (read: () => void) => void): void {
    this.#run = run
  }

  /** Told the whole body once it has ended cleanly, or `undefined` if it was too long. Never told about a body that broke off. */
  onWhole (listener: (body: Buffer | undefined) => void): void {
    this.#whole = listener
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length
    if (this.#bytes <= this.#maxBytes) this.#chunks.push(Buffer.from(chunk))
    else this.#chunks = []
    done(null, chunk)
  }

  override _flush (done: TransformCallback): void {
    done()
    this.#whole(this.#bytes <= this.#maxBytes ? Buffer.concat(this.#chunks) : undefined)
  }
}

function teed (source: Readable, maxBytes: number): BodyTee {
  const tee = new BodyTee(maxBytes, (started) => { source.pipe(started) })
  source.once('error', (error) => { tee.destroy(error) })
  // A source that is destroyed without an error ends nothing; the client must not wait for the rest.
  source.once('close', () => { if (!source.readableEnded && !source.errored) tee.destroy() })
  tee.once('close', () => { if (!source.destroyed) source.destroy() })
  return tee
}
