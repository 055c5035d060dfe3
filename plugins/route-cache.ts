import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { EpochMs } from '../lib/clock.ts'
import type { Entry } from '../lib/entry.ts'
import { DependencyScope } from '../lib/engine/dependencies.ts'
import { beginFleetLoad } from '../lib/engine/fleet-load.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { Found, ResponseCache } from '../lib/engine/response-cache.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import type { ResponseFlight, ResponseFlights } from '../lib/engine/response-flights.ts'
import type { LookupResult } from '../lib/events.ts'
import { appendCacheStatus, cacheStatusMember, cacheStatusName, hitMember, type ForwardReason } from '../lib/http/cache-status.ts'
import { pathOf } from '../lib/keyspace/request-path.ts'
import { chain, type MaybePromise } from '../lib/maybe-promise.ts'
import type { Ticket } from '../lib/ports/invalidation-log.ts'
import { admit } from './admission.ts'
import { canonicalQuery, type ClosedQuery } from './closed-query.ts'
import { missOf, noteMiss, noteOutcome, type Miss } from './exchange.ts'
import { ObservedRequest } from './observed-request.ts'
import type { Explainer } from './explain.ts'
import type { PluginSettings } from './options.ts'
import type { Refresher, RefreshJob } from './refresh.ts'
import type { RoutePolicy } from './route-options.ts'
import { putStored } from './serve-stored.ts'

export interface RouteCacheParts {
  readonly parts: EngineParts
  readonly responses: ResponseCache
  readonly flights: ResponseFlights
  readonly refresher: Refresher
  readonly explainer: Explainer
  readonly settings: PluginSettings
}

/** For whom the handler is to run. */
interface Lead {
  readonly flight?: ResponseFlight
  readonly job?: RefreshJob
  /** When Redis was first asked for the response: its time has been running since. */
  readonly askedAtMs: EpochMs
}

/**
 * Stands between the hooks and the handler of a cached route: answers from the store, or lets the handler run and notes
 * what the capture hook needs to keep its response.
 */
export class RouteCache {
  readonly #parts: EngineParts
  readonly #responses: ResponseCache
  readonly #flights: ResponseFlights
  readonly #refresher: Refresher
  readonly #explainer: Explainer
  readonly #settings: PluginSettings
  readonly #statusName: string

  constructor ({ parts, responses, flights, refresher, explainer, settings }: RouteCacheParts) {
    this.#parts = parts
    this.#responses = responses
    this.#flights = flights
    this.#refresher = refresher
    this.#explainer = explainer
    this.#settings = settings
    this.#statusName = settings.cacheStatus === false ? '' : cacheStatusName(settings.cacheStatus)
  }

  /** The route's handler behind the lookup. It is the innermost layer: whatever guards the route has run before it. */
  around (policy: RoutePolicy, handler: RouteHandlerMethod): RouteHandlerMethod {
    const cache = this
    const lookupHere = policy.serveFrom === 'handler'
    return function cacheLookup (this: FastifyInstance, request, reply) {
      if (!lookupHere) return cache.#run(this, handler, request, reply)
      const answered = cache.lookup(policy, request, reply)
      if (answered === true) return undefined
      if (answered === false) return cache.#run(this, handler, request, reply)
      return answered.then((served) => served ? reply : cache.#run(this, handler, request, reply))
    }
  }

  /** Answers the request from the store if it can; otherwise notes on it what the handler's response will need. */
  lookup (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): MaybePromise<boolean> {
    const question = this.#explainer.questionOf(request)
    if (question !== undefined) return this.#explainer.answer(question, policy, request, reply)
    const { events } = this.#parts
    const startedAt = events.heard('lookup') ? performance.now() : 0
    const admission = admit(request, reply, policy, this.#settings.credentials)
    if (!admission.admitted) {
      this.#tell(request, 'bypass', admission.reason, policy, startedAt, request.url)
      this.#status(reply, () => cacheStatusMember(this.#settings.cacheStatus || '', { fwd: admission.reason === 'method' ? 'method' : 'bypass', detail: admission.reason }))
      return false
    }
    const { key } = admission
    const job = this.#refresher.jobOf(request)
    const askedAtMs = this.#parts.clock.now()
    const found = this.#responses.find(job?.key ?? key, request.headers)
    return chain(found, (place) => this.#decide(policy, request, reply, job?.key ?? key, place, startedAt, askedAtMs, job))
  }

  #decide (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, key: string, found: Found, startedAt: number, askedAtMs: EpochMs, job: RefreshJob | undefined): MaybePromise<boolean> {
    const { entry } = found
    const nowMs = this.#parts.clock.now()
    if (job !== undefined) return this.#lead(policy, request, reply, key, found, startedAt, { job, askedAtMs })
    if (entry !== undefined) {
      if (nowMs < entry.freshUntilMs) {
        if (policy.refreshAhead > 0 && nowMs >= entry.storedAtMs + (entry.freshUntilMs - entry.storedAtMs) * policy.refreshAhead) void this.#refresher.refresh(key, request, policy)
        this.#serve(policy, request, reply, key, entry, nowMs, 'hit', 'fresh', startedAt)
        return true
      }
      if (nowMs < entry.staleWhileRevalidateUntilMs) {
        void this.#refresher.refresh(key, request, policy)
        this.#serve(policy, request, reply, key, entry, nowMs, 'stale', 'stale-while-revalidate', startedAt)
        return true
      }
      if (policy.softTimeoutMs !== undefined && nowMs < entry.staleIfErrorUntilMs) return this.#refreshWithin(policy, request, reply, key, entry, policy.softTimeoutMs, startedAt)
    }
    if (request.method === 'HEAD' || this.#flights.isUncacheable(key)) {
      this.#beginMiss(policy, request, reply, key, found, startedAt, {})
      return false
    }
    if (this.#flights.has(key)) return this.#follow(policy, request, reply, key, startedAt)
    return this.#lead(policy, request, reply, key, found, startedAt, { flight: this.#flights.lead(key), askedAtMs })
  }

  /** Runs the handler for all who wait, in this process and, where there are leases, in the others. */
  #lead (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, key: string, found: Found, startedAt: number, how: Lead): MaybePromise<boolean> {
    if (this.#parts.leases !== undefined) return this.#leadFleet(policy, request, reply, key, found, startedAt, how)
    this.#beginMiss(policy, request, reply, key, found, startedAt, how)
    return false
  }

  async #leadFleet (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, key: string, found: Found, startedAt: number, { flight, job, askedAtMs }: Lead): Promise<boolean> {
    const fresh = async (): Promise<Entry | undefined> => {
      const { entry } = await this.#responses.find(key, request.headers)
      return entry !== undefined && this.#parts.clock.now() < entry.freshUntilMs ? entry : undefined
    }
    const start = await beginFleetLoad(this.#parts, key, { fresh, askedAtMs, waitMs: this.#settings.coalesceTimeoutMs })
    if (start.found !== undefined) {
      flight?.end('stored')
      if (job !== undefined) job.kept = true
      this.#serve(policy, request, reply, key, start.found as Entry<StoredResponse>, this.#parts.clock.now(), 'hit', 'coalesced', startedAt)
      return true
    }
    const { ticket, release } = start
    // The lease ends with the flight; one that was given back with the entry is not given back twice.
    const leased: ResponseFlight = {
      end (outcome) {
        flight?.end(outcome)
        void release()
      }
    }
    this.#beginMiss(policy, request, reply, key, found, startedAt, { flight: leased, ticket, ...job !== undefined && { job } })
    return false
  }

  /** Waits for whoever is getting the same response; goes alone when that is of no use, or takes too long. */
  async #follow (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, key: string, startedAt: number): Promise<boolean> {
    const { stats, events } = this.#parts
    stats.add('coalescedLoads')
    if (events.heard('coalesced')) events.emit('coalesced', { key, route: policy.route })
    let found: Found | undefined
    // The one who leads may be overtaken by a purge, and so may their successor: twice is enough.
    for (let attempt = 0; attempt < 2; attempt++) {
      const end = await this.#flights.wait(key, this.#settings.coalesceTimeoutMs)
      const askedAtMs = this.#parts.clock.now()
      found = await this.#responses.find(key, request.headers)
      const nowMs = this.#parts.clock.now()
      if (found.entry !== undefined && nowMs < found.entry.freshUntilMs) {
        this.#serve(policy, request, reply, key, found.entry, nowMs, 'hit', 'coalesced', startedAt)
        return true
      }
      if (end === 'failed' && found.entry !== undefined && nowMs < found.entry.staleIfErrorUntilMs) {
        this.#serve(policy, request, reply, key, found.entry, nowMs, 'stale', 'stale-if-error', startedAt)
        return true
      }
      if (end !== 'stored' && end !== 'overtaken') break
      if (!this.#flights.has(key)) {
        return await this.#lead(policy, request, reply, key, found, startedAt, { flight: this.#flights.lead(key), askedAtMs })
      }
    }
    this.#beginMiss(policy, request, reply, key, found ?? { key, entry: undefined, varyMiss: false }, startedAt, { collapsed: true })
    return false
  }

  /** A stale response that may stand in for a slow handler: renew it, and serve it as it is when that takes too long. */
  async #refreshWithin (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, key: string, stale: Entry<StoredResponse>, softTimeoutMs: number, startedAt: number): Promise<boolean> {
    const { clock } = this.#parts
    let timer = { cancel: (): void => {} }
    const tooSlow = new Promise<'too-slow'>((resolve) => { timer = clock.after(softTimeoutMs, () => { resolve('too-slow') }) })
    const how = await Promise.race([this.#refresher.refresh(key, request, policy), tooSlow])
    timer.cancel()
    const found = await this.#responses.find(key, request.headers)
    const nowMs = clock.now()
    if (found.entry !== undefined && nowMs < found.entry.freshUntilMs) {
      this.#serve(policy, request, reply, key, found.entry, nowMs, 'hit', 'refreshed', startedAt)
      return true
    }
    // A purge may have come while we waited: what it took must not be served from the copy in our hands.
    if (how === 'too-slow' && found.entry !== undefined && nowMs < found.entry.staleIfErrorUntilMs) {
      this.#serve(policy, request, reply, key, found.entry, nowMs, 'stale', 'soft-timeout', startedAt)
      return true
    }
    this.#beginMiss(policy, request, reply, key, { key, entry: found.entry === undefined ? undefined : stale, varyMiss: false }, startedAt, {})
    return false
  }

  #serve (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, key: string, entry: Entry<StoredResponse>, nowMs: number, result: 'hit' | 'stale', reason: string, startedAt: number): void {
    this.#tell(request, result, reason, policy, startedAt, key)
    const payload = putStored(request, reply, entry, nowMs)
    this.#status(reply, () => {
      const ttl = (entry.freshUntilMs - nowMs) / 1000
      return reason === 'fresh' ? hitMember(this.#statusName, ttl) : cacheStatusMember(this.#settings.cacheStatus || '', { hit: true, ttl, detail: reason })
    })
    reply.send(payload)
  }

  #beginMiss (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, key: string, found: Found, startedAt: number, how: { flight?: ResponseFlight, job?: RefreshJob, collapsed?: boolean, ticket?: Ticket }): void {
    const { log, clock } = this.#parts
    const nowMs = clock.now()
    const stale = found.entry !== undefined && nowMs < found.entry.staleIfErrorUntilMs ? found.entry : undefined
    const forward: ForwardReason = found.entry !== undefined ? 'stale' : found.varyMiss ? 'vary-miss' : 'uri-miss'
    const { flight } = how
    const miss: Miss = {
      owner: this,
      policy,
      key,
      ticket: how.ticket ?? log.ticket(),
      scope: new DependencyScope(),
      startedAt: performance.now(),
      requestTimeMs: nowMs,
      before: reply.getHeaders(),
      forward,
      collapsed: how.collapsed === true,
      storable: request.method === 'GET',
      stale,
      flight,
      job: how.job,
      observed: undefined,
      entityTags: [],
      keeping: false
    }
    noteMiss(request, miss)
    this.#tell(request, 'miss', forward, policy, startedAt, key)
    if (how.job?.encrypted === true) Object.assign(request.raw.socket, { encrypted: true })
    if (flight === undefined) return
    // Whatever becomes of the response (hijacked, cut off, never sent), nobody waits for it for ever. A client that leaves
    // says nothing about the response: the next one leads.
    // While the response is being stored, that decides.
    const left = (): void => { if (!miss.keeping) flight.end(reply.raw.writableFinished ? 'not-stored' : 'overtaken') }
    if (reply.raw.destroyed) left()
    else reply.raw.once('close', left)
  }

  /** Runs the handler; for a miss, inside the scope that notes what is read, and with the request under observation. */
  #run (app: FastifyInstance, handler: RouteHandlerMethod, request: FastifyRequest, reply: FastifyReply): unknown {
    const miss = missOf(request)
    if (miss === null || miss.owner !== this) return handler.call(app, request, reply)
    const { policy } = miss
    miss.observed = new ObservedRequest(request, policy.query !== undefined && !isSpelledAsKeyed(request, policy.query))
    return this.#parts.dependencies.track(miss.scope, () => handler.call(app, request, reply))
  }

  #status (reply: FastifyReply, member: () => string): void {
    if (this.#settings.cacheStatus === false) return
    const existing = reply.getHeader('cache-status')
    reply.header('cache-status', existing === undefined ? member() : appendCacheStatus(String(existing), member()))
  }

  #tell (request: FastifyRequest, status: LookupResult, reason: string, policy: RoutePolicy, startedAt: number, key: string): void {
    const { stats, events } = this.#parts
    noteOutcome(request, status === 'hit' && reason === 'fresh' ? FRESH : { status, reason })
    stats.add(status === 'miss' ? 'misses' : status === 'bypass' ? 'bypasses' : 'hits')
    if (status === 'stale') stats.add('staleHits')
    if (events.heard('lookup')) events.emit('lookup', { key, result: status, durationMs: performance.now() - startedAt, namespace: '', route: policy.route, reason })
  }
}

/** Whether the target says just what the key says. If not, a response that shows it is not for everybody with that key. */
function isSpelledAsKeyed ({ raw, query }: FastifyRequest, closed: ClosedQuery): boolean {
  const target = raw.url ?? '/'
  return target === pathOf(target) + canonicalQuery(closed, query as Record<string, unknown>)
}

const FRESH = Object.freeze({ status: 'hit', reason: 'fresh' } as const)
