import type { EpochMs, Milliseconds } from '../lib/clock.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { Entry } from '../lib/entry.ts'
import type { ComparisonResult } from '../lib/events.ts'
import { headerOf } from '../lib/http/headers.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { isFailure } from '../lib/http/staleness.ts'
import type { Answer } from './exchange.ts'

/** A stored response that is good to be served, and what its handler answers now. */
export interface Comparison {
  readonly key: string
  readonly route: string
  readonly entry: Entry<StoredResponse>
  /** Where the log stood when the entry was found. */
  readonly askedAt: number
  readonly answer: Answer
  readonly answeredAtMs: EpochMs
}

/** Whoever changes something purges a moment later; so long a difference is not believed. */
const GRACE_MS: Milliseconds = 1000
/** Differences that wait for it at most; what comes on top is not counted. */
const MAX_WAITING = 100

/** Compares what is stored with what its handler answers now, and tells what came of it. */
export class Comparisons {
  readonly #parts: EngineParts
  #waiting = 0

  constructor (parts: EngineParts) {
    this.#parts = parts
  }

  /**
   * What can be told from one answer. `different` says that, a moment after, no purge has explained the difference.
   * `unclear`: too many wait for that moment.
   */
  async judge (comparison: Comparison): Promise<ComparisonResult | 'unclear'> {
    const { answer, entry: { value } } = comparison
    if (isFailure(answer.status)) return 'failed'
    if (isSame(answer, { status: value.status, location: headerOf(value.headers, 'location'), body: value.body })) return 'same'
    if (this.#waiting >= MAX_WAITING) return 'unclear'
    this.#waiting++
    await new Promise<void>((resolve) => { this.#parts.clock.after(GRACE_MS, resolve) })
    this.#waiting--
    return this.isPurged(comparison) ? 'purged' : 'different'
  }

  /** Whether a purge has touched the entry since it was found. */
  isPurged ({ key, entry, askedAt }: Comparison): boolean {
    return this.#parts.log.judge(key, entry.marks, askedAt) !== 'valid'
  }

  tell ({ key, route, entry: { storedAtMs }, answeredAtMs }: Comparison, result: ComparisonResult | 'unclear'): void {
    const { events } = this.#parts
    if (result !== 'unclear' && events.heard('compare')) events.emit('compare', { key, route, result, storedAtMs, ageMs: Math.max(0, answeredAtMs - storedAtMs) })
  }
}

/** Whether two answers are the same to a client: hooks and the cache itself may add to the headers, so those do not count. */
export function isSame (a: Answer, b: Answer): boolean {
  return a.status === b.status && a.location === b.location && a.body.equals(b.body)
}
