import { promisify } from 'node:util'
import { brotliCompress, brotliCompressSync, brotliDecompress, brotliDecompressSync, constants, gunzip, gunzipSync, gzip, gzipSync } from 'node:zlib'

import { errors, shown } from '../errors.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { refuseUnknown } from '../unknown-option.ts'

/** A way to make bytes smaller. Other ones than the built-in may be handed in: lz4 costs a fifth of brotli. */
export interface Compressor {
  /** Written into every entry it compressed; without it they are misses. Letters, digits and hyphens. */
  readonly name: string
  readonly compress: (bytes: Buffer) => MaybePromise<Buffer>
  /**
   * @param maxBytes what comes out must not be longer; stop as soon as it is
   * @throws anything, for bytes that are damaged or become too long; the entry is then a miss
   */
  readonly decompress: (bytes: Buffer, maxBytes: number) => MaybePromise<Buffer>
}

/**
 * From here on the work is done in the thread pool. Getting there and back costs 50 to 100 µs, as much as compressing
 * 10 KB; above, the event loop is worth more than that.
 */
const ASYNC_FROM_BYTES = 32 * 1024

const isSmall = (bytes: number): boolean => bytes < ASYNC_FROM_BYTES

const brotliAsync = promisify(brotliCompress)
const unbrotliAsync = promisify(brotliDecompress)
const gzipAsync = promisify<Buffer, { level: number }, Buffer>(gzip)
const gunzipAsync = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)

/** Quality 1: at 100 KB faster than gzip -1, and smaller. Node's default, 11, takes 200 ms for that. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }

export const brotli: Compressor = {
  name: 'br',
  compress: (bytes) => isSmall(bytes.length) ? brotliCompressSync(bytes, BROTLI) : brotliAsync(bytes, BROTLI),
  decompress: (bytes, maxOutputLength) => isSmall(maxOutputLength) ? brotliDecompressSync(bytes, { maxOutputLength }) : unbrotliAsync(bytes, { maxOutputLength })
}

export const gzipFast: Compressor = {
  name: 'gzip',
  compress: (bytes) => isSmall(bytes.length) ? gzipSync(bytes, { level: 1 }) : gzipAsync(bytes, { level: 1 }),
  decompress: (bytes, maxOutputLength) => isSmall(maxOutputLength) ? gunzipSync(bytes, { maxOutputLength }) : gunzipAsync(bytes, { maxOutputLength })
}

export interface CompressionOptions {
  /** How new entries are compressed. @default 'brotli' */
  readonly codec?: 'none' | 'brotli' | 'gzip' | Compressor
  /** Smaller bodies, in bytes, are stored as they are. @default 1024 */
  readonly minBytes?: number
}

const CODECS = ['none', 'brotli', 'gzip']
/** It becomes part of every entry. */
const CODEC_NAME = /^[A-Za-z0-9-]{1,32}$/
const OPTION_NAMES: ReadonlySet<string> = new Set<keyof CompressionOptions>(['codec', 'minBytes'])

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function checkCompression (given: unknown): CompressionOptions {
  if (typeof given !== 'object' || given === null) throw new errors.FST_ERR_CACHE_OPTION('compression', shown(given), 'an object with codec, minBytes or both')
  refuseUnknown(given, OPTION_NAMES, 'compression.')
  const { codec, minBytes } = given as { codec?: unknown, minBytes?: unknown }
  if (codec !== undefined && !CODECS.includes(codec as string) && !isCompressor(codec)) throw new errors.FST_ERR_CACHE_OPTION('compression.codec', shown(codec), "'none', 'brotli', 'gzip', or an object with compress(bytes), decompress(bytes, maxBytes) and a name of its own of at most 32 letters, digits and hyphens")
  if (minBytes !== undefined && (!Number.isSafeInteger(minBytes) || Number(minBytes) < 0)) throw new errors.FST_ERR_CACHE_OPTION('compression.minBytes', shown(minBytes), 'a whole number, 0 or more')
  return given
}

/** The names of the built-in ones are theirs: an entry says by its name how it is to be read, to every instance. */
function isCompressor (codec: unknown): boolean {
  const { name, compress, decompress } = (codec ?? {}) as Partial<Compressor>
  return typeof name === 'string' && CODEC_NAME.test(name) && name !== brotli.name && name !== gzipFast.name && typeof compress === 'function' && typeof decompress === 'function'
}

/** Bytes as they are stored: `codec` is empty when compression was not worth it. */
export interface Packed { readonly codec: string, readonly bytes: Buffer }

export interface Compression {
  /** Never longer than what was given; what cannot be compressed is stored as it is. */
  readonly pack: (bytes: Buffer) => MaybePromise<Packed>
  /**
   * The reverse, whatever `codec` new entries get. `length` is how long the result must be.
   * Answers `undefined` for an unknown codec, also for a chain of known ones, and for damaged bytes.
   */
  readonly unpack: (packed: Packed, length: number) => MaybePromise<Buffer | undefined>
}

export function createCompression ({ codec = 'brotli', minBytes = 1024 }: CompressionOptions = {}): Compression {
  const chosen = codec === 'brotli' ? brotli : codec === 'gzip' ? gzipFast : codec === 'none' ? undefined : codec
  const known = new Map([brotli, gzipFast, ...(chosen === undefined ? [] : [chosen])].map((compressor) => [compressor.name, compressor]))
  const smaller = (bytes: Buffer, compressed: Buffer, name: string): Packed => compressed.length < bytes.length ? { codec: name, bytes: compressed } : { codec: '', bytes }
  const exact = (bytes: Buffer, length: number): Buffer | undefined => bytes.length === length ? bytes : undefined
  return {
    pack (bytes) {
      if (chosen === undefined || bytes.length < minBytes) return { codec: '', bytes }
      const asItIs: Packed = { codec: '', bytes }
      try {
        const compressed = chosen.compress(bytes)
        return compressed instanceof Promise
          ? compressed.then((done) => smaller(bytes, done, chosen.name), () => asItIs)
          : smaller(bytes, compressed, chosen.name)
      } catch {
        return asItIs
      }
    },
    unpack ({ codec: name, bytes }, length) {
      if (name === '') return exact(bytes, length)
      const compressor = known.get(name)
      // zlib takes a limit of 0 for none; nothing that is empty was ever compressed.
      if (compressor === undefined || length < 1) return undefined
      try {
        const raw = compressor.decompress(bytes, length)
        return raw instanceof Promise ? raw.then((done) => exact(done, length), () => undefined) : exact(raw, length)
      } catch {
        return undefined
      }
    }
  }
}
