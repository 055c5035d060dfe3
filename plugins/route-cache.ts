import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { EpochMs, Milliseconds } from '../lib/clock.ts'
import { isDue, type Entry } from '../lib/entry.ts'
import { beginFleetLoad } from '../lib/engine/fleet-load.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { Found, ResponseCache } from '../lib/engine/response-cache.ts'
import type { ResponseFlight, ResponseFlights } from '../lib/engine/response-flights.ts'
import { errors } from '../lib/errors.ts'
import type { LookupResult } from '../lib/events.ts'
import { ageSeconds } from '../lib/http/age.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { isPromise, type MaybePromise } from '../lib/maybe-promise.ts'
import { within } from '../lib/resilience/within.ts'
import { admit, type BypassReason } from './admission.ts'
import { isParticular, judgeWish } from './client-wish.ts'
import { arrivalOf, noteOutcome } from './exchange.ts'
import type { Explainer } from './explain.ts'
import { HandlerScope } from './handler-scope.ts'
import { beginMiss, type MissOptions } from './miss.ts'
import type { Lookup } from './lookup.ts'
import type { PluginSettings } from './options.ts'
import type { Refresher } from './refresh.ts'
import { addStatus, OwnStatus } from './own-status.ts'
import { hasLeft } from './reply-end.ts'
import type { RoutePolicy } from './route-options.ts'
import { putStored, responseFor } from './serve-stored.ts'
import { Visit } from './visit.ts'

/** What a request has seen of the store at one moment, and how long it has waited for it until then. */
interface Look { readonly visit: Visit, readonly found: Found, readonly spentMs: Milliseconds }

export interface RouteCacheParts {
  readonly parts: EngineParts
  readonly responses: ResponseCache
  readonly flights: ResponseFlights
  readonly refresher: Refresher
  readonly explainer: Explainer
  readonly settings: PluginSettings
}

/**
 * Stands between the hooks and the handler of a cached route: answers from the store, or lets the handler run and notes
 * what the capture hook needs to keep its response.
 */
export class RouteCache implements Lookup {
  readonly #parts: EngineParts
  readonly #responses: ResponseCache
  readonly #flights: ResponseFlights
  readonly #refresher: Refresher
  readonly #explainer: Explainer
  readonly #settings: PluginSettings
  readonly status: OwnStatus
  /** Runs what the lookup stands in front of. */
  readonly handlers: HandlerScope

  constructor ({ parts, responses, flights, refresher, explainer, settings }: RouteCacheParts) {
    this.#parts = parts
    this.handlers = new HandlerScope(this, parts)
    this.#responses = responses
    this.#flights = flights
    this.#refresher = refresher
    this.#explainer = explainer
    this.#settings = settings
    this.status = new OwnStatus(settings)
  }

  /**
   * The route's handler behind the lookup. It is the innermost layer: whatever guards the route has run before it.
   * @param lookups what takes the place of the lookup. @default that of this cache
   */
  around (policy: RoutePolicy, handler: RouteHandlerMethod, lookups: Lookup = this): RouteHandlerMethod {
    const cache = this
    const lookupHere = policy.serveFrom === 'handler'
    return function cacheLookup (this: FastifyInstance, request, reply) {
      if (!lookupHere) return cache.handlers.run(this, handler, request, reply)
      const answered = lookups.lookup(policy, request, reply)
      if (answered === true) return undefined
      if (answered === false) return cache.handlers.run(this, handler, request, reply)
      // A handler that answers through `reply.send` returns nothing: the reply itself is what to wait for, else Fastify would
      // take the nothing for the answer.
      return cache.handlers.answerOf(request, answered.then((served) => served ? reply : cache.handlers.run(this, handler, request, reply) ?? reply))
    }
  }

  /** Answers the request from the store if it can; otherwise notes on it what the handler's response will need. */
  lookup (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): MaybePromise<boolean> {
    const question = this.#explainer.questionOf(request)
    if (question !== undefined) return this.#explainer.answer(question, policy, request, reply)
    const { events, clock, log } = this.#parts
    const startedAt = events.heard('lookup') ? performance.now() : 0
    const job = this.#refresher.jobOf(request)
    const admission = admit(request, reply, policy, this.#settings.credentials)
    if (!admission.admitted) return this.bypass(policy, request, reply, admission.reason, startedAt)
    // What the response depends on may have changed since the refresh was asked for, the user who is logged in above all.
    if (job !== undefined && job.key !== admission.key) return this.bypass(policy, request, reply, 'moved', startedAt)
    const nowMs = clock.now()
    const visit = new Visit({ policy, request, reply, key: admission.key, credentialed: admission.credentialed, unknownTo: admission.unknownTo, startedAt, arrivedAtMs: nowMs, askedAtMs: nowMs, askedAt: log.tip, job })
    const found = job === undefined ? this.#responses.find(visit.key, request) : this.#responses.lookAgain(visit.key, request)
    return isPromise(found) ? found.then((later) => this.#decide(visit, later, clock.now())) : this.#decide(visit, found, nowMs)
  }

  #decide (visit: Visit, found: Found, nowMs: EpochMs): MaybePromise<boolean> {
    const { policy, request, key, job } = visit
    const { entry } = found
    if (job !== undefined) return this.#lead(visit, found, undefined)
    if (isParticular(request, policy, visit.credentialed)) {
      const answered = this.#grant(visit, found, nowMs)
      if (answered !== undefined) return answered
    }
    if (entry !== undefined) {
      if (nowMs < entry.freshUntilMs) {
        if (isDue(entry, policy.refreshAhead, nowMs)) void this.#refresher.refresh(visit, found)
        return this.serve(visit, entry, nowMs, 'hit', 'fresh')
      }
      if (nowMs < entry.staleWhileRevalidateUntilMs) return this.#serveAndRefresh(visit, found, entry, nowMs)
      if (policy.softTimeoutMs !== undefined && nowMs < entry.staleIfErrorUntilMs) return this.#refreshWithin(visit, found, policy.softTimeoutMs)
    }
    if (request.method === 'HEAD' || this.#flights.isUncacheable(key)) return this.#miss(visit, found, {})
    return this.#flights.has(found.key) ? this.#follow(visit, found) : this.#lead(visit, found, this.#flights.lead(found.key))
  }

  /** Deals with a request that is not like all others; `undefined` when it is, after all. */
  #grant (visit: Visit, found: Found, nowMs: number): boolean | undefined {
    const { policy, request, reply, startedAt, key } = visit
    const wish = judgeWish(visit, found.entry, nowMs)
    if (wish.kind === 'bypass') return this.bypass(policy, request, reply, 'credentials', startedAt)
    if (wish.kind === 'alone') return this.#miss(visit, found, wish)
    if (wish.kind === 'stale' && found.entry !== undefined) return this.serve(visit, found.entry, nowMs, 'stale', 'max-stale')
    if (wish.kind !== 'unavailable') return undefined
    this.tell(request, 'miss', 'only-if-cached', policy, startedAt, nowMs, key)
    reply.send(new errors.FST_ERR_CACHE_ONLY_IF_CACHED())
    return true
  }

  /**
   * Runs the handler for all who wait, in this process and, where there are leases, in the others.
   * @param collapsed whether the request has waited in vain itself
   */
  #lead (visit: Visit, found: Found, flight: ResponseFlight | undefined, collapsed = false): MaybePromise<boolean> {
    if (this.#parts.leases?.available === true) return this.#leadFleet(visit, found, flight, collapsed)
    return this.#miss(visit, found, flight === undefined ? {} : { flight, collapsed })
  }

  async #leadFleet (visit: Visit, found: Found, flight: ResponseFlight | undefined, collapsed: boolean): Promise<boolean> {
    const { clock } = this.#parts
    const look = (): MaybePromise<Found> => this.#responses.findShared(visit.key, visit.request)
    const start = await beginFleetLoad(this.#parts, found.key, { look, renewed: visit.job?.renewed, askedAtMs: visit.askedAtMs, waitMs: this.#patienceMs(visit) })
    if (start.found !== undefined) {
      flight?.end('stored')
      if (visit.job !== undefined) visit.job.kept = true
      return this.serve(visit, start.found as Entry<StoredResponse>, clock.now(), 'hit', 'coalesced', found)
    }
    const { ticket, release } = start
    // The lease ends with the flight; one that was given back with the entry is not given back twice.
    const leased: ResponseFlight = {
      end (outcome) {
        flight?.end(outcome)
        void release()
      },
      land (outcome) { flight?.land(outcome) }
    }
    return this.#miss(visit, found, { flight: leased, ticket, collapsed })
  }

  /**
   * Waits for whoever is getting the same response, and takes the lead when they leave without it: one at a time, however
   * many leave. Goes alone when waiting is of no use, or takes too long.
   */
  async #follow (first: Visit, before: Found): Promise<boolean> {
    const { stats, events, clock } = this.#parts
    const { key, policy, request, reply } = first
    stats.add('coalescedLoads')
    if (events.heard('coalesced')) events.emit('coalesced', { key, route: policy.route })
    let look: Look = { visit: first, found: before, spentMs: clock.now() - first.askedAtMs }
    while (this.#patienceMs(first) > 0) {
      const end = await this.#flights.wait(look.found.key, this.#patienceMs(first))
      // Nobody runs a handler for a client that has left; whoever is still there does.
      if (hasLeft(reply)) return true
      const again = await this.#lookAgain(first, look.spentMs)
      // What was found before is as old as it was: a purge may have taken it since.
      if (again === undefined) break
      look = again
      const { visit, found } = look
      const nowMs = clock.now()
      if (found.entry !== undefined && nowMs < found.entry.freshUntilMs) return this.serve(visit, found.entry, nowMs, 'hit', 'coalesced', before)
      if (found.entry !== undefined && nowMs < found.entry.staleWhileRevalidateUntilMs) return this.#serveAndRefresh(visit, found, found.entry, nowMs)
      if (end === 'failed' && found.entry !== undefined && nowMs < found.entry.staleIfErrorUntilMs) return this.serve(visit, found.entry, nowMs, 'stale', 'stale-if-error')
      if (end !== 'stored' && end !== 'overtaken') break
      if (end === 'overtaken' && this.#cannotStore(request)) {
        await within(this.#refresher.refresh(look.visit, look.found), first.arrivedAtMs + this.#settings.coalesceTimeoutMs, clock, undefined)
        look = await this.#lookAgain(first, look.spentMs) ?? look
        const { visit, found: { entry } } = look
        if (entry !== undefined && clock.now() < entry.freshUntilMs) return this.serve(visit, entry, clock.now(), 'hit', 'coalesced', before)
        break
      }
      // What was stored may be the variant of others: ours has a key of its own, by which we wait now.
      if (!this.#flights.has(found.key)) return await this.#lead(visit, found, this.#flights.lead(found.key), true)
    }
    return this.#miss(look.visit, look.found, { collapsed: true })
  }

  /**
   * Looks once more for who has waited, for the store or for the handler of another, which are two things.
   * @param spentMs how long the request has waited for the store in all
   * @returns nothing where the store does not answer within what is left of the patience with it
   */
  async #lookAgain (first: Visit, spentMs: Milliseconds): Promise<Look | undefined> {
    const { clock, log, patienceMs } = this.#parts
    const visit = new Visit({ ...first, askedAtMs: clock.now() - spentMs, askedAt: log.tip })
    const found = await within(Promise.resolve(this.#responses.lookAgain(first.key, first.request)), visit.askedAtMs + patienceMs, clock, undefined)
    return found === undefined ? undefined : { visit, found, spentMs: clock.now() - visit.askedAtMs }
  }

  /**
   * Whether the hooks of a request have run before a purge: they may have loaded what it took, so whatever is built now could
   * not be kept. If those who wait led one after the other, each would run the handler for itself alone; one request of our own,
   * whose hooks run now, does it for all.
   */
  #cannotStore (request: FastifyRequest): boolean {
    const arrival = arrivalOf(request)
    return arrival !== null && arrival.ticket.at !== this.#parts.log.tip
  }

  /** How long the request may still wait for others, in this process and in the fleet together. */
  #patienceMs ({ arrivedAtMs }: Visit): number {
    return Math.max(0, arrivedAtMs + this.#settings.coalesceTimeoutMs - this.#parts.clock.now())
  }

  /** A stale response may stand in for a slow handler: renew it, and serve it as it is when that fails or takes too long. */
  async #refreshWithin (first: Visit, before: Found, softTimeoutMs: Milliseconds): Promise<boolean> {
    const { clock } = this.#parts
    const spentMs = clock.now() - first.askedAtMs
    let timer = { cancel: (): void => {} }
    const tooSlow = new Promise<'too-slow'>((resolve) => { timer = clock.after(softTimeoutMs, () => { resolve('too-slow') }) })
    const end = await Promise.race([this.#refresher.refresh(first, before), tooSlow])
    timer.cancel()
    // A purge may have come while we waited: what it took must not be served from the copy in our hands.
    const look = await this.#lookAgain(first, spentMs)
    if (look === undefined) return this.#miss(first, before, {})
    const { visit, found } = look
    const nowMs = clock.now()
    if (found.entry !== undefined && nowMs < found.entry.freshUntilMs) return this.serve(visit, found.entry, nowMs, 'hit', 'refreshed')
    if ((end === 'too-slow' || end === 'failed') && found.entry !== undefined && nowMs < found.entry.staleIfErrorUntilMs) {
      return this.serve(visit, found.entry, nowMs, 'stale', end === 'failed' ? 'stale-if-error' : 'soft-timeout')
    }
    return this.#miss(visit, found, {})
  }

  #serveAndRefresh (visit: Visit, found: Found, entry: Entry<StoredResponse>, nowMs: EpochMs): true {
    void this.#refresher.refresh(visit, found)
    return this.serve(visit, entry, nowMs, 'stale', 'stale-while-revalidate')
  }

  /**
   * Answers from a stored response.
   * @param collapsed what was found before the request waited for another one
   */
  serve (visit: Visit, entry: Entry<StoredResponse>, nowMs: number, result: 'hit' | 'stale', reason: string, collapsed?: Found): true {
    const { request, reply, policy, startedAt, key, unknownTo } = visit
    this.tell(request, result, reason, policy, startedAt, nowMs, key)
    unknownTo?.note(request, key)
    const response = responseFor(request, entry, policy.outlet.isSeen(request))
    const member = this.status.ofStored(key, (entry.freshUntilMs - nowMs) / 1000, reason, collapsed)
    if (policy.outlet.send(request, reply, response, String(ageSeconds(0, entry.storedAtMs, nowMs)), member)) return true
    const payload = putStored(reply, response, entry, nowMs)
    if (member !== undefined) addStatus(reply, member)
    reply.send(payload)
    return true
  }

  #miss (visit: Visit, found: Found, options: MissOptions): false {
    const { forward } = beginMiss(this, this.#parts, visit, found, options)
    this.tell(visit.request, 'miss', forward, visit.policy, visit.startedAt, visit.askedAtMs, visit.key)
    return false
  }

  /** Lets the handler run as if there were no cache, and says why. */
  bypass (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, reason: BypassReason, startedAt: number): false {
    this.tell(request, 'bypass', reason, policy, startedAt, this.#parts.clock.now(), request.url)
    this.status.bypass(request, reply, reason)
    request.log.debug({ route: policy.route, reason }, 'cache: the request passes by')
    return false
  }

  /** Says what came of a request: to itself, to the statistics and to listeners. */
  tell (request: FastifyRequest, status: LookupResult, reason: string, policy: RoutePolicy, startedAt: number, atMs: EpochMs, key: string): void {
    const { stats, events, warming } = this.#parts
    noteOutcome(request, status === 'hit' && reason === 'fresh' ? FRESH : { status, reason })
    if (warming.current !== undefined) return
    stats.add(status === 'miss' ? 'misses' : status === 'bypass' ? 'bypasses' : 'hits')
    if (status === 'stale') stats.add('staleHits')
    if (events.heard('lookup')) events.emit('lookup', { key, result: status, atMs, durationMs: performance.now() - startedAt, namespace: '', route: policy.route, reason })
  }
}

const FRESH = Object.freeze({ status: 'hit', reason: 'fresh' } as const)
