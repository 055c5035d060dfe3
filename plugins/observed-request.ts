import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

/** Headers that ask for less than the whole response. The handler must not see them: the cache answers them from what it stores. */
const CONDITIONAL: ReadonlySet<string> = new Set(['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'range'])

/** What a handler may look at beside the headers, and could build its response from. */
export type ObservedInput = string

/** Stands for all headers at once: somebody copied or listed them. */
export const ALL_HEADERS = '*'

/**
 * Watches which parts of the request a handler reads while it builds a response that is to be stored. A response built
 * from something that is not in the key would be served to requests that differ in it; a list of dangerous headers would
 * never be complete, but this is.
 *
 * Headers are watched through a Proxy in place of `request.raw.headers`, which Fastify reads through every time. The
 * client's own conditions are hidden behind it, so that no client can keep the handler from answering in full.
 */
export class ObservedRequest {
  readonly #inputs = new Set<ObservedInput>()
  readonly #restore: Array<() => void> = []

  /** @param watchTarget whether reading the raw target counts, because parts of it are not in the key */
  constructor (request: FastifyRequest, watchTarget: boolean) {
    const { raw } = request
    const headers = watchedHeaders(raw.headers, this.#inputs)
    this.#replace(raw, 'headers', () => headers)
    this.#watch(raw, 'rawHeaders', ALL_HEADERS)
    this.#watch(raw, 'headersDistinct', ALL_HEADERS)
    this.#watch(request, 'ip', 'ip')
    if (watchTarget) this.#watch(raw, 'url', 'target')
  }

  /** Puts the request back as it was, and tells what was read. */
  end (): ReadonlySet<ObservedInput> {
    for (const restore of this.#restore.splice(0)) restore()
    return this.#inputs
  }

  #watch (target: object, name: string, input: ObservedInput): void {
    const own = Object.getOwnPropertyDescriptor(target, name)
    const prototype = Object.getPrototypeOf(target) as object
    this.#replace(target, name, () => {
      this.#inputs.add(input)
      return own === undefined ? Reflect.get(prototype, name, target) as unknown : own.value as unknown
    })
  }

  #replace (target: object, name: string, get: () => unknown): void {
    const own = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { configurable: true, enumerable: own?.enumerable ?? false, get })
    this.#restore.push(() => {
      if (own === undefined) Reflect.deleteProperty(target, name)
      else Object.defineProperty(target, name, own)
    })
  }
}

function watchedHeaders (headers: IncomingHttpHeaders, inputs: Set<ObservedInput>): IncomingHttpHeaders {
  return new Proxy(headers, {
    get (target, name) {
      if (typeof name !== 'string') return Reflect.get(target, name) as unknown
      inputs.add(name)
      return CONDITIONAL.has(name) ? undefined : target[name]
    },
    has (target, name) {
      inputs.add(String(name))
      return Reflect.has(target, name) && !CONDITIONAL.has(String(name))
    },
    getOwnPropertyDescriptor (target, name) {
      inputs.add(String(name))
      return CONDITIONAL.has(String(name)) ? undefined : Reflect.getOwnPropertyDescriptor(target, name)
    },
    ownKeys (target) {
      inputs.add(ALL_HEADERS)
      return Reflect.ownKeys(target).filter((name) => !CONDITIONAL.has(String(name)))
    }
  })
}
