import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EpochMs } from '../lib/clock.ts'
import { isDue } from '../lib/entry.ts'
import type { Found } from '../lib/engine/response-cache.ts'
import type { WouldBe } from '../lib/events.ts'
import { clientConditions } from '../lib/http/revalidation.ts'
import { chain, type MaybePromise } from '../lib/maybe-promise.ts'
import { admit } from './admission.ts'
import type { Comparison, Comparisons } from './comparison.ts'
import { noteOutcome } from './exchange.ts'
import type { Lookup } from './lookup.ts'
import { beginMiss, type MissOptions } from './miss.ts'
import type { RouteCache, RouteCacheParts } from './route-cache.ts'
import type { RoutePolicy } from './route-options.ts'
import { Visit } from './visit.ts'

/** What an observed answer says of itself: what the cache would have done, and why it could not keep the response. */
export function observedReason (would: WouldBe, refusal?: string): string {
  const what = would === 'stale' ? 'serve stale' : would
  return refusal === undefined ? `observed; would ${what}` : `observed; would ${what}; ${refusal}`
}

/**
 * The lookup of routes that are only observed. It looks as a lookup does, tells what it would have come to, and lets the
 * handler run. To be true, the rest of the cache's life goes on as if it had served: what would have been a hit renews
 * nothing, so that entries grow old and expire; what would have been a miss, or a refresh, is stored.
 */
export class Observer implements Lookup {
  readonly #shared: RouteCacheParts
  readonly #cache: RouteCache
  readonly #comparisons: Comparisons

  constructor (shared: RouteCacheParts, cache: RouteCache, comparisons: Comparisons) {
    this.#shared = shared
    this.#cache = cache
    this.#comparisons = comparisons
  }

  lookup (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): MaybePromise<boolean> {
    const { parts: { events, clock, log }, responses, explainer, settings } = this.#shared
    const question = explainer.questionOf(request)
    if (question !== undefined) return explainer.answer(question, policy, request, reply)
    const startedAt = events.heard('lookup') ? performance.now() : 0
    const admission = admit(request, reply, policy, settings.credentials)
    if (!admission.admitted) return this.#cache.bypass(policy, request, reply, admission.reason, startedAt)
    if (admission.credentialed) return this.#cache.bypass(policy, request, reply, 'credentials', startedAt)
    const nowMs = clock.now()
    const visit = new Visit({ policy, request, reply, key: admission.key, credentialed: false, startedAt, arrivedAtMs: nowMs, askedAtMs: nowMs, askedAt: log.tip, job: undefined })
    return chain(responses.find(visit.key, request), (found) => this.#observe(visit, found))
  }

  #observe (visit: Visit, found: Found): false {
    const { parts } = this.#shared
    const { request, key, policy, startedAt } = visit
    const { would, answered, ...options } = this.#judge(visit, found, parts.clock.now())
    // The handler may answer a condition by itself, and nothing of that is to change; but it says nothing of what is stored.
    const conditions = clientConditions(request.headers)
    beginMiss(this.#cache, parts, visit, found, { would, ...options, ...conditions === undefined ? { answered } : { conditions, alone: true } })
    const reason = observedReason(would)
    noteOutcome(request, { status: 'bypass', reason })
    if (parts.warming.current !== undefined) return false
    parts.stats.add('bypasses')
    if (parts.events.heard('lookup')) parts.events.emit('lookup', { key, result: 'bypass', atMs: parts.clock.now(), durationMs: performance.now() - startedAt, namespace: '', route: policy.route, reason, observed: would })
    return false
  }

  async #compare (comparison: Comparison): Promise<void> {
    this.#comparisons.tell(comparison, await this.#comparisons.judge(comparison))
  }

  /** What the lookup would have come to, and what has to become of the response so that the next one is true as well. */
  #judge ({ policy, request, key, askedAt }: Visit, { entry }: Found, nowMs: EpochMs): MissOptions & { would: WouldBe } {
    const { flights, parts: { events } } = this.#shared
    if (entry !== undefined && nowMs < entry.freshUntilMs) {
      const renewed = isDue(entry, policy.refreshAhead, nowMs)
      if (renewed || request.method === 'HEAD' || !events.heard('compare')) return { would: 'hit', storable: renewed }
      return { would: 'hit', storable: false, answered: (answer) => { void this.#compare({ key, route: policy.route, entry, askedAt, answer, answeredAtMs: this.#shared.parts.clock.now() }) } }
    }
    if (entry !== undefined && nowMs < entry.staleWhileRevalidateUntilMs) return { would: 'stale' }
    if (request.method === 'HEAD' || flights.isUncacheable(key)) return { would: 'miss' }
    // It would have waited for whoever is getting the same response.
    return flights.has(key) ? { would: 'hit', storable: false } : { would: 'miss', flight: flights.lead(key) }
  }
}
