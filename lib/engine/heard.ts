import type { EpochMs } from '../clock.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { catchUpWith, mayLag } from '../ports/purge-knowledge.ts'
import { within } from '../resilience/within.ts'
import type { EngineParts } from './parts.ts'

/**
 * Where the log stands when it has all that was purged before now; `undefined` if that cannot be found out within the patience of
 * somebody who has been asking Redis since `askedAtMs`.
 */
export function tipOnceHeard ({ log, strict, clock, patienceMs }: EngineParts, askedAtMs: EpochMs): MaybePromise<number | undefined> {
  if (!mayLag(log, strict)) return log.tip
  return within(catchUpWith(log, strict), askedAtMs + patienceMs, clock, false).then((known) => known ? log.tip : undefined)
}
