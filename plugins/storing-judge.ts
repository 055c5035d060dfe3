import type { FastifyRequest } from 'fastify'
import type { Milliseconds } from '../lib/clock.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import { pathsOf } from '../lib/http/entity-path.ts'
import { judgeFreshness, type Freshness } from '../lib/http/freshness.ts'
import { headerOf, type HeaderList } from '../lib/http/headers.ts'
import { isSuccess } from '../lib/http/method.ts'
import { hasValidator, judgeStorable } from '../lib/http/storable.ts'
import type { EffectiveVary } from '../lib/http/vary.ts'
import type { Miss } from './exchange.ts'
import type { ObservedInput } from './observed-request.ts'
import type { PluginSettings } from './options.ts'
import type { RoutePolicy } from './route-options.ts'
import { howToKey, unkeyedInput } from './unkeyed-input.ts'

/** Why a response is not stored, or how it would be. */
export type Judgement =
  | { readonly store: false, readonly reason: string }
  | { readonly store: true, readonly freshness: Freshness, readonly vary: readonly string[], readonly keptForMs: Milliseconds }

/** The statuses that `notFoundTtl` is about. */
const NOT_FOUND: ReadonlySet<number> = new Set([404, 410])

/** Where a POST gets here at all, the route keeps its answers. */
const POST: ReadonlySet<string> = new Set(['POST'])

/** Reasons not to store a response that lie in how it came about, and not in what it is. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['purged', 'broken-body', 'built-from-stale', 'length-mismatch', 'partial'])

const isNotFound = (status: number): boolean => NOT_FOUND.has(status)

/** What does not change between the handler's answer and the moment it is written. A class as `Miss` is. */
export class JudgedResponse {
  readonly status: number
  readonly nowMs: number
  /** An error handler has answered. */
  readonly failed: boolean
  /** The URL of the request. */
  readonly url: string
  /** The body, unless it is still on its way. */
  readonly bytes: Buffer | undefined
  /** The route's own lifetime for such a response, shortened by jitter once. */
  readonly routeTtlMs: Milliseconds | undefined
  /** What the handler read of the request. */
  readonly inputs: ReadonlySet<ObservedInput>
  /**
   * What the response varies on, as it left the handler. What hooks behind the capture add to Vary describes what they do
   * to each answer (compression, above all), and they do it to hits as well.
   */
  readonly vary: EffectiveVary

  constructor (given: JudgedResponse) {
    this.status = given.status
    this.nowMs = given.nowMs
    this.failed = given.failed
    this.url = given.url
    this.bytes = given.bytes
    this.routeTtlMs = given.routeTtlMs
    this.inputs = given.inputs
    this.vary = given.vary
  }
}

/** Whether an answer speaks of what may be stored in parts. Those of a body too large to be stored are what such routes are for. */
function concernsParts ({ policy, part, alone }: Miss, status: number, reason: string): boolean {
  return policy.http.storeParts && (part !== undefined || !alone) && status !== 416 && reason !== 'too-large'
}

const NONCE = /'nonce-([^']+)'/g

/** Whether a Content-Security-Policy admits scripts or styles by a word of this one response, which they repeat (CSP3 §4.1). */
function hasNonce (headers: HeaderList, body: Buffer): boolean {
  const policy = headerOf(headers, 'content-security-policy') ?? ''
  for (const [, nonce = ''] of policy.includes('nonce-') ? policy.matchAll(NONCE) : []) if (body.includes(nonce)) return true
  return false
}

/** Streams that go on for as long as their client listens: of events, or of one picture after the other. */
const ENDLESS = /^\s*(?:text\/event-stream|multipart\/x-mixed-replace)/i
const isEventStream = (headers: HeaderList): boolean => ENDLESS.test(headerOf(headers, 'content-type') ?? '')

/** Decides whether a response may be stored, in the light of its route and of what its handler did. */
export class StoringJudge {
  readonly #settings: PluginSettings
  readonly #parts: EngineParts
  readonly #warned = new Set<string>()

  constructor (parts: EngineParts, settings: PluginSettings) {
    this.#parts = parts
    this.#settings = settings
  }

  /** @param headers as they are by now; the last word is said on those that are written */
  judge (miss: Miss, request: FastifyRequest, response: JudgedResponse, headers: HeaderList): Judgement {
    const { policy, scope } = miss
    const { http } = policy
    const { status, nowMs, routeTtlMs, bytes, inputs, vary, url } = response
    const revalidateMs = isSuccess(status) && status !== 206 ? http.revalidateMs : 0
    if (scope.stale) return { store: false, reason: 'built-from-stale' }
    // What the headers say was meant for another answer; a 404 is what it is, and has a ttl of its own.
    if (response.failed && (policy.statuses === 'any' || !isNotFound(status))) return { store: false, reason: `status; ${status}; thrown` }
    if (scope.tooMany) return { store: false, reason: 'too-many-tags' }
    const freshness = judgeFreshness({
      status,
      headers,
      nowMs,
      requestTimeMs: miss.requestTimeMs,
      routeTtlMs,
      staleWhileRevalidateMs: policy.staleWhileRevalidateMs,
      staleIfErrorMs: policy.staleIfErrorMs,
      heuristics: http.heuristics,
      targets: http.targets,
      sMaxageForbidsStale: http.sMaxageForbidsStale
    })
    const posted = miss.forward === 'method'
    const verdict = judgeStorable({
      // A response to HEAD gets here only as the stored GET that it has confirmed.
      method: posted ? 'POST' : 'GET',
      methods: posted ? POST : undefined,
      url: posted ? url : undefined,
      status,
      headers,
      freshness,
      requestHasCredentials: miss.credentialed,
      public: policy.public,
      partitioned: policy.partition !== undefined,
      statuses: policy.statuses === 'any' && isNotFound(status) && policy.notFoundTtlMs > 0 ? NOT_FOUND : policy.statuses,
      keyed: policy.keyed,
      storeSetCookie: http.storeSetCookie,
      storeParts: miss.part !== undefined,
      revalidates: revalidateMs > 0,
      bodyBytes: bytes?.length
    })
    if (!verdict.store) return { store: false, reason: verdict.detail === undefined ? verdict.reason : `${verdict.reason}; ${verdict.detail}` }
    if (vary === 'star') return { store: false, reason: 'vary-star' }
    if (bytes === undefined && isEventStream(headers)) return { store: false, reason: 'event-stream' }
    if (bytes !== undefined && hasNonce(headers, bytes)) return { store: false, reason: 'csp-nonce' }
    const unkeyed = unkeyedInput(inputs, request, miss, vary.names, this.#settings.credentials)
    if (unkeyed !== undefined) {
      this.#warn(request, policy.route, 'input', unkeyed, `responses of ${policy.route} are not cached: the handler reads ${howToKey(unkeyed)}`)
      return { store: false, reason: `unkeyed-input; ${unkeyed}` }
    }
    const { astray } = miss.entities
    if (status === 200 && astray.length > 0) this.#warn(request, policy.route, 'entities', astray, `responses of ${policy.route} are cached without the tags of ${astray.map((entity) => `${entity} (${pathsOf(policy.entities ?? [], entity).join(', ')})`).join(' and ')}: no id is where config.cache.entities points. Correct its path, unless there is one now and then`)
    return { store: true, freshness, vary: vary.names, keptForMs: revalidateMs > 0 && hasValidator(headers) ? revalidateMs : 0 }
  }

  /**
   * Whether an answer that is not stored takes the place of what is: then it must not be served any more, not even as stale.
   * The handler has changed its mind (`no-store`, `private`, 404, ...), and would have told everybody the same. A failure says
   * nothing, nor does what was cut off, or what was built from something of this one request that is not in the key.
   */
  supersedes (miss: Miss, request: FastifyRequest, { status, inputs, vary }: JudgedResponse, reason: string): boolean {
    const ofWhole = miss.outgrown !== undefined && !miss.alone
    if ((!ofWhole && !concernsParts(miss, status, reason)) || status >= 500 || status === 429 || SAYS_NOTHING.has(reason)) return false
    return unkeyedInput(inputs, request, miss, vary === 'star' ? [] : vary.names, this.#settings.credentials) === undefined
  }

  /** How long the route wants a response of this status to live; `undefined` when it does not say. */
  ttlMs (policy: RoutePolicy, status: number): Milliseconds | undefined {
    if (isNotFound(status)) return policy.notFoundTtlMs > 0 ? policy.notFoundTtlMs : undefined
    if (policy.ttlMs === 0) return undefined
    return Math.round(policy.ttlMs * (1 - this.#parts.defaults.jitter * this.#parts.random()))
  }

  #warn (request: FastifyRequest, route: string, kind: 'input' | 'entities', what: ObservedInput | readonly string[], message: string): void {
    const warning = `${kind} ${route}`
    if (this.#warned.has(warning)) return
    this.#warned.add(warning)
    request.log.warn({ route, [kind]: what }, message)
  }
}
