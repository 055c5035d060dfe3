import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EpochMs, Milliseconds } from '../lib/clock.ts'
import { DependencyScope, MAX_MARKS } from '../lib/engine/dependencies.ts'
import type { Mark } from '../lib/keyspace/mark.ts'
import { parseCacheControl } from '../lib/http/cache-control.ts'
import { makeEtag } from '../lib/http/etag.ts'
import { headerListOf, type HeaderList } from '../lib/http/headers.ts'
import { formatHttpDate } from '../lib/http/http-date.ts'
import { judgeHead } from '../lib/http/revalidation.ts'
import { stripUnstorable } from '../lib/http/response.ts'
import { isFailure } from '../lib/http/staleness.ts'
import { effectiveVary } from '../lib/http/vary.ts'
import { addedHeaders, headersNow, headersUnchanged, ownCacheControl, setBack, varyOnKey, withEtag } from './added-headers.ts'
import { captureBody, unwrapResponse, type BodyTee, type CapturedBody } from './body-capture.ts'
import { sendGroups } from './cache-groups.ts'
import { noteOutcome, tagsOfReply, type Miss, type ReplyHeaders } from './exchange.ts'
import { onFinalHeaders } from './final-headers.ts'
import { MissEnds, type Storing } from './miss-ends.ts'
import type { ObservedInput, ObservedRequest } from './observed-request.ts'
import { onReplyEnd } from './reply-end.ts'
import { responseMarks } from './response-marks.ts'
import type { RouteCacheParts } from './route-cache.ts'
import { putNotModified } from './serve-stored.ts'
import { schemeOf } from './scheme.ts'
import { putStandIn, standInFor } from './stand-in.ts'
import { SurrogateKeys } from './surrogate-keys.ts'
import { JudgedResponse, StoringJudge, type Judgement } from './storing-judge.ts'
import { wasError } from './was-error.ts'
import { judgeAnswer, putConfirmed } from './validation.ts'

const REVALIDATED = Object.freeze({ status: 'miss', reason: 'revalidated' } as const)

/** What a handler has answered. */
interface Answer {
  readonly miss: Miss
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly body: Exclude<CapturedBody, { kind: 'opaque' }>
  readonly observed: ObservedRequest
  /** What it was seen to read of the request. */
  readonly inputs: ReadonlySet<ObservedInput>
  readonly confirmed: Confirmed | undefined
  /** What the handler said, where a stored response stands in its place. */
  readonly handlerStatus: number
  readonly loadMs: Milliseconds
  readonly nowMs: EpochMs
  /** Where the log stood when the handler of a POST began, which has purged something itself since then. */
  readonly postedAt?: number
}

/** A stored response that its handler has confirmed, and what it was built from. */
interface Confirmed { readonly payload: string | Buffer, readonly marks: readonly Mark[] }

/**
 * Keeps the responses of handlers. The payload and the headers are taken in our onSend hook, which comes first, so that
 * the hooks behind it see a stored response exactly as they see a new one. Whether it is stored is decided on the headers
 * that really go out: a cookie that another plugin adds at the last moment still counts.
 */
export class Capture {
  readonly #parts: RouteCacheParts
  readonly #judge: StoringJudge
  readonly #ends: MissEnds
  readonly #surrogateKeys: SurrogateKeys | undefined

  constructor (parts: RouteCacheParts) {
    this.#parts = parts
    this.#ends = new MissEnds(parts)
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
    if (parts.events.heard('load')) parts.events.emit('load', { key: miss.key, ok: !failed, atMs: parts.clock.now(), durationMs: loadMs, route: miss.policy.route })
    const stale = failed ? standInFor(miss, parts) : undefined
    if (stale !== undefined) {
      const nowMs = parts.clock.now()
      const standIn = putStandIn(stale, miss, request, reply, payload, nowMs)
      this.#ends.status(miss, reply, { fwdStatus: handlerStatus, ttl: (stale.freshUntilMs - nowMs) / 1000, detail: 'stale-if-error' })
      this.#ends.stoodIn(miss, request)
      return standIn
    }

    const nowMs = parts.clock.now()
    const confirmed = this.#confirmed(miss, request, reply, payload, nowMs)
    const body = captureBody(confirmed?.payload ?? payload, settings.maxBodyBytes)
    if (!miss.storable && confirmed === undefined) {
      if (miss.answered !== undefined) tellAnswer(miss.answered, body, reply)
      if (contradictsByHead(miss, request, reply)) this.#ends.forget(miss)
      this.#ends.status(miss, reply, { stored: false })
      const unchanged = body.kind === 'bytes' && miss.would === undefined && putNotModified(request, reply, miss.policy.precompress, nowMs)
      // The payload of a HEAD is for Fastify to measure and to drop.
      return unchanged && request.method === 'GET' ? null : body.payload
    }
    // A hook behind the lookup of a public route has answered in place of the handler.
    if (body.kind === 'opaque' || miss.observed === undefined) {
      this.#ends.giveUp(miss, request, reply, body.kind === 'opaque' ? 'opaque-body' : 'answered-before')
      return body.payload
    }
    return this.#hold({ miss, request, reply, body, observed: miss.observed, inputs, confirmed, handlerStatus, loadMs, nowMs })
  }

  /** Takes hold of an answer to a POST that says it is the response to a GET, and purges what the POST has made untrue. */
  async takePosted (miss: Miss, request: FastifyRequest, reply: FastifyReply, sent: unknown, purge: () => Promise<void>): Promise<unknown> {
    const { parts: { clock, log }, settings } = this.#parts
    const inputs = miss.observed?.end()
    const body = captureBody(unwrapResponse(reply, sent), settings.maxBodyBytes)
    const marks = responseMarks(miss, request, reply, body.kind === 'bytes' ? body.body : undefined)
    // The answer is younger than its own purge, and that one only: what else touches it, before or after, may be news to it.
    // By what names a stream is reached is not known before it has ended: nothing may have been purged.
    const isValid = (since: number): boolean => body.kind === 'stream' ? log.tip === since : log.judge(miss.key, marks ?? [], since) === 'valid'
    const validBefore = isValid(miss.ticket.at)
    const purged = purge()
    const purgedAt = log.tip
    await purged
    const refusal = !validBefore || !isValid(purgedAt) ? 'purged' : marks === undefined ? 'tags-failed' : inputs === undefined ? 'answered-before' : undefined
    if (refusal !== undefined || body.kind === 'opaque' || inputs === undefined || miss.observed === undefined) {
      this.#ends.giveUp(miss, request, reply, refusal ?? 'opaque-body')
      return body.payload
    }
    const postedAt = miss.ticket.at
    miss.ticket = log.ticket()
    return this.#hold({ postedAt, miss, request, reply, body, observed: miss.observed, inputs, confirmed: undefined, handlerStatus: reply.statusCode, loadMs: performance.now() - miss.startedAt, nowMs: clock.now() })
  }

  /** Lets an answer to a POST go on that is for its client alone. */
  letPass (miss: Miss, reply: FastifyReply, payload: unknown): unknown {
    miss.observed?.end()
    this.#ends.status(miss, reply, { detail: 'method' })
    return payload
  }

  /** Prepares what is stored, if it is, once the head has been written. */
  #hold ({ miss, request, reply, body, observed, inputs, confirmed, handlerStatus, loadMs, nowMs, postedAt }: Answer): unknown {
    const { parts, settings } = this.#parts
    const status = reply.statusCode
    const bytes = body.kind === 'bytes' ? body.body : undefined
    const text = typeof body.payload === 'string'
    const marks = responseMarks(miss, request, reply, bytes, confirmed?.marks)
    const tags = tagsOfReply(reply)
    const answered = headerListOf(reply.getHeaders() as ReplyHeaders)
    const response = new JudgedResponse({ status, nowMs, failed: wasError(reply), url: `${schemeOf(request, reply)}://${request.host}${request.raw.url ?? ''}`, bytes, inputs, vary: effectiveVary(answered, miss.policy.keyed), routeTtlMs: this.#judge.ttlMs(miss.policy, status) })
    const judge = (headers: HeaderList): Judgement => this.#judge.judge(miss, request, response, headers)
    const refusal = miss.scope.ended ? 'broken-body' : marks === undefined ? 'tags-failed' : marks.length > MAX_MARKS ? 'too-many-tags' : bytes !== undefined && bytes.length > settings.maxBodyBytes ? 'too-large' : undefined
    const first: Judgement = refusal === undefined ? judge(answered) : { store: false, reason: refusal }
    const refuse = (reason: string): void => {
      if (confirmed === undefined && this.#judge.supersedes(miss, request, response, reason)) this.#ends.forget(miss)
      this.#ends.refuse(miss, request, reason)
    }
    if (!first.store || marks === undefined) {
      const reason = first.store ? 'tags-failed' : first.reason
      this.#ends.status(miss, reply, { stored: false, detail: reason })
      refuse(reason)
      return body.payload
    }

    const untouched = miss.would === undefined ? undefined : headersNow(reply)
    if (reply.getHeader('date') === undefined) reply.header('date', formatHttpDate(nowMs))
    const etag = bytes !== undefined && status === 200 && bytes.length > 0 && reply.getHeader('etag') === undefined ? makeEtag(bytes) : undefined
    if (etag !== undefined) reply.header('etag', etag)
    const downstream = ownCacheControl(miss.policy, (reply.getHeader('cache-control') ?? reply.getHeader('expires'))?.toString())
    if (downstream !== undefined) reply.header('cache-control', downstream)
    varyOnKey(reply, miss.policy, response.vary)
    if (miss.policy.http.groups.out) sendGroups(reply, marks)
    this.#surrogateKeys?.put(request, reply, marks)
    let ours = reply.getHeaders() as ReplyHeaders
    const headers = stripUnstorable(addedHeaders(miss.before, ours), { cacheControl: parseCacheControl(reply.getHeader('cache-control')?.toString()), keepSetCookie: miss.policy.http.storeSetCookie })
    if (untouched !== undefined) setBack(reply, untouched)
    const canStore = parts.canStore()
    this.#ends.status(miss, reply, { fwdStatus: confirmed === undefined ? undefined : handlerStatus, ttl: first.freshness.freshForMs / 1000, stored: bytes !== undefined && canStore, detail: canStore ? undefined : 'unavailable' })

    const cacheStatus = reply.getHeader('cache-status')
    if (untouched !== undefined) ours = reply.getHeaders() as ReplyHeaders
    else if (cacheStatus !== undefined) ours['cache-status'] = cacheStatus
    let decided: Judgement | undefined
    let whole: Buffer | undefined = bytes
    // Hooks behind ours may compress or shorten the payload; its length is then no longer that of what we hold.
    // What we told browsers about their own copies says nothing about ours, and our tag tells the handler nothing.
    const theirs = (all: ReplyHeaders): HeaderList => headerListOf(all).filter(([name, value]) => name !== 'content-length' && !(name === 'cache-control' && value === downstream) && !(name === 'etag' && etag !== undefined))
    let final: ReplyHeaders = ours
    let connection: string | undefined
    // Tags that were not there yet when an answer to a POST was held against what was purged meanwhile.
    const judgeLate = (names: readonly Mark[]): Judgement | undefined => postedAt !== undefined && parts.log.judge(miss.key, names.filter((mark) => !marks.includes(mark)), postedAt) !== 'valid' ? { store: false, reason: 'purged' } : undefined
    // The handler of a stream has gone on while it flowed: what it read meanwhile counts as well.
    const finish = (kept: Buffer, judgement: Storing): void => {
      // A hook behind ours may have withdrawn fields of the handler, or bound them to the connection (RFC 9111 §3.1, §5.2.2.4, §5.2.2.7).
      const storable = judgement === first ? headers : stripUnstorable(headers, { connection, cacheControl: judgement.freshness.cacheControl, keepSetCookie: miss.policy.http.storeSetCookie })
      // Hooks behind ours may have added tags.
      if (bytes !== undefined && tagsOfReply(reply) === tags) {
        this.#ends.keep(miss, request, { status, headers: storable, body: kept, text }, judgement, marks, loadMs)
        return
      }
      const names = responseMarks(miss, request, reply, kept, confirmed?.marks)
      const last: Judgement = names === undefined ? { store: false, reason: 'tags-failed' } : names.length > MAX_MARKS ? { store: false, reason: 'too-many-tags' } : bytes !== undefined ? judgeLate(names) ?? judgement : this.#judge.judge(miss, request, { ...response, bytes: kept }, theirs(final))
      if (last.store && names !== undefined) this.#ends.keep(miss, request, { status, headers: withEtag(this.#surrogateKeys?.complete(request, storable, marks, names) ?? storable, status, kept), body: kept, text }, last, names, loadMs)
      else refuse(last.store ? 'tags-failed' : last.reason)
    }
    onFinalHeaders(reply.raw, (finalStatus, finalHeaders) => {
      // What a hook behind ours has put onto the raw response counts more than what we say where nobody says anything.
      const raw = downstream === undefined ? undefined : reply.raw.getHeader('cache-control')
      if (raw !== undefined && raw !== downstream && finalHeaders['cache-control'] === downstream) finalHeaders['cache-control'] = raw as string
      if (bytes === undefined) final = { ...finalHeaders }
      connection = finalHeaders.connection?.toString()
      if (finalStatus !== status && finalStatus !== 304) decided = { store: false, reason: `status; ${finalStatus}` }
      else decided = headersUnchanged(ours, finalHeaders) ? first : judge(theirs(finalHeaders))
      if (!decided.store) {
        if (downstream !== undefined && finalHeaders['cache-control'] === downstream) delete finalHeaders['cache-control']
        this.#ends.status(miss, reply, { stored: false, detail: decided.reason }, finalHeaders)
        refuse(decided.reason)
        return
      }
      const tagged = tagsOfReply(reply)
      if (tagged !== tags && untouched === undefined) this.#surrogateKeys?.putLate(request, finalHeaders, tagged.slice(tags.length))
    }, (late) => {
      if (decided?.store !== true) return
      if (late !== undefined) {
        decided = judge(theirs(late))
        connection = late.connection?.toString()
      }
      if (!decided.store) refuse(decided.reason)
      else if (whole !== undefined) finish(whole, decided)
    })
    if (body.kind === 'stream') {
      const declared = reply.getHeader('content-length')?.toString()
      // The handler that makes it may go on at any moment, before the first byte is asked for, and look at the request.
      const behind = miss.behind = new DependencyScope()
      observed.begin(() => parts.dependencies.isInside(behind))
      onReplyEnd(reply, parts.dependencies.tellApart())
      body.payload.runIn((read) => { parts.dependencies.inside(miss.scope, read) })
      this.#watch(body.payload, miss, refuse, (kept) => {
        if (declared !== undefined && declared !== String(kept.length)) {
          refuse('length-mismatch')
          return
        }
        whole = kept
        if (decided?.store === true) finish(kept, decided)
      })
      return body.payload
    }
    if (miss.would === undefined && request.method === 'GET' && putNotModified(request, reply, miss.policy.precompress, nowMs)) return null
    return body.payload
  }

  /** The stored response, already on the reply, if the handler was asked about it and says that it still holds. */
  #confirmed (miss: Miss, request: FastifyRequest, reply: FastifyReply, payload: unknown, nowMs: EpochMs): Confirmed | undefined {
    const { validation } = miss
    // A hook that answers in place of the handler was not asked.
    if (validation === undefined || miss.observed === undefined) return undefined
    const answer = judgeAnswer(validation, request.method, reply)
    if (answer === 'changed') this.#ends.forget(miss)
    if (answer !== 'confirmed') return undefined
    noteOutcome(request, REVALIDATED)
    return { payload: putConfirmed(validation, miss, reply, payload, nowMs), marks: validation.marks }
  }

  #watch (tee: BodyTee, miss: Miss, refuse: (reason: string) => void, whole: (body: Buffer) => void): void {
    tee.onWhole((body) => {
      miss.observed?.end()
      if (body === undefined) refuse('too-large')
      else whole(body)
    })
    tee.once('close', () => {
      miss.observed?.end()
      if (!tee.readableEnded) refuse('broken-body')
    })
  }
}

/** Whether the answer to a HEAD shows that the stored response to GET is not the present one (RFC 9111 §4.3.5). */
function contradictsByHead ({ outgrown }: Miss, { method }: FastifyRequest, reply: FastifyReply): boolean {
  return method === 'HEAD' && outgrown !== undefined && reply.statusCode === 200 && judgeHead(outgrown.response, headerListOf(reply.getHeaders() as ReplyHeaders)) === 'stale'
}

/** Tells what was answered, once it is whole; nothing of what cannot be kept. */
function tellAnswer (answered: NonNullable<Miss['answered']>, body: CapturedBody, reply: FastifyReply): void {
  const { statusCode: status } = reply
  const location = reply.getHeader('location')?.toString()
  if (body.kind === 'bytes') answered({ status, location, body: body.body })
  else if (body.kind === 'stream') body.payload.onWhole((whole) => { if (whole !== undefined) answered({ status, location, body: whole }) })
}
