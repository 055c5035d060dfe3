import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Found } from '../lib/engine/response-cache.ts'
import type { Entry } from '../lib/entry.ts'
import type { ComparisonResult } from '../lib/events.ts'
import { headerOf } from '../lib/http/headers.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { chain, type MaybePromise } from '../lib/maybe-promise.ts'
import { admit } from './admission.ts'
import { Comparisons, isSame, type Comparison } from './comparison.ts'
import { outcomeOf, type Answer } from './exchange.ts'
import type { Lookup } from './lookup.ts'
import { beginMiss } from './miss.ts'
import { OwnRequests } from './own-requests.ts'
import { repeatableHeaders } from './repeatable-headers.ts'
import type { RouteCache, RouteCacheParts } from './route-cache.ts'
import type { RoutePolicy } from './route-options.ts'

/** A hit that is asked for again, to run its handler. */
interface Verification {
  found: { readonly key: string, readonly entry: Entry<StoredResponse>, readonly askedAt: number } | undefined
  answer: Answer | undefined
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** Verifications at the same time; a hit that is drawn while so many run is not verified. */
const MAX_RUNNING = 2
/** By these a proxy in front says what scheme and host the client saw, and `accept-version` chooses the route. */
const OF_THE_KEY = ['host', 'forwarded', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-for', 'accept-version']

/**
 * Takes a share of the hits and runs their handlers again, in the background, by requests of the plugin's own: as the
 * same client, with the same headers. What they answer is compared with what is stored, and thrown away.
 */
export class Verifier implements Lookup {
  readonly #shared: RouteCacheParts
  readonly #cache: RouteCache
  readonly #comparisons: Comparisons
  readonly #requests: OwnRequests<Verification>
  readonly #running = new Set<Promise<void>>()
  readonly #warned = new Set<string>()
  #closed = false

  constructor (app: FastifyInstance, shared: RouteCacheParts, cache: RouteCache, comparisons: Comparisons) {
    this.#shared = shared
    this.#cache = cache
    this.#comparisons = comparisons
    this.#requests = new OwnRequests(app, shared.parts)
  }

  lookup (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): MaybePromise<boolean> {
    const verification = this.#requests.purposeOf(request)
    return verification === undefined ? this.#cache.lookup(policy, request, reply) : this.#runHandler(verification, policy, request, reply)
  }

  /** After a response: verifies it if it was a hit, and chance will have it so. */
  draw (policy: RoutePolicy, request: FastifyRequest): void {
    const { events, random } = this.#shared.parts
    const { status, reason } = outcomeOf(request)
    if (status !== 'hit' || reason !== 'fresh' || random() >= policy.verify) return
    // A client that has gone has no address any more, and would seem to be this very machine.
    if (this.#closed || this.#running.size >= MAX_RUNNING || request.socket.destroyed || !events.heard('compare')) return
    const running = this.#verify(policy, request)
      .catch((error: unknown) => { if (!this.#closed) events.emit('fault', { where: `verification of ${policy.route}`, error }) })
      .finally(() => { this.#running.delete(running) })
    this.#running.add(running)
  }

  /** Gives up what runs; nobody waits for it. */
  close (): void {
    this.#closed = true
    this.#requests.abandon()
  }

  async #verify (policy: RoutePolicy, request: FastifyRequest): Promise<void> {
    const headers = repeatableHeaders(request)
    const verification: Verification = { found: undefined, answer: undefined }
    const answer = await this.#ask(verification, request, headers)
    const { found } = verification
    if (found === undefined || answer === undefined) return
    const comparison: Comparison = { ...found, route: policy.route, answer, answeredAtMs: this.#shared.parts.clock.now() }
    const verdict = await this.#comparisons.judge(comparison)
    const told = verdict === 'different' && !this.#closed ? await this.#explain(policy, request, verification, comparison, headers) : verdict
    if (told === 'wrong-key') this.#warn(policy, request)
    this.#comparisons.tell(comparison, told)
  }

  /** One client may have got what was made for another. */
  #warn ({ route }: RoutePolicy, request: FastifyRequest): void {
    if (this.#warned.has(route)) return
    this.#warned.add(route)
    request.log.warn({ route }, `cache: a stored response of ${route} is not what its handler answers to this request; the difference lies in a header that is not in the key. Name it in headers or in Vary, or give a partition`)
  }

  /**
   * Why two answers differ, by experiment: the request is made twice more, once with nothing but what its key is made of. If
   * the answers of the full request agree with each other, but not with that of the bare one, it is the rest that makes the
   * difference, and the key lacks it.
   */
  async #explain (policy: RoutePolicy, request: FastifyRequest, verification: Verification, comparison: Comparison, headers: Headers): Promise<ComparisonResult> {
    const bare = await this.#ask(verification, request, this.#keyedOnly(headers, policy, comparison.entry))
    const again = await this.#ask(verification, request, headers)
    if (this.#comparisons.isPurged(comparison)) return 'purged'
    if (again === undefined) return 'different'
    if (!isSame(again, comparison.answer)) return 'unrepeatable'
    // A guard may have refused the bare request: that says nothing of the page.
    if (bare === undefined || bare.status !== again.status) return 'different'
    return isSame(bare, again) ? 'outdated' : 'wrong-key'
  }

  async #ask (verification: Verification, model: FastifyRequest, headers: Headers): Promise<Answer | undefined> {
    verification.answer = undefined
    await this.#requests.make(verification, { model, url: model.originalUrl, headers })
    return verification.answer
  }

  /** The lookup of a request of our own: the handler runs if there is something to compare its answer with. */
  #runHandler (verification: Verification, policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): MaybePromise<boolean> {
    const { parts, responses, settings } = this.#shared
    const askedAt = parts.log.tip
    const nowMs = parts.clock.now()
    const admission = admit(request, reply, policy, settings.credentials)
    const known = verification.found
    if (!admission.admitted || (known !== undefined && known.key !== admission.key)) return decline(reply)
    const { key, credentialed } = admission
    return chain(responses.lookAgain(key, request), (found: Found) => {
      if (known === undefined) {
        const { entry } = found
        if (entry === undefined || nowMs >= entry.freshUntilMs) return decline(reply)
        verification.found = { key, entry, askedAt }
      }
      beginMiss(this.#cache, parts, { policy, request, reply, key, credentialed, startedAt: 0, arrivedAtMs: nowMs, askedAtMs: nowMs, askedAt, job: undefined }, found, {
        storable: false,
        answered: (answer) => { verification.answer = answer }
      })
      return false
    })
  }

  #keyedOnly (headers: Headers, policy: RoutePolicy, { value }: Entry<StoredResponse>): Headers {
    const varies = headerOf(value.headers, 'vary')?.toLowerCase().split(',').map((name) => name.trim()) ?? []
    const keyed = new Set([...OF_THE_KEY, ...policy.headers, ...varies])
    if (policy.cookies.length > 0) keyed.add('cookie')
    // Whatever says who the client is may be what the partition is made of.
    if (policy.partition !== undefined) for (const name of this.#shared.settings.credentials) keyed.add(name)
    return Object.fromEntries(Object.entries(headers).filter(([name]) => keyed.has(name)))
  }
}

/** There is nothing to compare an answer with, so that the handler need not run. */
function decline (reply: FastifyReply): true {
  void reply.code(204).send()
  return true
}
