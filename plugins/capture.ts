import type { FastifyReply, FastifyRequest } from 'fastify'
import { MAX_MARKS } from '../lib/engine/dependencies.ts'
import { Precompression } from '../lib/engine/precompression.ts'
import type { Mark } from '../lib/keyspace/mark.ts'
import { appendCacheStatus, cacheStatusMember } from '../lib/http/cache-status.ts'
import { parseCacheControl } from '../lib/http/cache-control.ts'
import { judgeConditional } from '../lib/http/conditional.ts'
import { makeEtag } from '../lib/http/etag.ts'
import { headerListOf, type HeaderList } from '../lib/http/headers.ts'
import { formatHttpDate } from '../lib/http/http-date.ts'
import { stripUnstorable, type StoredResponse } from '../lib/http/response.ts'
import { isFailure } from '../lib/http/staleness.ts'
import { effectiveVary } from '../lib/http/vary.ts'
import { chain, type MaybePromise } from '../lib/maybe-promise.ts'
import type { WriteVerdict } from '../lib/ports/base-cache.ts'
import { within } from '../lib/resilience/within.ts'
import { addedHeaders, headersUnchanged, ownCacheControl, setBack, varyOnKey, withEtag } from './added-headers.ts'
import { captureBody, unwrapResponse, type BodyTee, type CapturedBody } from './body-capture.ts'
import { sendGroups } from './cache-groups.ts'
import { noteMiss, noteOutcome, type Miss, type ReplyHeaders } from './exchange.ts'
import { onFinalHeaders } from './final-headers.ts'
import { observedReason } from './observer.ts'
import { responseMarks } from './response-marks.ts'
import type { RouteCacheParts } from './route-cache.ts'
import { putStandIn, standInFor } from './stand-in.ts'
import { SurrogateKeys } from './surrogate-keys.ts'
import { StoringJudge, type JudgedResponse, type Judgement } from './storing-judge.ts'
import { judgeAnswer, putConfirmed } from './validation.ts'

type Storing = Judgement & { readonly store: true }

const REVALIDATED = Object.freeze({ status: 'miss', reason: 'revalidated' } as const)

/**
 * Keeps the responses of handlers. The payload and the headers are taken in our onSend hook, which comes first, so that
 * the hooks behind it see a stored response exactly as they see a new one. Whether it is stored is decided on the headers
 * that really go out: a cookie that another plugin adds at the last moment still counts.
 */
export class Capture {
  readonly #parts: RouteCacheParts
  readonly #judge: StoringJudge
  readonly #precompression = new Precompression()
  readonly #surrogateKeys: SurrogateKeys | undefined

  constructor (parts: RouteCacheParts) {
    this.#parts = parts
    this.#judge = new StoringJudge(parts.parts, parts.settings)
    if (parts.settings.tagHeader !== undefined) this.#surrogateKeys = new SurrogateKeys(parts.settings.tagHeader)
  }

  /** Takes hold of what the handler of a missed request sends; answers the payload that goes on in its place. */
  take (miss: Miss, request: FastifyRequest, reply: FastifyReply, sent: unknown): unknown {
    const inputs = miss.observed?.end() ?? new Set<string>()
    const { parts, settings } = this.#parts
    const payload = unwrapResponse(reply, sent)
    parts.stats.add('loads')
    const loadMs = performance.now() - miss.startedAt
    const handlerStatus = reply.statusCode
    const failed = isFailure(handlerStatus)
    if (failed) parts.stats.add('loadErrors')
    if (failed && miss.job !== undefined) miss.job.failed = true
    if (parts.events.heard('load')) parts.events.emit('load', { key: miss.key, ok: !failed, durationMs: loadMs, route: miss.policy.route })
    const stale = failed ? standInFor(miss, parts) : undefined
    if (stale !== undefined) {
      const nowMs = parts.clock.now()
      const standIn = putStandIn(stale, miss, request, reply, payload, nowMs)
      this.#status(miss, reply, { fwdStatus: handlerStatus, ttl: (stale.freshUntilMs - nowMs) / 1000, detail: 'stale-if-error' })
      this.#stoodIn(miss, request)
      return standIn
    }

    const nowMs = parts.clock.now()
    const confirmed = this.#confirmed(miss, request, reply, payload, nowMs)
    const body = captureBody(confirmed?.body ?? payload, settings.maxBodyBytes)
    if (!miss.storable && confirmed === undefined) {
      if (miss.answered !== undefined) tellAnswer(miss.answered, body, reply)
      this.#status(miss, reply, { stored: false })
      return body.payload
    }
    // A hook behind the lookup of a public route has answered in place of the handler.
    if (body.kind === 'opaque' || miss.observed === undefined) {
      this.#giveUp(miss, request, reply, body.kind === 'opaque' ? 'opaque-body' : 'answered-before')
      return body.payload
    }
    const status = reply.statusCode
    const bytes = body.kind === 'bytes' ? body.body : undefined
    const marks = responseMarks(miss, request, reply, bytes, confirmed?.marks)
    const answered = headerListOf(reply.getHeaders() as ReplyHeaders)
    const response: JudgedResponse = { status, nowMs, bytes, inputs, vary: effectiveVary(answered), routeTtlMs: this.#judge.ttlMs(miss.policy, status) }
    const judge = (headers: HeaderList): Judgement => this.#judge.judge(miss, request, response, headers)
    const refusal = marks === undefined ? 'tags-failed' : marks.length > MAX_MARKS ? 'too-many-tags' : bytes !== undefined && bytes.length > settings.maxBodyBytes ? 'too-large' : undefined
    const first: Judgement = refusal === undefined ? judge(answered) : { store: false, reason: refusal }
    if (!first.store || marks === undefined) {
      this.#giveUp(miss, request, reply, first.store ? 'tags-failed' : first.reason)
      return body.payload
    }

    const untouched = miss.would === undefined ? undefined : { ...reply.getHeaders() as ReplyHeaders }
    if (reply.getHeader('date') === undefined) reply.header('date', formatHttpDate(nowMs))
    const etag = bytes !== undefined && status === 200 && bytes.length > 0 && reply.getHeader('etag') === undefined ? makeEtag(bytes) : undefined
    if (etag !== undefined) reply.header('etag', etag)
    const downstream = ownCacheControl(miss.policy, reply.getHeader('cache-control')?.toString())
    if (downstream !== undefined) reply.header('cache-control', downstream)
    varyOnKey(reply, miss.policy, response.vary)
    if (miss.policy.http.groups.out) sendGroups(reply, marks)
    this.#surrogateKeys?.put(request, reply, marks)
    const headers = stripUnstorable(addedHeaders(miss.before, reply.getHeaders() as ReplyHeaders), { cacheControl: parseCacheControl(reply.getHeader('cache-control')?.toString()), keepSetCookie: miss.policy.http.storeSetCookie })
    if (untouched !== undefined) setBack(reply, untouched)
    this.#status(miss, reply, { ...confirmed !== undefined && { fwdStatus: handlerStatus }, ttl: first.freshness.freshForMs / 1000, stored: bytes !== undefined && parts.canStore() })

    const ours = reply.getHeaders() as ReplyHeaders
    let decided: Judgement | undefined
    let whole: Buffer | undefined = bytes
    // Hooks behind ours may compress or shorten the payload; its length is then no longer that of what we hold.
    // What we told browsers about their own copies says nothing about ours, and our tag tells the handler nothing.
    const theirs = (all: ReplyHeaders): HeaderList => headerListOf(all).filter(([name, value]) => name !== 'content-length' && !(name === 'cache-control' && value === downstream) && !(name === 'etag' && value === etag))
    let final: ReplyHeaders = ours
    // The handler of a stream has gone on while it flowed: what it read meanwhile counts as well.
    const finish = (kept: Buffer, judgement: Storing): void => {
      if (bytes !== undefined) {
        this.#keep(miss, request, { status, headers, body: kept }, judgement, marks, loadMs)
        return
      }
      const names = responseMarks(miss, request, reply, kept)
      const last: Judgement = names === undefined ? { store: false, reason: 'tags-failed' } : names.length > MAX_MARKS ? { store: false, reason: 'too-many-tags' } : judge(theirs(final))
      if (last.store && names !== undefined) this.#keep(miss, request, { status, headers: withEtag(this.#surrogateKeys?.complete(request, headers, marks, names) ?? headers, status, kept), body: kept }, last, names, loadMs)
      else this.#refused(miss, request, last.store ? 'tags-failed' : last.reason)
    }
    onFinalHeaders(reply.raw, (finalStatus, finalHeaders) => {
      final = { ...finalHeaders }
      if (finalStatus !== status && finalStatus !== 304) decided = { store: false, reason: `status; ${finalStatus}` }
      else decided = headersUnchanged(ours, finalHeaders) ? first : judge(theirs(finalHeaders))
      if (!decided.store) {
        if (downstream !== undefined && finalHeaders['cache-control'] === downstream) delete finalHeaders['cache-control']
        this.#status(miss, reply, { stored: false, detail: decided.reason }, finalHeaders)
        this.#refused(miss, request, decided.reason)
      }
    }, (late) => {
      if (decided?.store !== true) return
      if (late !== undefined) decided = judge(theirs(late))
      if (!decided.store) this.#refused(miss, request, decided.reason)
      else if (whole !== undefined) finish(whole, decided)
    })
    if (body.kind === 'stream') {
      const declared = reply.getHeader('content-length')?.toString()
      const { observed } = miss
      body.payload.beforeStart(() => { observed.begin() })
      this.#watch(body.payload, miss, request, (kept) => {
        if (declared !== undefined && declared !== String(kept.length)) {
          this.#refused(miss, request, 'length-mismatch')
          return
        }
        whole = kept
        if (decided?.store === true) finish(kept, decided)
      })
      return body.payload
    }
    if (status === 200 && miss.would === undefined && judgeConditional(request.headers, { status, etag: reply.getHeader('etag')?.toString(), lastModified: reply.getHeader('last-modified')?.toString(), dateMs: nowMs }) === 'not-modified') {
      reply.code(304).removeHeader('content-length').removeHeader('content-type')
      return null
    }
    return body.payload
  }

  /** The stored response, already on the reply, if the handler was asked about it and says that it still holds. */
  #confirmed (miss: Miss, request: FastifyRequest, reply: FastifyReply, payload: unknown, nowMs: number): { readonly body: Buffer, readonly marks: readonly Mark[] } | undefined {
    const { validation } = miss
    // A hook that answers in place of the handler was not asked.
    if (validation === undefined || miss.observed === undefined) return undefined
    const answer = judgeAnswer(validation, request.method, reply)
    if (answer === 'changed') void this.#parts.parts.store.remove([miss.key])
    if (answer !== 'confirmed') return undefined
    noteOutcome(request, REVALIDATED)
    return { body: putConfirmed(validation, miss, reply, payload, nowMs), marks: validation.marks }
  }

  #watch (tee: BodyTee, miss: Miss, request: FastifyRequest, whole: (body: Buffer) => void): void {
    tee.onWhole((body) => {
      miss.observed?.end()
      if (body === undefined) this.#refused(miss, request, 'too-large')
      else whole(body)
    })
    tee.once('close', () => {
      miss.observed?.end()
      if (!tee.readableEnded) this.#refused(miss, request, 'broken-body')
    })
  }

  #keep (miss: Miss, request: FastifyRequest, response: StoredResponse, judgement: Storing, marks: readonly Mark[], loadMs: number): void {
    const { parts, responses, flights } = this.#parts
    const { freshness, vary } = judgement
    miss.keeping = true
    const write = (whole: StoredResponse): MaybePromise<WriteVerdict> => {
      const written = responses.keep({
        key: miss.key,
        request: request.raw.headers,
        response: whole,
        initialAgeMs: freshness.initialAgeMs,
        vary,
        ticket: miss.ticket,
        marks,
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
    const verdict = precompress.length === 0 ? write(response) : this.#precompression.keep(response, precompress, write)
    const settled = chain(verdict, (done) => {
      if (!done.stored) {
        this.#refused(miss, request, done.reason)
        return
      }
      parts.stats.add('sets')
      if (parts.events.heard('store')) parts.events.emit('store', { key: miss.key, bytes: response.body.length, kind: 'response', route: miss.policy.route, freshForMs: freshness.freshForMs, value: response.body })
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
        this.#refused(miss, request, 'unavailable')
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
  #giveUp (miss: Miss, request: FastifyRequest, reply: FastifyReply, reason: string): void {
    this.#status(miss, reply, { stored: false, detail: reason })
    this.#refused(miss, request, reason)
  }

  #refused (miss: Miss, request: FastifyRequest, reason: string): void {
    const { parts, flights } = this.#parts
    parts.stats.add('refusals')
    if (parts.events.heard('refuse')) parts.events.emit('refuse', { key: miss.key, reason, route: miss.policy.route })
    noteOutcome(request, miss.would === undefined ? { status: 'miss', reason } : { status: 'bypass', reason: observedReason(miss.would, reason) })
    // An error and a purge pass; what the response is by nature will be so again.
    const passing = reason === 'purged' || reason === 'unavailable' || reason === 'broken-body' || reason === 'built-from-stale' || reason === 'method' || /^status; 5/.test(reason)
    if (!passing) flights.rememberUncacheable(miss.key)
    miss.flight?.end(reason === 'purged' ? 'overtaken' : 'not-stored')
  }

  /** A stale response goes out instead of the failure: for this request, and for those who wait for it. */
  #stoodIn (miss: Miss, request: FastifyRequest): void {
    noteOutcome(request, { status: 'stale', reason: 'stale-if-error' })
    this.#parts.parts.stats.add('staleHits')
    miss.flight?.end('failed')
    noteMiss(request, null)
  }

  #status (miss: Miss, reply: FastifyReply, rest: { ttl?: number, stored?: boolean, detail?: string, fwdStatus?: number }, headers?: ReplyHeaders): void {
    const { cacheStatus } = this.#parts.settings
    if (cacheStatus === false) return
    const member = cacheStatusMember(cacheStatus, { fwd: miss.forward, ...miss.collapsed && { collapsed: false }, ...rest, ...miss.would !== undefined && { detail: observedReason(miss.would, rest.detail) } })
    const others = miss.before['cache-status']
    const value = others === undefined ? member : appendCacheStatus(String(others), member)
    if (headers === undefined) reply.header('cache-status', value)
    else headers['cache-status'] = value
  }
}

/** Tells what was answered, once it is whole; nothing of what cannot be kept. */
function tellAnswer (answered: NonNullable<Miss['answered']>, body: CapturedBody, reply: FastifyReply): void {
  const { statusCode: status } = reply
  const location = reply.getHeader('location')?.toString()
  if (body.kind === 'bytes') answered({ status, location, body: body.body })
  else if (body.kind === 'stream') body.payload.onWhole((whole) => { if (whole !== undefined) answered({ status, location, body: whole }) })
}
