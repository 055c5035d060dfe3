import type { FastifyReply, FastifyRequest } from 'fastify'
import { Precompression } from '../lib/engine/precompression.ts'
import { appendCacheStatus, cacheStatusMember } from '../lib/http/cache-status.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import type { Mark } from '../lib/keyspace/mark.ts'
import { chain, type MaybePromise } from '../lib/maybe-promise.ts'
import type { WriteVerdict } from '../lib/ports/base-cache.ts'
import { within } from '../lib/resilience/within.ts'
import { noteMiss, noteOutcome, type Miss, type ReplyHeaders } from './exchange.ts'
import { observedReason } from './observer.ts'
import { forgetParts, placeOf } from './parts.ts'
import type { RouteCacheParts } from './route-cache.ts'
import type { Judgement } from './storing-judge.ts'

export type Storing = Judgement & { readonly store: true }

/** What Cache-Status says of a miss beside why it was one. */
interface MissStatus { readonly ttl?: number, readonly stored?: boolean, readonly detail?: string, readonly fwdStatus?: number | undefined }

/** Reasons that are as a rule not meant, and stay: what to do about them. */
const UNMEANT: ReadonlyMap<string, string> = new Map([
  ['set-cookie', 'one sets a cookie. Set it where nothing is cached, or only when it changes (with @fastify/session: rolling: false, saveUninitialized: false)'],
  ['too-large', 'one is larger than maxBodyBytes'],
  ['too-many-tags', 'one has more than a thousand tags']
])

/**
 * How misses end: the response is stored, or it is not, or a stale one stood in. Each end is told in Cache-Status, to the
 * statistics and listeners, and to the requests that wait for it.
 */
export class MissEnds {
  readonly #parts: RouteCacheParts
  readonly #precompression = new Precompression()
  readonly #warned = new Set<string>()

  constructor (parts: RouteCacheParts) {
    this.#parts = parts
  }

  /** Stores a response; what became of that is told when it is known. */
  keep (miss: Miss, request: FastifyRequest, response: StoredResponse, judgement: Storing, marks: readonly Mark[], loadMs: number): void {
    const { parts, responses, flights } = this.#parts
    const { freshness, vary } = judgement
    const place = placeOf(miss, response, marks, this.#parts.settings.maxBodyBytes)
    miss.keeping = true
    const write = (whole: StoredResponse): MaybePromise<WriteVerdict> => {
      const written = responses.keep({
        key: place.key,
        request: { headers: miss.asked, raw: request.raw },
        response: whole,
        initialAgeMs: freshness.initialAgeMs,
        vary,
        ticket: miss.ticket,
        marks: place.marks,
        freshForMs: freshness.freshForMs,
        staleWhileRevalidateMs: freshness.staleWhileRevalidateMs,
        staleIfErrorMs: freshness.staleIfErrorMs,
        keptForMs: judgement.keptForMs,
        loadMs
      })
      if (written instanceof Promise) this.#land(miss, written)
      return written
    }
    const { precompress } = miss.policy
    const verdict = precompress.length === 0 ? write(place.response) : this.#precompression.keep(place.response, precompress, write)
    const settled = chain(verdict, (done) => {
      if (!done.stored) {
        this.refuse(miss, request, done.reason)
        return
      }
      parts.stats.add('sets')
      if (place.key === miss.key) forgetParts(miss, parts)
      if (parts.events.heard('store')) parts.events.emit('store', { key: miss.key, bytes: response.body.length, kind: 'response', atMs: parts.clock.now(), route: miss.policy.route, freshForMs: freshness.freshForMs, value: response.body })
      if (miss.job !== undefined) miss.job.kept = true
      // What has to be validated for each use is of none to whoever waits, and nobody is to wait for it.
      const shareable = freshness.freshForMs > 0 || freshness.staleWhileRevalidateMs > 0
      if (shareable) flights.forgetUncacheable(miss.key)
      else flights.rememberUncacheable(miss.key)
      miss.flight?.end(shareable ? 'stored' : 'not-stored')
    })
    if (settled instanceof Promise) {
      // A store does not throw; should one do so all the same, nobody waits for it, and the process lives on.
      settled.catch((error: unknown) => {
        parts.events.emit('fault', { where: `storing a response of ${miss.policy.route}`, error })
        this.refuse(miss, request, 'unavailable')
      })
    }
  }

  /** Who waits here waits for this process, or for Redis to have its chance; not for both. */
  #land ({ flight }: Miss, written: Promise<WriteVerdict>): void {
    const { store, clock, patienceMs } = this.#parts.parts
    if (store.near !== undefined) flight?.land('stored')
    else void within(written, clock.now() + patienceMs, clock, undefined).then((verdict) => { if (verdict === undefined) flight?.land('not-stored') })
  }

  /** A response that is not stored: said in Cache-Status, to the statistics, and to whoever waits for it. */
  giveUp (miss: Miss, request: FastifyRequest, reply: FastifyReply, reason: string): void {
    this.status(miss, reply, { stored: false, detail: reason })
    this.refuse(miss, request, reason)
  }

  /**
   * What is stored has been superseded by an answer that is not. Other instances have copies, which stand in for what fails
   * there, so it is purged: by one record for each response that was stored, for whoever says so later finds it purged.
   */
  forget (miss: Miss): void {
    const { outgrown, staleAt } = miss
    const { log, store } = this.#parts.parts
    forgetParts(miss, this.#parts.parts)
    if (outgrown === undefined) return
    if (log.judge(outgrown.key, [], staleAt) !== 'purged') void log.append({ keys: [outgrown.key] })
    void store.remove([outgrown.key])
  }

  /** A response that is not stored, when the head has been written: said to the statistics, and to whoever waits for it. */
  refuse (miss: Miss, request: FastifyRequest, reason: string): void {
    const { parts, flights } = this.#parts
    const posted = miss.forward === 'method'
    parts.stats.add('refusals')
    this.#say(request, miss.policy.route, reason)
    if (parts.events.heard('refuse')) parts.events.emit('refuse', { key: miss.key, reason, route: miss.policy.route })
    noteOutcome(request, miss.would !== undefined ? { status: 'bypass', reason: observedReason(miss.would, reason) } : { status: posted ? 'bypass' : 'miss', reason })
    // An error and a purge pass; what the response is by nature will be so again.
    const passing = miss.alone || reason === 'purged' || reason === 'unavailable' || reason === 'broken-body' || reason === 'built-from-stale' || /^status; 5/.test(reason)
    if (!passing) flights.rememberUncacheable(miss.key)
    miss.flight?.end(reason === 'purged' ? 'overtaken' : 'not-stored')
  }

  #say (request: FastifyRequest, route: string, reason: string): void {
    const cure = UNMEANT.get(reason)
    const warning = `${reason} ${route}`
    if (cure === undefined || this.#warned.has(warning)) {
      request.log.debug({ route, reason }, 'cache: the response is not stored')
      return
    }
    this.#warned.add(warning)
    request.log.warn({ route, reason }, `responses of ${route} are not cached: ${cure}`)
  }

  /** A stale response goes out instead of the failure: for this request, and for those who wait for it. */
  stoodIn (miss: Miss, request: FastifyRequest): void {
    noteOutcome(request, { status: 'stale', reason: 'stale-if-error' })
    this.#parts.parts.stats.add('staleHits')
    miss.flight?.end('failed')
    noteMiss(request, null)
  }

  /** @param headers where the head is being written: the headers that go out */
  status (miss: Miss, reply: FastifyReply, rest: MissStatus, headers?: ReplyHeaders): void {
    const { cacheStatus, cacheStatusKey } = this.#parts.settings
    if (cacheStatus === false) return
    // Written out, for every miss comes by here: spreading what may not be there is slow.
    const member = cacheStatusMember(cacheStatus, {
      fwd: miss.forward,
      fwdStatus: rest.fwdStatus,
      ttl: rest.ttl,
      stored: rest.stored,
      collapsed: miss.collapsed ? false : undefined,
      key: cacheStatusKey ? miss.key : undefined,
      detail: miss.would === undefined ? rest.detail : observedReason(miss.would, rest.detail)
    })
    const existing = (headers === undefined ? reply.getHeader('cache-status') : headers['cache-status'])?.toString()
    // What was said before is corrected where it stands, between the members of others.
    const value = miss.said !== undefined && existing?.includes(miss.said) === true ? existing.replace(miss.said, () => member) : appendCacheStatus(existing, member)
    miss.said = member
    if (headers === undefined) reply.header('cache-status', value)
    else headers['cache-status'] = value
  }
}
