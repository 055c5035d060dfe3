import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'

/** Headers that ask for less than the whole response. The handler must not see them: the cache answers them from what it stores. */
const CONDITIONAL: ReadonlySet<string> = new Set(['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'range'])

/** What a handler may look at beside the headers, and could build its response from. */
export type ObservedInput = string

/** Stands for all headers at once: somebody copied or listed them. */
export const ALL_HEADERS = '*'

/** Stands for the request target as it was sent, where the key knows less of it or another spelling. */
export const TARGET = 'target'

/**
 * Watches which parts of the request a handler reads while it builds a response that is to be stored. A response built
 * from something that is not in the key would be served to requests that differ in it; a list of dangerous headers would
 * never be complete, but this is.
 *
 * Headers are watched through a Proxy in place of `request.raw.headers`, which Fastify reads through every time. The
 * client's own conditions are hidden behind it, so that no client can keep the handler from answering in full. The Proxies
 * are put in place and taken away by plain assignment: redefining properties would change the shape of the request, and
 * Node's own code is slow on requests of many shapes.
 */
export class ObservedRequest {
  readonly #inputs = new Set<ObservedInput>()
  readonly #request: WithCookies
  readonly #raw: IncomingMessage
  readonly #headers: IncomingHttpHeaders
  readonly #rawHeaders: string[]
  readonly #cookies: object | undefined
  readonly #url: string | undefined

  /**
   * @param watchTarget whether reading the raw target counts, because parts of it are not in the key
   * @param idHeader the header from which the id of the request was taken, if it was
   */
  constructor (request: FastifyRequest, watchTarget: boolean, idHeader: string | undefined) {
    const { raw } = request
    this.#request = request as WithCookies
    this.#raw = raw
    this.#headers = raw.headers
    this.#rawHeaders = raw.rawHeaders
    this.#cookies = this.#request.cookies ?? undefined
    this.#url = watchTarget ? raw.url : undefined
    // The headers of an HTTP/2 request cannot be assigned until they are properties of its own.
    if (raw.httpVersionMajor === 2) Object.defineProperties(raw, { headers: { value: raw.headers, configurable: true, writable: true }, rawHeaders: { value: raw.rawHeaders, configurable: true, writable: true } })
    this.begin()
    if (idHeader !== undefined) watchId(request, this.#inputs, idHeader)
  }

  /** Begins to watch, at first or again: a body that is streamed is made after the handler has returned. */
  begin (): void {
    const inputs = this.#inputs
    this.#raw.headers = new Proxy(this.#headers, new HeaderWatch(inputs))
    this.#raw.rawHeaders = new Proxy<string[]>(this.#rawHeaders, new AnyWatch(inputs, ALL_HEADERS))
    if (this.#cookies !== undefined) this.#request.cookies = new Proxy(this.#cookies, new AnyWatch(inputs, 'cookie'))
    watched.set(this.#request, inputs)
    Object.defineProperties(this.#request, WATCHED)
    if (this.#url !== undefined) watchUrl(this.#raw, inputs)
  }

  /** Puts the request back as it was, and tells what was read. */
  end (): ReadonlySet<ObservedInput> {
    this.#raw.headers = this.#headers
    this.#raw.rawHeaders = this.#rawHeaders
    if (this.#cookies !== undefined) this.#request.cookies = this.#cookies
    watched.delete(this.#request)
    if (this.#url !== undefined) Object.defineProperty(this.#raw, 'url', { value: this.#url, configurable: true, enumerable: true, writable: true })
    return this.#inputs
  }
}

/** An id that the client has chosen is as good as the header that it came in. */
function watchId (request: FastifyRequest, inputs: Set<ObservedInput>, header: string): void {
  const { id } = request
  Object.defineProperty(request, 'id', {
    configurable: true,
    enumerable: true,
    get () {
      inputs.add(header)
      return id
    }
  })
}

class HeaderWatch implements ProxyHandler<IncomingHttpHeaders> {
  readonly #inputs: Set<ObservedInput>

  constructor (inputs: Set<ObservedInput>) {
    this.#inputs = inputs
  }

  get (target: IncomingHttpHeaders, name: string | symbol): unknown {
    if (typeof name !== 'string') return Reflect.get(target, name)
    this.#inputs.add(name)
    return CONDITIONAL.has(name) ? undefined : target[name]
  }

  has (target: IncomingHttpHeaders, name: string | symbol): boolean {
    this.#inputs.add(String(name))
    return Reflect.has(target, name) && !CONDITIONAL.has(String(name))
  }

  getOwnPropertyDescriptor (target: IncomingHttpHeaders, name: string | symbol): PropertyDescriptor | undefined {
    this.#inputs.add(String(name))
    return CONDITIONAL.has(String(name)) ? undefined : Reflect.getOwnPropertyDescriptor(target, name)
  }

  ownKeys (target: IncomingHttpHeaders): ArrayLike<string | symbol> {
    this.#inputs.add(ALL_HEADERS)
    return Reflect.ownKeys(target).filter((name) => !CONDITIONAL.has(String(name)))
  }
}

/**
 * Whoever looks into it at all, looks at one thing: into the raw list at all headers (`headersDistinct` is made from it),
 * into the parsed cookies at the Cookie header.
 */
class AnyWatch<T extends object> implements ProxyHandler<T> {
  readonly #inputs: Set<ObservedInput>
  readonly #input: ObservedInput

  constructor (inputs: Set<ObservedInput>, input: ObservedInput) {
    this.#inputs = inputs
    this.#input = input
  }

  get (target: T, name: string | symbol): unknown {
    this.#inputs.add(this.#input)
    return Reflect.get(target, name)
  }

  has (target: T, name: string | symbol): boolean {
    this.#inputs.add(this.#input)
    return Reflect.has(target, name)
  }

  ownKeys (target: T): ArrayLike<string | symbol> {
    this.#inputs.add(this.#input)
    return Reflect.ownKeys(target)
  }

  getOwnPropertyDescriptor (target: T, name: string | symbol): PropertyDescriptor | undefined {
    this.#inputs.add(this.#input)
    return Reflect.getOwnPropertyDescriptor(target, name)
  }
}

/** A request as the cookie plugin leaves it. */
interface WithCookies { cookies?: object | null }

const watched = new WeakMap<object, Set<ObservedInput>>()

const watchedGetter = (name: 'ip' | 'originalUrl', input: ObservedInput): PropertyDescriptor => ({
  configurable: true,
  enumerable: false,
  get (this: FastifyRequest): unknown {
    const value: unknown = Reflect.get(Object.getPrototypeOf(this) as object, name, this)
    if (name === 'ip' || value !== this.raw.url) watched.get(this)?.add(input)
    return value
  }
})

/** The same getters for all requests, so that these keep one shape. They stay in place and do no harm when nobody watches any more. */
const WATCHED: PropertyDescriptorMap = {
  ip: watchedGetter('ip', 'ip'),
  originalUrl: watchedGetter('originalUrl', TARGET)
}

function watchUrl (raw: IncomingMessage, inputs: Set<ObservedInput>): void {
  const { url } = raw
  Object.defineProperty(raw, 'url', {
    configurable: true,
    enumerable: true,
    get () {
      inputs.add(TARGET)
      return url
    }
  })
}
