import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Seconds } from '../lib/clock.ts'
import type { Found } from '../lib/engine/response-cache.ts'
import { appendCacheStatus, cacheStatusMember, cacheStatusName, hitMember } from '../lib/http/cache-status.ts'
import type { BypassReason } from './admission.ts'
import { forwardReason } from './miss.ts'
import type { PluginSettings } from './options.ts'

/** Texts that are kept, some tens of bytes each. */
const MAX_HITS = 1000

/** What this cache says of itself in Cache-Status where a handler did not make the answer, or made it as if there were no cache. */
export class OwnStatus {
  readonly #settings: Pick<PluginSettings, 'cacheStatus' | 'cacheStatusKey'>
  readonly #name: string
  readonly #hits = new Map<Seconds, string>()
  readonly #bypassed = new WeakMap<FastifyRequest, string>()

  constructor (settings: Pick<PluginSettings, 'cacheStatus' | 'cacheStatusKey'>) {
    this.#settings = settings
    this.#name = settings.cacheStatus === false ? '' : cacheStatusName(settings.cacheStatus)
  }

  /**
   * The member for an answer from the store.
   * @param collapsed what was found before the request waited for another one
   */
  ofStored (key: string, ttl: Seconds, reason: string, collapsed: Found | undefined): string | undefined {
    const { cacheStatus, cacheStatusKey } = this.#settings
    if (cacheStatus === false) return undefined
    if (reason === 'fresh' && !cacheStatusKey) return this.#hit(Math.floor(ttl))
    const known = { ttl, ...cacheStatusKey && { key } }
    if (collapsed !== undefined) return cacheStatusMember(cacheStatus, { fwd: forwardReason(collapsed), collapsed: true, ...known })
    return cacheStatusMember(cacheStatus, { hit: true, ...known, ...reason !== 'fresh' && { detail: reason } })
  }

  /** That of a plain hit, by its whole seconds: one text for all of them, which need not be put together and checked anew. */
  #hit (ttl: Seconds): string {
    const known = this.#hits.get(ttl)
    if (known !== undefined) return known
    const member = hitMember(this.#name, ttl)
    if (this.#hits.size >= MAX_HITS) this.#hits.clear()
    this.#hits.set(ttl, member)
    return member
  }

  /** Says why a request passes the cache by. */
  bypass (request: FastifyRequest, reply: FastifyReply, reason: BypassReason): void {
    const { cacheStatus } = this.#settings
    if (cacheStatus === false) return
    const member = cacheStatusMember(cacheStatus, { fwd: reason === 'method' ? 'method' : 'bypass', detail: reason })
    addStatus(reply, member)
    this.#bypassed.set(request, member)
  }

  /** The handler that a request was left to may have put a Cache-Status of its own, that of an upstream, in place of ours. */
  restate (request: FastifyRequest, reply: FastifyReply): void {
    const member = this.#bypassed.get(request)
    if (member !== undefined && reply.getHeader('cache-status')?.toString().includes(member) !== true) addStatus(reply, member)
  }
}

/** Behind what caches nearer to the origin have said. */
export function addStatus (reply: FastifyReply, member: string): void {
  const existing = reply.getHeader('cache-status')
  reply.header('cache-status', existing === undefined ? member : appendCacheStatus(String(existing), member))
}
