import type { EpochMs } from '../clock.ts'
import type { Entry } from '../entry.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { bytesOf, joinBodies, lengthsOf, splitBodies, type CodedBody } from './coded-bodies.ts'
import type { Compression, Packed } from './compression.ts'
import { MAX_LIFE_MS, positionOf, readEntryHeader, type EntryHeader } from './entry-header.ts'
import { frame, unframe } from './envelope.ts'
import type { ResponseHead } from './response-head.ts'
import type { ValueSerializer } from './serializer.ts'
import { readVariantList } from './variants.ts'

/** One moment by two clocks: this process's, and the one all instances share. They may differ by any amount. */
export interface Moment { readonly localMs: EpochMs, readonly sharedMs: EpochMs }

/**
 * Why bytes are no entry for this reader. `foreign`: not ours at all; `version`: of another release, perhaps a newer
 * one, so leave it alone; `header`, `body`: damaged or forged; `other-key`: an entry, but not this one; `serializer`:
 * written by another serialiser.
 */
export type DecodeFault = 'foreign' | 'version' | 'header' | 'body' | 'other-key' | 'serializer' | 'too-large'

export type Decoded = { readonly ok: true, readonly entry: Entry } | { readonly ok: false, readonly reason: DecodeFault }

export interface EntryCodec {
  /** @throws what the serialiser throws for a value it cannot write */
  readonly encode: (key: string, entry: Entry, at: Moment) => MaybePromise<Buffer>
  /** Never throws and never rejects, whatever the bytes are. */
  readonly decode: (key: string, bytes: Buffer, at: Moment) => MaybePromise<Decoded>
}

export interface EntryCodecOptions {
  readonly serializer: ValueSerializer
  readonly compression: Compression
  /** A body that would be longer than this once decompressed is not read. */
  readonly maxBytes: number
}

/** What a response entry holds, as far as it matters here. */
interface ResponseValue { readonly status: number, readonly headers: ResponseHead[1], readonly body: Buffer, readonly text?: boolean, readonly encoded?: readonly CodedBody[] }

const responseOf = (entry: Entry): ResponseValue => entry.value as ResponseValue

function headOf (entry: Entry): ResponseHead {
  const { status, headers, text } = responseOf(entry)
  return text === true ? [status, headers, 1] : [status, headers]
}

/** Whether the body is compressed already, for clients that accept it. */
const isEncoded = (entry: Entry): boolean => responseOf(entry).headers.some(([name]) => name === 'content-encoding')

const codedOf = (entry: Entry): readonly CodedBody[] => entry.kind === 'response' ? responseOf(entry).encoded ?? [] : []

const span = (ms: number): number => Math.min(Math.max(0, ms), MAX_LIFE_MS)

const damaged = (): never => { throw new TypeError('damaged') }

const fault = (reason: DecodeFault): Decoded => ({ ok: false, reason })

export function createEntryCodec ({ serializer, compression, maxBytes }: EntryCodecOptions): EntryCodec {
  const bodyOf = (entry: Entry): Buffer => {
    if (entry.kind === 'response') return responseOf(entry).body
    return entry.kind === 'data' ? serializer.encode(entry.value) : Buffer.from(JSON.stringify(entry.value))
  }

  const valueOf = (header: EntryHeader, body: Buffer, encoded: readonly CodedBody[]): unknown => {
    if (header.t === 'data') return serializer.decode(body)
    if (header.t === 'variants') return readVariantList(header.k, JSON.parse(body.toString())) ?? damaged()
    const [status, headers, text] = header.r as ResponseHead
    return { status, headers, body, ...text === 1 && { text: true }, ...encoded.length > 0 && { encoded } }
  }

  const seal = (key: string, entry: Entry, at: Moment, length: number, packed: Packed): Buffer => {
    const coded = codedOf(entry)
    return frame({
      k: key,
      t: entry.kind,
      at: Math.round(Math.max(0, entry.storedAtMs - at.localMs + at.sharedMs)),
      f: span(entry.freshUntilMs - entry.storedAtMs),
      w: span(entry.staleWhileRevalidateUntilMs - entry.storedAtMs),
      e: span(entry.staleIfErrorUntilMs - entry.storedAtMs),
      ...(entry.keptUntilMs === undefined ? {} : { v: span(entry.keptUntilMs - entry.storedAtMs) }),
      m: entry.marks,
      p: [entry.asOf.epoch, entry.asOf.seq],
      l: span(Math.round(entry.loadMs)),
      b: Math.ceil(entry.bytes),
      n: length,
      c: packed.codec,
      ...(entry.kind === 'data' ? { s: serializer.name } : {}),
      ...(entry.kind === 'response' ? { r: headOf(entry) } : {}),
      ...(coded.length > 0 ? { x: lengthsOf(coded) } : {})
    } satisfies EntryHeader, joinBodies(packed.bytes, coded))
  }

  const open = (header: EntryHeader, at: Moment, body: Buffer | undefined, coded: readonly CodedBody[]): Decoded => {
    if (body === undefined) return fault('body')
    try {
      // The bytes may be a slice of what came from the socket; an entry in memory must not hold on to all of that.
      const own = header.t === 'response' && header.c === '' ? Buffer.from(body) : body
      return { ok: true, entry: entryOf(header, valueOf(header, own, coded), at) }
    } catch {
      return fault('body')
    }
  }

  return {
    encode (key, entry, at) {
      const body = bodyOf(entry)
      const packed = entry.kind === 'response' && isEncoded(entry) ? { codec: '', bytes: body } : compression.pack(body)
      return packed instanceof Promise ? packed.then((done) => seal(key, entry, at, body.length, done)) : seal(key, entry, at, body.length, packed)
    },

    decode (key, bytes, at) {
      const parts = unframe(bytes)
      if (!parts.ok) return parts
      const header = readEntryHeader(parts.header)
      if (header === undefined) return fault('header')
      if (header.k !== key) return fault('other-key')
      if (header.t === 'data' && header.s !== serializer.name) return fault('serializer')
      if (header.n > maxBytes) return fault('too-large')
      const split = splitBodies(parts.body, header.x)
      if (split === undefined) return fault('body')
      const body = compression.unpack({ codec: header.c, bytes: split.packed }, header.n)
      return body instanceof Promise ? body.then((raw) => open(header, at, raw, split.coded)) : open(header, at, body, split.coded)
    }
  }
}

function entryOf (header: EntryHeader, value: unknown, at: Moment): Entry {
  // By a clock that was set back, an entry can seem to come from the future; it is then as young as can be.
  const storedAtMs = at.localMs - Math.max(0, at.sharedMs - header.at)
  const entry: Entry = {
    kind: header.t,
    value,
    storedAtMs,
    freshUntilMs: storedAtMs + header.f,
    staleWhileRevalidateUntilMs: storedAtMs + header.w,
    staleIfErrorUntilMs: storedAtMs + header.e,
    marks: header.m,
    asOf: positionOf(header),
    // Never less than is really there: memory is accounted by it.
    bytes: Math.max(header.b, header.n + bytesOf(header.x)),
    loadMs: header.l
  }
  return header.v === undefined ? entry : { ...entry, keptUntilMs: storedAtMs + header.v }
}
