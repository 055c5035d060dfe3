import type { FastifyReply, FastifyRequest } from 'fastify'
import type { TagHeader } from '../lib/engine/cdn-options.ts'
import { headerOf, type HeaderList } from '../lib/http/headers.ts'
import { surrogateKeys, type SurrogateField } from '../lib/http/surrogate-keys.ts'
import { keysOf, tagMark, tagsOf, type Mark } from '../lib/keyspace/mark.ts'
import { isName } from '../lib/keyspace/name.ts'
import type { ReplyHeaders } from './exchange.ts'

/** Tells a CDN in front by what names a purge reaches a response. */
export class SurrogateKeys {
  readonly #field: SurrogateField
  readonly #warned = new Set<string>()

  constructor (header: TagHeader) {
    this.#field = header.toLowerCase() as SurrogateField
  }

  /** Adds the tags of the response, and the keys of what it was built from, to those that the handler has named. */
  put (request: FastifyRequest, reply: FastifyReply, marks: readonly Mark[]): void {
    const value = this.#named(request, marks, reply.getHeader(this.#field)?.toString())
    if (value !== undefined) reply.header(this.#field, value)
  }

  /** Adds to a head that is about to be written what hooks behind ours have tagged the response with. */
  putLate (request: FastifyRequest, headers: ReplyHeaders, tags: readonly string[]): void {
    const value = this.#named(request, tags.filter(isName).map(tagMark), headers[this.#field]?.toString())
    if (value !== undefined) headers[this.#field] = value
  }

  /** Adds what a stream was built from while it flowed. Its own head has gone out without; that of its hits has it. */
  complete (request: FastifyRequest, headers: HeaderList, known: readonly Mark[], all: readonly Mark[]): HeaderList {
    const early = new Set(known)
    const value = this.#named(request, all.filter((mark) => !early.has(mark)), headerOf(headers, this.#field))
    return value === undefined ? headers : [...headers.filter(([name]) => name !== this.#field), [this.#field, value]]
  }

  #named (request: FastifyRequest, marks: readonly Mark[], existing: string | undefined): string | undefined {
    const { value, omitted } = surrogateKeys(this.#field, [...tagsOf(marks), ...keysOf(marks)], existing)
    if (omitted.length > 0) this.#warn(request, omitted)
    return value
  }

  #warn (request: FastifyRequest, omitted: readonly string[]): void {
    const route = request.routeOptions.url ?? request.url
    if (this.#warned.has(route)) return
    this.#warned.add(route)
    request.log.warn({ route, omitted: omitted.length, first: omitted[0] }, `responses of ${route} have more or longer tags than fit into ${this.#field} (1024 bytes each, 16 KB in all): a purge of the others does not reach the CDN. Tag coarser`)
  }
}
