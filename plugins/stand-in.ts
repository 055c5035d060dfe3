import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { Entry } from '../lib/entry.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { setBack } from './added-headers.ts'
import { letGo } from './body-capture.ts'
import type { Miss } from './exchange.ts'
import { putStored, responseFor } from './serve-stored.ts'

/** The stale response that may be served in place of a failure (RFC 5861 §4), if there is one. */
export function standInFor ({ stale, staleAt, key }: Miss, { clock, log }: EngineParts): Entry<StoredResponse> | undefined {
  if (stale === undefined || clock.now() >= stale.staleIfErrorUntilMs) return undefined
  // A purge that came while the handler ran has taken the stale copy as well.
  return log.judge(key, stale.marks, staleAt) === 'purged' ? undefined : stale
}

/** Puts a stale response onto the reply in place of what the handler has put there; answers the payload to send. */
export function putStandIn (stale: Entry<StoredResponse>, { before, policy }: Miss, request: FastifyRequest, reply: FastifyReply, failed: unknown, nowMs: number): string | Buffer | null {
  letGo(failed)
  setBack(reply, before)
  return putStored(reply, responseFor(request, stale, policy.outlet.isSeen(request)), stale, nowMs) ?? null
}
