import type { FastifyReply } from 'fastify'
import type { EngineParts } from '../lib/engine/parts.ts'
import { DependencyScope } from '../lib/engine/dependencies.ts'
import type { Found } from '../lib/engine/response-cache.ts'
import type { ResponseFlight } from '../lib/engine/response-flights.ts'
import type { ForwardReason } from '../lib/http/cache-status.ts'
import type { Ticket } from '../lib/ports/invalidation-log.ts'
import type { WouldBe } from '../lib/events.ts'
import { headersNow } from './added-headers.ts'
import { arrivalOf, Miss, noteMiss, type Answer } from './exchange.ts'
import type { Conditions } from './observed-request.ts'
import { onReplyEnd } from './reply-end.ts'
import { beginValidation } from './validation.ts'
import type { Visit } from './visit.ts'

/** For whom the handler is going to run. */
export interface MissOptions {
  readonly flight?: ResponseFlight
  /** The ticket of a lease; otherwise one is taken now. */
  readonly ticket?: Ticket
  /** Whether the request waited for another one in vain. */
  readonly collapsed?: boolean
  /** The client will not have what is stored. @default false */
  readonly declined?: boolean
  /** Whether the response may be stored, if it is one to a GET. @default true */
  readonly storable?: boolean
  /** Why the handler runs, where what is stored has no part in it. */
  readonly forward?: ForwardReason
  /** What the handler sees of the client's own conditions, unless it is to validate what is stored. @default nothing */
  readonly conditions?: Conditions | undefined
  /** Whether what becomes of it tells nothing of other requests with its key. @default false */
  readonly alone?: boolean
  readonly part?: Miss['part']
  readonly would?: WouldBe
  readonly answered?: ((answer: Answer) => void) | undefined
}

/** Why what was found does not do for a request as all others are. */
export function forwardReason ({ entry, varyMiss }: Found): ForwardReason {
  return entry !== undefined ? 'stale' : varyMiss ? 'vary-miss' : 'uri-miss'
}

/** Notes on the request that its handler is going to run, and all that the capture hook will need. */
export function beginMiss (owner: object, { log, clock, dependencies }: EngineParts, visit: Visit, found: Found, { flight, ticket, collapsed = false, declined = false, storable = true, forward, conditions, alone = false, part, would, answered }: MissOptions): Miss {
  const { policy, request, reply, key, credentialed, job } = visit
  const nowMs = clock.now()
  const arrival = arrivalOf(request)
  // A purge that came since it was found, while this waited for a lease, has taken what would be validated. One that
  // comes from now on is after the ticket, and keeps what is confirmed out of the store.
  const validation = storable && would === undefined && policy.http.revalidateMs > 0 && found.entry !== undefined && log.judge(key, found.entry.marks, visit.askedAt) !== 'purged' ? beginValidation(found.entry) : undefined
  const miss = new Miss({
    owner,
    policy,
    key,
    credentialed,
    // Hooks are still to come on a public route.
    asked: policy.serveFrom === 'onRequest' ? { ...request.headers } : request.headers,
    ticket: ticketFor(visit, ticket ?? log.ticket()),
    scope: arrival?.scope ?? new DependencyScope(),
    startedAt: performance.now(),
    requestTimeMs: nowMs,
    before: headersNow(reply),
    forward: forward ?? (would !== undefined ? 'bypass' : declined ? 'request' : forwardReason(found)),
    collapsed,
    storable: storable && request.method === 'GET',
    outgrown: found.entry === undefined ? undefined : { key: found.key, response: found.entry.value },
    stale: would === undefined && answered === undefined && found.entry !== undefined && nowMs < found.entry.staleIfErrorUntilMs ? found.entry : undefined,
    staleAt: visit.askedAt,
    flight,
    validation,
    conditions: validation?.fields ?? conditions,
    job,
    alone,
    part,
    would,
    answered
  })
  noteMiss(request, miss)
  endWithReply(miss, visit, arrival === null ? dependencies.hold(miss.scope) : undefined)
  return miss
}

/**
 * The moment from which on a purge makes the response too old. It is the handler's start, unless there are hooks before it:
 * who knows what they have loaded, so then it is the arrival.
 */
function ticketFor ({ request }: Visit, now: Ticket): Ticket {
  const arrival = arrivalOf(request)
  return arrival === null ? now : { ...now, ...arrival.ticket }
}

/** Whoever hijacks a reply sends what is not seen here, such as events without end: nobody is to wait for it. */
function endWithHijack (reply: FastifyReply, flight: ResponseFlight): void {
  const { hijack } = reply
  reply.hijack = function hijackAlone () {
    flight.end('not-stored')
    return hijack.call(this)
  }
}

/**
 * Whatever becomes of the response (hijacked, cut off, never sent), nobody waits for it for ever, and its scope is held open
 * no longer. An arrival has seen to that already.
 */
function endWithReply (miss: Miss, { reply }: Visit, release: (() => void) | undefined): void {
  const { flight } = miss
  if (flight === undefined && release === undefined) return
  if (flight !== undefined) endWithHijack(reply, flight)
  onReplyEnd(reply, () => {
    release?.()
    // A client that leaves says nothing about the response: the next one leads. While it is being stored, that decides.
    if (flight !== undefined && !miss.keeping) flight.end(reply.raw.writableFinished ? 'not-stored' : 'overtaken')
  })
}
