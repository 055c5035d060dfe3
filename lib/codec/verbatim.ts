import type { ValueSerializer } from './serializer.ts'

/** A guess; what an arbitrary object really occupies cannot be asked. */
const ASSUMED_BYTES = 100

const notForRedis = (): never => { throw new TypeError('values that are kept as they are cannot leave the process') }

/**
 * Keeps the very object that was given: no copy, no check, no protection. For values of which the program is sure that
 * nobody changes them, in memory only.
 */
export const verbatimSerializer: ValueSerializer = {
  name: 'verbatim',
  normalise: (value) => ({ value, bytes: typeof value === 'string' ? 2 * value.length : ASSUMED_BYTES }),
  encode: notForRedis,
  decode: notForRedis,
  view: (value) => value
}
