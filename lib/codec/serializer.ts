import { deepFreeze, normaliseJson, type Normalised } from './json-value.ts'

/**
 * How data values are kept. A value passes through `normalise` once, when it is stored, and every reader gets the
 * `view` of it: so it has the same types on the miss, from memory and from Redis, and nobody can change what the next
 * reader sees.
 */
export interface ValueSerializer {
  /** Written into every stored entry; an entry of another name is a miss. */
  readonly name: string
  /**
   * The private form in which the cache keeps a value, and its approximate size in memory in bytes.
   * @throws FST_ERR_CACHE_VALUE for what this serialiser cannot keep, naming the path.
   */
  readonly normalise: (value: unknown) => Normalised
  /** The bytes of a normalised value. */
  readonly encode: (value: unknown) => Buffer
  /**
   * The normalised value of these bytes. They may come from anybody: it must not run code, and it must be strict.
   * @throws anything, for bytes that `encode` did not write; the entry is then a miss.
   */
  readonly decode: (bytes: Buffer) => unknown
  /** What a reader is given for a normalised value. */
  readonly view: (value: unknown) => unknown
}

/** JSON, the default: values behave as if they had been sent to a client. Hits are shared and frozen, without a copy. */
export const jsonSerializer: ValueSerializer = {
  name: 'json',
  normalise: normaliseJson,
  encode: (value) => Buffer.from(JSON.stringify(value)),
  decode: (bytes) => deepFreeze(JSON.parse(bytes.toString())),
  view: (value) => value
}
