import type { Seconds } from '../clock.ts'

/** The largest delta a cache has to tell from others (RFC 9111 §1.2.2); greater ones are taken for it. */
export const MAX_DELTA_SECONDS: Seconds = 2 ** 31

/** Delta-seconds (RFC 9111 §1.2.2): digits only; `undefined` for a sign, a fraction, a blank or nothing. */
export function parseDeltaSeconds (text: string): Seconds | undefined {
  return /^\d+$/.test(text) ? Math.min(Number(text), MAX_DELTA_SECONDS) : undefined
}
