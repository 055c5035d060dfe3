import type { FastifyReply, FastifyRequest } from 'fastify'
import { MAX_MARKS } from '../lib/engine/dependencies.ts'
import type { Mark } from '../lib/keyspace/mark.ts'
import { originMark, pathMark, tagMark } from '../lib/keyspace/mark.ts'
import { checkTag } from '../lib/keyspace/name.ts'
import { normalisePath, pathOf } from '../lib/keyspace/request-path.ts'
import { appendCacheStatus, cacheStatusMember } from '../lib/http/cache-status.ts'
import { parseCacheControl } from '../lib/http/cache-control.ts'
import { judgeConditional } from '../lib/http/conditional.ts'
import { downstreamCacheControl } from '../lib/http/downstream.ts'
import { entityTags, type EntityPaths } from '../lib/http/entity-path.ts'
import { makeEtag } from '../lib/http/etag.ts'
import { judgeFreshness, type Freshness } from '../lib/http/freshness.ts'
import { headerListOf, headerOf, type HeaderList } from '../lib/http/headers.ts'
import { formatHttpDate } from '../lib/http/http-date.ts'
import { stripUnstorable } from '../lib/http/response.ts'
import { judgeStorable } from '../lib/http/storable.ts'
import { effectiveVary } from '../lib/http/vary.ts'
import { chain } from '../lib/maybe-promise.ts'
import { captureBody, unwrapResponse, type BodyTee } from './body-capture.ts'
import { noteMiss, noteOutcome, tagsOfReply, type Miss, type ReplyHeaders } from './exchange.ts'
import type { ObservedInput } from './observed-request.ts'
import { onFinalHeaders } from './final-headers.ts'
import type { RouteCacheParts } from './route-cache.ts'
import type { CacheRequest, NamesOf } from './route-options.ts'
import { putStored } from './serve-stored.ts'
import { unkeyedInput } from './unkeyed-input.ts'

/** Why a response is not stored, or how it would be. */
type Judgement =
  | { readonly store: false, readonly reason: string }
  | { readonly store: true, readonly freshness: Freshness, readonly vary: readonly string[] }

/** Statuses that say the handler failed, so that a stale response may stand in (RFC 5861 §4). */
const FAILURES: ReadonlySet<number> = new Set([500, 502, 503, 504])

/** What the cache sends of itself, or counts anew for every answer. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['age', 'cache-status', 'content-length'])

/**
 * Keeps the responses of handlers. The payload and the headers are taken in our onSend hook, which comes first, so that
 * the hooks behind it see a stored response exactly as they see a new one. Whether it is stored is decided on the headers
 * that really go out: a cookie that another plugin adds at the last moment still counts.
 */
export class Capture {
  readonly #parts: RouteCacheParts
  readonly #warned = new Set<string>()

  constructor (parts: RouteCacheParts) {
    this.#parts = parts
  }

  /** Takes hold of what the handler of a missed request sends; answers the payload that goes on in its place. */
  take (miss: Miss, request: FastifyRequest, reply: FastifyReply, sent: unknown): unknown {
    const inputs: ReadonlySet<ObservedInput> = miss.observed?.end() ?? new Set()
    const { parts, settings } = this.#parts
    const payload = unwrapResponse(reply, sent)
    parts.stats.add('loads')
    const loadMs = performance.now() - miss.startedAt
    const failed = FAILURES.has(reply.statusCode)
    if (failed) parts.stats.add('loadErrors')
    if (parts.events.heard('load')) parts.events.emit('load', { key: miss.key, ok: !failed, durationMs: loadMs, route: miss.policy.route })
    if (failed && this.#mayStandIn(miss)) return this.#standIn(miss, request, reply, payload)

    const body = captureBody(payload, settings.maxBodyBytes)
    const nowMs = parts.clock.now()
    if (!miss.storable) {
      this.#status(miss, reply, { stored: false })
      return body.payload
    }
    if (body.kind === 'opaque') {
      this.#giveUp(miss, request, reply, 'opaque-body')
      return body.payload
    }
    const status = reply.statusCode
    const bytes = body.kind === 'bytes' ? body.body : undefined
    const marks = this.#marksOf(miss, request, reply, bytes)
    const ttlMs = this.#ttlMs(miss, status)
    const judge = (headers: HeaderList): Judgement => this.#judge(miss, request, status, headers, inputs, { nowMs, ttlMs, bytes })
    const first: Judgement = marks === undefined ? { store: false, reason: 'tags-failed' } : marks.length > MAX_MARKS ? { store: false, reason: 'too-many-tags' } : bytes !== undefined && bytes.length > settings.maxBodyBytes ? { store: false, reason: 'too-large' } : judge(headerListOf(reply.getHeaders() as ReplyHeaders))
    if (!first.store || marks === undefined) {
      this.#giveUp(miss, request, reply, first.store ? 'tags-failed' : first.reason)
      return body.payload
    }

    if (reply.getHeader('date') === undefined) reply.header('date', formatHttpDate(nowMs))
    if (bytes !== undefined && status === 200 && bytes.length > 0 && reply.getHeader('etag') === undefined) reply.header('etag', makeEtag(bytes))
    const downstream = downstreamCacheControl({ handlerSaid: reply.getHeader('cache-control')?.toString(), clientTtlSeconds: miss.policy.clientTtlSeconds, partitioned: miss.policy.partition !== undefined })
    if (downstream !== undefined) reply.header('cache-control', downstream)
    const headers = stripUnstorable(added(miss.before, reply.getHeaders() as ReplyHeaders), { cacheControl: parseCacheControl(reply.getHeader('cache-control')?.toString()) })
    this.#status(miss, reply, { ttl: first.freshness.freshForMs / 1000, stored: bytes !== undefined })

    const finish = (kept: Buffer, judgement: Judgement & { store: true }): void => {
      this.#keep(miss, request, { status, headers: bytes === undefined ? withEtag(headers, status, kept) : headers, body: kept }, judgement, marks, loadMs)
    }
    const ours = reply.getHeaders() as ReplyHeaders
    let decided: Judgement | undefined
    let whole: Buffer | undefined = bytes
    // Hooks behind ours may compress or shorten the payload; its length is then no longer that of what we hold.
    // What we told browsers about their own copies says nothing about ours.
    const theirs = (all: ReplyHeaders): HeaderList => headerListOf(all).filter(([name, value]) => name !== 'content-length' && !(name === 'cache-control' && value === downstream))
    onFinalHeaders(reply.raw, (finalStatus, finalHeaders) => {
      if (finalStatus !== status && finalStatus !== 304) decided = { store: false, reason: `status; ${finalStatus}` }
      else decided = unchanged(ours, finalHeaders) ? first : judge(theirs(finalHeaders))
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
      const declared = headerOf(headerListOf(reply.getHeaders() as ReplyHeaders), 'content-length')
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
    if (status === 200 && judgeConditional(request.headers, { status, etag: reply.getHeader('etag')?.toString(), lastModified: reply.getHeader('last-modified')?.toString(), dateMs: nowMs }) === 'not-modified') {
      reply.code(304).removeHeader('content-length').removeHeader('content-type')
      return null
    }
    return body.payload
  }

  #watch (tee: BodyTee, miss: Miss, request: FastifyRequest, whole: (body: Buffer) => void): void {
    tee.onWhole((body) => {
      if (body === undefined) this.#refused(miss, request, 'too-large')
      else whole(body)
    })
    tee.once('close', () => { if (!tee.readableEnded) this.#refused(miss, request, 'broken-body') })
  }

  #judge (miss: Miss, request: FastifyRequest, status: number, headers: HeaderList, inputs: ReadonlySet<ObservedInput>, body: { nowMs: number, ttlMs: number | undefined, bytes: Buffer | undefined }): Judgement {
    const { policy, scope } = miss
    const { settings } = this.#parts
    if (scope.stale) return { store: false, reason: 'built-from-stale' }
    if (scope.tooMany) return { store: false, reason: 'too-many-tags' }
    const freshness = judgeFreshness({
      status,
      headers,
      nowMs: body.nowMs,
      requestTimeMs: miss.requestTimeMs,
      ...body.ttlMs !== undefined && { routeTtlMs: body.ttlMs },
      staleWhileRevalidateMs: policy.staleWhileRevalidateMs,
      staleIfErrorMs: policy.staleIfErrorMs
    })
    const verdict = judgeStorable({
      method: request.method,
      status,
      headers,
      freshness,
      requestHasCredentials: settings.credentials.some((name) => request.raw.headers[name] !== undefined && !(name === 'cookie' && policy.cookies.length > 0)),
      public: policy.public,
      partitioned: policy.partition !== undefined,
      statuses: policy.statuses,
      ...body.bytes !== undefined && { bodyBytes: body.bytes.length }
    })
    if (!verdict.store) return { store: false, reason: verdict.detail === undefined ? verdict.reason : `${verdict.reason}; ${verdict.detail}` }
    const vary = effectiveVary(headers)
    if (vary === 'star') return { store: false, reason: 'vary-star' }
    const unkeyed = unkeyedInput(inputs, request, policy, vary.names, settings.credentials)
    if (unkeyed !== undefined) {
      this.#warn(request, policy.route, unkeyed)
      return { store: false, reason: `unkeyed-input; ${unkeyed}` }
    }
    return { store: true, freshness, vary: vary.names }
  }

  #keep (miss: Miss, request: FastifyRequest, response: { status: number, headers: HeaderList, body: Buffer }, judgement: Judgement & { store: true }, marks: readonly Mark[], loadMs: number): void {
    const { parts, responses } = this.#parts
    const { freshness, vary } = judgement
    miss.keeping = true
    const verdict = responses.keep({
      key: miss.key,
      request: request.raw.headers,
      response,
      initialAgeMs: freshness.initialAgeMs,
      vary,
      ticket: miss.ticket,
      marks,
      freshForMs: freshness.freshForMs,
      staleWhileRevalidateMs: freshness.staleWhileRevalidateMs,
      staleIfErrorMs: freshness.staleIfErrorMs,
      loadMs
    })
    void chain(verdict, (done) => {
      if (!done.stored) {
        this.#refused(miss, request, done.reason)
        return
      }
      parts.stats.add('sets')
      if (parts.events.heard('store')) parts.events.emit('store', { key: miss.key, bytes: response.body.length, kind: 'response' })
      if (miss.job !== undefined) miss.job.kept = true
      this.#parts.flights.forgetUncacheable(miss.key)
      miss.flight?.end('stored')
    })
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
    noteOutcome(request, { status: 'miss', reason })
    // An error and a purge pass; what the response is by nature will be so again.
    const passing = reason === 'purged' || reason === 'unavailable' || reason === 'broken-body' || reason === 'built-from-stale' || reason === 'method' || /^status; 5/.test(reason)
    if (!passing) flights.rememberUncacheable(miss.key)
    miss.flight?.end(reason === 'purged' ? 'overtaken' : 'not-stored')
  }

  #mayStandIn (miss: Miss): boolean {
    const { parts } = this.#parts
    const { stale } = miss
    // A purge that came while the handler ran has taken the stale copy as well.
    return stale !== undefined && parts.clock.now() < stale.staleIfErrorUntilMs && parts.log.judge(miss.key, stale.marks, miss.ticket.at) !== 'purged'
  }

  #standIn (miss: Miss, request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
    const { parts } = this.#parts
    const { stale } = miss
    if (stale === undefined) return payload
    if (typeof (payload as { destroy?: unknown } | null)?.destroy === 'function') (payload as { destroy: () => void }).destroy()
    const failedWith = reply.statusCode
    for (const name of Object.keys(reply.getHeaders())) if (miss.before[name] === undefined) reply.removeHeader(name)
    for (const [name, value] of Object.entries(miss.before)) if (value !== undefined) reply.header(name, value as string)
    const body = putStored(request, reply, stale, parts.clock.now())
    this.#status(miss, reply, { fwdStatus: failedWith, ttl: (stale.freshUntilMs - parts.clock.now()) / 1000, detail: 'stale-if-error' })
    noteOutcome(request, { status: 'stale', reason: 'stale-if-error' })
    parts.stats.add('staleHits')
    miss.flight?.end('failed')
    noteMiss(request, null)
    return body ?? null
  }

  /** By what names a purge reaches the response; `undefined` when the route's own functions fail to tell. */
  #marksOf (miss: Miss, request: FastifyRequest, reply: FastifyReply, body: Buffer | undefined): readonly Mark[] | undefined {
    const { policy } = miss
    const path = normalisePath(pathOf(request.raw.url ?? '/'))
    const marks = new Set<Mark>([pathMark(path), originMark(request.protocol, request.host.toLowerCase(), path)])
    try {
      const entities = miss.entityTags.length > 0 || policy.entities === undefined || body === undefined ? miss.entityTags : entitiesOfText(policy.entities, body)
      for (const tag of [...resolveNames(policy.tags, request, reply), ...tagsOfReply(reply), ...entities]) marks.add(tagMark(checkTag(tag)))
    } catch (error) {
      request.log.error({ err: error, route: policy.route }, `the response of ${policy.route} is not cached: its tags could not be made`)
      return undefined
    }
    for (const mark of miss.scope.marks) marks.add(mark)
    return [...marks]
  }

  #ttlMs (miss: Miss, status: number): number | undefined {
    const { policy } = miss
    const { random, defaults } = this.#parts.parts
    if (status === 404 || status === 410) return policy.notFoundTtlMs > 0 ? policy.notFoundTtlMs : undefined
    return Math.round(policy.ttlMs * (1 - defaults.jitter * random()))
  }

  #status (miss: Miss, reply: FastifyReply, rest: { ttl?: number, stored?: boolean, detail?: string, fwdStatus?: number }, headers?: ReplyHeaders): void {
    const { cacheStatus } = this.#parts.settings
    if (cacheStatus === false) return
    const member = cacheStatusMember(cacheStatus, { fwd: miss.forward, ...miss.collapsed && { collapsed: false }, ...rest })
    const others = miss.before['cache-status']
    const value = others === undefined ? member : appendCacheStatus(String(others), member)
    if (headers === undefined) reply.header('cache-status', value)
    else headers['cache-status'] = value
  }

  #warn (request: FastifyRequest, route: string, input: string): void {
    if (this.#warned.has(route)) return
    this.#warned.add(route)
    request.log.warn({ route, input }, `responses of ${route} are not cached: the handler reads ${input === '*' ? 'all request headers' : `"${input}"`}, which is neither in the key nor in Vary. Name it in config.cache.headers or in a Vary header, or, if it does not change the response, in config.cache.harmlessHeaders`)
  }
}

/** What the handler, and the hooks between the lookup and the capture, have added to the reply. */
function added (before: ReplyHeaders, after: ReplyHeaders): HeaderList {
  return headerListOf(after).filter(([name, value]) => !OWN_FIELDS.has(name) && String(before[name]) !== String(value))
}

/** Whether the hooks behind ours have left the headers alone; the length is Fastify's to add. */
function unchanged (ours: ReplyHeaders, final: ReplyHeaders): boolean {
  for (const name in final) if (final[name] !== ours[name] && name !== 'content-length') return false
  for (const name in ours) if (!(name in final)) return false
  return true
}

function withEtag (headers: HeaderList, status: number, body: Buffer): HeaderList {
  return status === 200 && body.length > 0 && headerOf(headers, 'etag') === undefined ? [...headers, ['etag', makeEtag(body)]] : headers
}

export function resolveNames (names: NamesOf | undefined, request: FastifyRequest, reply: FastifyReply): readonly string[] {
  return typeof names === 'function' ? names(request as CacheRequest, reply) : names ?? []
}

/** The entities in a body that was sent as text, for handlers that serialise by themselves. */
function entitiesOfText (paths: EntityPaths, body: Buffer): readonly string[] {
  try {
    return entityTags(paths, JSON.parse(body.toString()))
  } catch {
    return []
  }
}
