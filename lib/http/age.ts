import type { EpochMs, Milliseconds, Seconds } from '../clock.ts'
import { MAX_DELTA_SECONDS, parseDeltaSeconds } from './delta-seconds.ts'
import { parseHttpDate } from './http-date.ts'
import { headerOf, linesOf } from './headers.ts'
import type { HeaderList } from './headers.ts'

/** The Age field (RFC 9111 §5.1): the first member of a list; an invalid one is ignored, so it is 0. */
export function ageFieldSeconds (headers: HeaderList): Seconds {
  const first = linesOf(headers, 'age')[0]?.split(',', 1)[0]
  return first === undefined ? 0 : parseDeltaSeconds(first.trim()) ?? 0
}

export interface InitialAgeInput {
  readonly headers: HeaderList
  /** When the request that led to this response began; counting from there is a MUST. */
  readonly requestTimeMs: EpochMs
  readonly responseTimeMs: EpochMs
}

/** How old a response is already when it is received (RFC 9111 §4.2.3, `corrected_initial_age`). */
export function initialAgeMs ({ headers, requestTimeMs, responseTimeMs }: InitialAgeInput): Milliseconds {
  const date = headerOf(headers, 'date')
  const dateMs = date === undefined ? undefined : parseHttpDate(date, responseTimeMs)
  // A Date knows whole seconds, so what was made this very second would look up to one second old.
  const apparentMs = dateMs === undefined ? 0 : Math.floor(responseTimeMs / 1000) * 1000 - dateMs
  const delayMs = Math.max(0, responseTimeMs - requestTimeMs)
  return Math.max(0, apparentMs, ageFieldSeconds(headers) * 1000 + delayMs)
}

/** The Age to send (RFC 9111 §4.2.3, `current_age`): the age at receipt and the time in the store since, whole seconds. */
export function ageSeconds (initialAgeMs: Milliseconds, storedAtMs: EpochMs, nowMs: EpochMs): Seconds {
  const ms = initialAgeMs + Math.max(0, nowMs - storedAtMs)
  return Math.min(Math.floor(ms / 1000), MAX_DELTA_SECONDS)
}
