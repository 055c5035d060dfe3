import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EpochMs } from '../lib/clock.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { Found } from '../lib/engine/response-cache.ts'
import { cutFromPart, isSingleRange, joinParts } from '../lib/http/parts.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { keyMark, type Mark } from '../lib/keyspace/mark.ts'
import { variantKey } from '../lib/keyspace/request-key.ts'
import { chain, type MaybePromise } from '../lib/maybe-promise.ts'
import { admit } from './admission.ts'
import { isParticular } from './client-wish.ts'
import type { Miss } from './exchange.ts'
import type { Lookup } from './lookup.ts'
import { beginMiss } from './miss.ts'
import type { RouteCache, RouteCacheParts } from './route-cache.ts'
import type { RoutePolicy } from './route-options.ts'
import { Visit } from './visit.ts'

/**
 * Keeps parts of responses that are not stored as a whole: the handler sees the Range, and its 206 is stored beside where
 * the whole would be, so that whoever asks for the whole never meets it.
 */
export class Parts {
  readonly #shared: RouteCacheParts
  readonly #cache: RouteCache

  constructor (shared: RouteCacheParts, cache: RouteCache) {
    this.#shared = shared
    this.#cache = cache
  }

  /** The lookup of a route that keeps parts; `others` sees to requests for the whole, and to those that a stored whole answers. */
  before (others: Lookup): Lookup {
    return { lookup: (policy, request, reply) => request.method === 'GET' && isSingleRange(request.headers.range) ? this.#lookup(others, policy, request, reply) : others.lookup(policy, request, reply) }
  }

  #lookup (others: Lookup, policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): MaybePromise<boolean> {
    const { parts: { clock, events, log }, responses, settings } = this.#shared
    const admission = admit(request, reply, policy, settings.credentials)
    if (!admission.admitted || isParticular(request, policy, admission.credentialed)) return others.lookup(policy, request, reply)
    const { key } = admission
    const nowMs = clock.now()
    const visit = new Visit({ policy, request, reply, key, credentialed: false, startedAt: events.heard('lookup') ? performance.now() : 0, arrivedAtMs: nowMs, askedAtMs: nowMs, askedAt: log.tip, job: undefined })
    return chain(responses.lookAgain(key, request), ({ entry }) => entry === undefined
      ? chain(responses.find(partsKey(key), request), (found) => this.#decide(visit, found, clock.now()))
      : others.lookup(policy, request, reply))
  }

  #decide (visit: Visit, { entry, varyMiss }: Found, nowMs: EpochMs): boolean {
    const { parts } = this.#shared
    const { policy, request, key, startedAt } = visit
    const { range = '', 'if-range': ifRange } = request.headers
    const cut = entry === undefined || nowMs >= entry.freshUntilMs ? undefined : cutFromPart(entry.value, range, ifRange?.toString(), entry.storedAtMs)
    if (entry !== undefined && cut !== undefined) return this.#cache.serve(visit, { ...entry, value: cut }, nowMs, 'hit', 'fresh')
    const { forward } = beginMiss(this.#cache, parts, visit, { key, entry: undefined, varyMiss }, {
      ...entry !== undefined && { forward: 'partial' },
      alone: true,
      conditions: { range, ...ifRange !== undefined && { 'if-range': String(ifRange) } },
      // A purge that came since it was found has taken it; one that comes from now on keeps out what it is joined to.
      part: { key: partsKey(key), earlier: entry !== undefined && parts.log.judge(key, entry.marks, visit.askedAt) === 'valid' ? entry : undefined }
    })
    this.#cache.tell(request, 'miss', forward, policy, startedAt, nowMs, key)
    return false
  }
}

const partsKey = (key: string): string => variantKey(key, 'part')

/** What was kept in parts is of another time than what the handler has said of the whole. */
export function forgetParts ({ key, policy }: Miss, { log, store }: EngineParts): void {
  if (!policy.http.storeParts) return
  const name = partsKey(key)
  void chain(store.read(name, false), (held) => {
    if (held === undefined) return
    void log.append({ keys: [name] })
    void store.remove([name])
  })
}

/** Under which key a response to a request for a part is kept, joined to the part that is there if it can be. */
export function placeOf ({ key, part }: Miss, response: StoredResponse, marks: readonly Mark[], maxBytes: number): { readonly key: string, readonly response: StoredResponse, readonly marks: readonly Mark[] } {
  if (part === undefined || response.status !== 206) return { key, response, marks }
  const { earlier } = part
  const joined = earlier !== undefined && earlier.value.body.length + response.body.length <= maxBytes ? joinParts(earlier.value, response) : undefined
  const all = joined === undefined || earlier === undefined ? marks : [...new Set([...marks, ...earlier.marks])]
  // The whole stays when the parts go whose place it takes; what purges the whole by its key takes them as well.
  return joined?.status === 200 ? { key, response: joined, marks: all.filter((mark) => mark !== keyMark(part.key)) } : { key: part.key, response: joined ?? response, marks: [...all, keyMark(key)] }
}
