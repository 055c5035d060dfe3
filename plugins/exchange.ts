import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Entry } from '../lib/entry.ts'
import type { DependencyScope } from '../lib/engine/dependencies.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import type { ResponseFlight } from '../lib/engine/response-flights.ts'
import type { LookupResult, WouldBe } from '../lib/events.ts'
import { NO_ENTITIES, type Entities } from '../lib/http/entity-path.ts'
import type { ForwardReason } from '../lib/http/cache-status.ts'
import type { HeaderValue } from '../lib/http/headers.ts'
import type { Mark } from '../lib/keyspace/mark.ts'
import type { Ticket } from '../lib/ports/invalidation-log.ts'
import type { Conditions, ObservedRequest } from './observed-request.ts'
import type { RefreshJob } from './refresh.ts'
import type { NamesOf, RoutePolicy } from './route-options.ts'
import type { Arrival } from './visit.ts'

/** What the cache did for a request, as `request.cache` tells it. */
export interface CacheOutcome {
  readonly status: LookupResult
  /** Why: `fresh`, `stale-while-revalidate`, `stale-if-error`, why the handler ran, or why the cache was passed by. */
  readonly reason: string
}

/** What the handler answered, as the store would have it. */
export interface Answer extends Pick<StoredResponse, 'status' | 'body'> {
  readonly location: string | undefined
}

export type ReplyHeaders = Record<string, number | HeaderValue | undefined>

/** A stored response that the handler is asked about: it may answer that nothing has changed (RFC 9111 §4.3). */
export interface Validation {
  readonly stored: StoredResponse
  /** By what names a purge reaches it. The handler that validates it need not read again what it was built from. */
  readonly marks: readonly Mark[]
  readonly fields: Conditions
}

/** The place of a part that a request has asked for and that is not stored. */
interface MissedPart { readonly key: string, readonly earlier: Entry<StoredResponse> | undefined }

/** A stored response that a request could not be served from. */
interface Outgrown { readonly key: string, readonly response: StoredResponse }

/**
 * A request that goes on to the handler, and all that is needed to keep what comes back. A class, for the
 * same reason as `Visit`.
 */
export class Miss {
  /** Whose miss it is, where several caches are registered. */
  readonly owner: object
  readonly policy: RoutePolicy
  readonly key: string
  /** The request carried credentials when it was sent. */
  readonly credentialed: boolean
  /** The headers of the request as they were looked up by: who answers may change them. */
  readonly asked: FastifyRequest['headers']
  /** Where the log stood before the handler began. */
  ticket: Ticket
  readonly scope: DependencyScope
  readonly startedAt: number
  readonly requestTimeMs: number
  /** The headers of the reply as the handler found them: what it adds is what a hit has to replay. */
  before: ReplyHeaders
  readonly forward: ForwardReason
  /** Whether the request waited for another one in vain. */
  readonly collapsed: boolean
  /** Not so: HEAD, which is answered from a stored GET; what an observed route would have served from the store. */
  readonly storable: boolean
  /** What was found and would not do, such as a response grown stale. */
  readonly outgrown: Outgrown | undefined
  /** What may be served if the handler fails. */
  readonly stale: Entry<StoredResponse> | undefined
  /** Where the log stood when that was found. */
  readonly staleAt: number
  readonly flight: ResponseFlight | undefined
  /** What the handler is asked about what is stored. */
  readonly validation: Validation | undefined
  /** What the handler sees in place of the conditions of the client. */
  readonly conditions: Conditions | undefined
  observed: ObservedRequest | undefined = undefined
  /** The scope of the hooks behind ours, where they run while a handler goes on: what they read is not part of the response. */
  behind: DependencyScope | undefined = undefined
  /** Our member of Cache-Status, as far as it was known by then. */
  said: string | undefined = undefined
  /** What the payload holds of the entities that the route names. */
  entities: Entities = NO_ENTITIES
  /** The response is on its way into the store, which will say what became of it. */
  keeping = false
  readonly job: RefreshJob | undefined
  /** It runs for this request as no other would ask: what becomes of it tells nothing of the others with its key. */
  readonly alone: boolean
  /** Where a part is kept if the handler answers with one, and which is there already. */
  readonly part: MissedPart | undefined
  /** What the cache would have done, where it may only look on: nothing of the response is to change. */
  readonly would: WouldBe | undefined
  /** Told what the handler has answered, as far as its body could be kept. */
  readonly answered: ((answer: Answer) => void) | undefined

  constructor (begun: MissBegun) {
    this.owner = begun.owner
    this.policy = begun.policy
    this.key = begun.key
    this.credentialed = begun.credentialed
    this.asked = begun.asked
    this.ticket = begun.ticket
    this.scope = begun.scope
    this.startedAt = begun.startedAt
    this.requestTimeMs = begun.requestTimeMs
    this.before = begun.before
    this.forward = begun.forward
    this.collapsed = begun.collapsed
    this.storable = begun.storable
    this.outgrown = begun.outgrown
    this.stale = begun.stale
    this.staleAt = begun.staleAt
    this.flight = begun.flight
    this.validation = begun.validation
    this.conditions = begun.conditions
    this.job = begun.job
    this.alone = begun.alone
    this.part = begun.part
    this.would = begun.would
    this.answered = begun.answered
  }
}

/** What is known of a miss before its handler runs. */
export type MissBegun = Omit<Miss, 'observed' | 'behind' | 'said' | 'entities' | 'keeping'>

const kOutcome: unique symbol = Symbol('fastify-response-cache.outcome')
const kMiss: unique symbol = Symbol('fastify-response-cache.miss')
const kArrival: unique symbol = Symbol('fastify-response-cache.arrival')
const kTags: unique symbol = Symbol('fastify-response-cache.tags')

/** What the cache notes on requests and replies, under symbols of its own. */
interface NotedRequest { [kOutcome]: CacheOutcome | null, [kMiss]: Miss | null, [kArrival]: Arrival | null }
interface NotedReply { [kTags]: string[] | null }

export const noteSymbols = { outcome: kOutcome, miss: kMiss, arrival: kArrival, tags: kTags } as const

const noted = (request: FastifyRequest): NotedRequest => request as unknown as NotedRequest

const NOT_CONFIGURED: CacheOutcome = Object.freeze({ status: 'bypass', reason: 'not-configured' })

export const outcomeOf = (request: FastifyRequest): CacheOutcome => noted(request)[kOutcome] ?? NOT_CONFIGURED
export const noteOutcome = (request: FastifyRequest, outcome: CacheOutcome): void => { noted(request)[kOutcome] = outcome }
// The requests of a context that was there before the plugin have no such property at all.
export const arrivalOf = (request: FastifyRequest): Arrival | null => noted(request)[kArrival] ?? null
export const noteArrival = (request: FastifyRequest, arrival: Arrival): void => { noted(request)[kArrival] = arrival }
export const missOf = (request: FastifyRequest): Miss | null => noted(request)[kMiss] ?? null
export const noteMiss = (request: FastifyRequest, miss: Miss | null): void => { noted(request)[kMiss] = miss }

/** What a success of the route invalidates in this cache; also for a route that was there before the plugin. */
export const invalidatesOf = (config: object, cacheName: string): NamesOf | undefined => (config as Record<string, { invalidates?: NamesOf } | undefined>)[cacheName]?.invalidates

const NO_TAGS: readonly string[] = Object.freeze([])

/** The tags that a reply has been given. It is another list whenever some have been added. */
export const tagsOfReply = (reply: FastifyReply): readonly string[] => (reply as unknown as NotedReply)[kTags] ?? NO_TAGS

export function addReplyTags (reply: FastifyReply, tags: readonly string[]): void {
  const held = reply as unknown as NotedReply
  held[kTags] = [...held[kTags] ?? [], ...tags]
}
