import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { CLIENT_CONDITIONS } from '../lib/http/revalidation.ts'

/** What a handler may look at beside the headers, and could build its response from. */
export type ObservedInput = string

/** Stands for all headers at once: somebody copied or listed them. */
export const ALL_HEADERS = '*'

/** Stands for the request target as it was sent, where the key knows less of it or another spelling. */
export const TARGET = '@target'

/** The address of the client. Like the target, it is spelled as no header can be. */
export const IP = '@ip'

/** The id of the request, where a function of the app has made it. */
export const ID = '@id'

/** What a response may be said not to depend on, beside headers. */
export const HARMLESS_BESIDE_HEADERS: readonly ObservedInput[] = [IP, ID]

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
  readonly #inputs = new Reads()
  readonly #request: WithCookies
  readonly #raw: IncomingMessage
  #headers: IncomingHttpHeaders
  #watch: HeaderWatch | undefined
  readonly #rawHeaders: string[]
  readonly #cookies: object | undefined
  readonly #url: string | undefined
  readonly #conditions: Conditions

  /**
   * @param watchTarget whether reading the raw target counts, because parts of it are not in the key
   * @param idSource what reading the id of the request counts as, if it says anything
   * @param conditions what the handler is asked in place of the client's own conditions
   * @param known what the handler knows without reading it
   */
  constructor (request: FastifyRequest, watchTarget: boolean, idSource: ObservedInput | undefined, conditions: Conditions = NO_CONDITIONS, known: readonly ObservedInput[] = []) {
    const { raw } = request
    this.#request = request as WithCookies
    this.#raw = raw
    this.#headers = raw.headers
    this.#rawHeaders = raw.rawHeaders
    this.#cookies = this.#request.cookies ?? undefined
    this.#url = watchTarget ? raw.url : undefined
    this.#conditions = conditions
    makeTell(request)
    // The headers of an HTTP/2 request cannot be assigned until they are properties of its own.
    if (raw.httpVersionMajor === 2) Object.defineProperties(raw, { headers: { value: raw.headers, configurable: true, writable: true }, rawHeaders: { value: raw.rawHeaders, configurable: true, writable: true } })
    this.begin()
    for (const input of known) this.#inputs.add(input)
    if (idSource !== undefined) watchId(request, this.#inputs, idSource)
  }

  /**
   * Begins to watch, at first or again: a body that is streamed is made after the handler has returned.
   * @param elsewhere whether it is somebody else who reads now
   */
  begin (elsewhere?: () => boolean): void {
    const inputs = elsewhere === undefined ? this.#inputs : { add: (input: ObservedInput): void => { if (!elsewhere()) this.#inputs.add(input) } }
    this.#watch = new HeaderWatch(inputs, this.#conditions)
    this.#raw.headers = new Proxy(this.#headers, this.#watch)
    this.#raw.rawHeaders = new Proxy<string[]>(this.#rawHeaders, new AnyWatch(inputs, ALL_HEADERS))
    this.#forgetDistinct()
    if (this.#cookies !== undefined) this.#request.cookies = new Proxy(this.#cookies, new AnyWatch(inputs, 'cookie'))
    this.#request[watchSymbol] = inputs
    if (this.#url !== undefined) watchUrl(this.#raw, inputs)
  }

  /** Node keeps what it has once made of the raw headers; a hook may have looked before us. */
  #forgetDistinct (): void {
    if ('headersDistinct' in this.#raw) (this.#raw as { headersDistinct: unknown }).headersDistinct = undefined
  }

  /** Puts the request back as it was, and tells what was read. */
  end (): ReadonlySet<ObservedInput> {
    this.#headers = this.#watch?.changed ?? this.#headers
    this.#raw.headers = this.#headers
    this.#raw.rawHeaders = this.#rawHeaders
    if (this.#cookies !== undefined) this.#request.cookies = this.#cookies
    this.#request[watchSymbol] = null
    if (this.#url !== undefined) Object.defineProperty(this.#raw, 'url', { value: this.#url, configurable: true, enumerable: true, writable: true })
    return this.#inputs.all
  }
}

/** What does not count. */
interface Aside { has: (input: ObservedInput) => boolean }

const NOTHING: Aside = { has: () => false }
const EVERYTHING: Aside = { has: () => true }

let aside = NOTHING

/**
 * Runs what reads a request for something else than the response: for the log, or for another HTTP server.
 * @param inputs what does not count while it runs
 */
export function readAside<T> (run: () => T, inputs = EVERYTHING): T {
  const before = aside
  if (before !== EVERYTHING) aside = inputs
  try {
    return run()
  } finally {
    aside = before
  }
}

/** Where it is noted what was read. */
interface Inputs { add: (input: ObservedInput) => unknown }

class Reads implements Inputs {
  readonly all = new Set<ObservedInput>()

  add (input: ObservedInput): void {
    if (!aside.has(input)) this.all.add(input)
  }
}

/** An id that the client has chosen is as good as the header that it came in; any other is that of one request. */
function watchId (request: FastifyRequest, inputs: Inputs, source: ObservedInput): void {
  const { id } = request
  Object.defineProperty(request, 'id', {
    configurable: true,
    enumerable: true,
    get () {
      inputs.add(source)
      return id
    }
  })
}

class HeaderWatch implements ProxyHandler<IncomingHttpHeaders> {
  readonly #inputs: Inputs
  readonly #conditions: Conditions
  /** What the handler has made of them. Those of the request stay as they were: by them its response is found again. */
  changed: IncomingHttpHeaders | undefined

  constructor (inputs: Inputs, conditions: Conditions) {
    this.#inputs = inputs
    this.#conditions = conditions
  }

  get (target: IncomingHttpHeaders, name: string | symbol): unknown {
    const headers = this.changed ?? target
    if (typeof name !== 'string') return Reflect.get(headers, name)
    this.#inputs.add(name)
    return CLIENT_CONDITIONS.has(name) ? this.#conditions[name] : headers[name]
  }

  set (target: IncomingHttpHeaders, name: string, value: string): boolean {
    this.changed ??= { ...target }
    this.changed[name] = value
    return true
  }

  defineProperty (target: IncomingHttpHeaders, name: string, { value }: PropertyDescriptor): boolean {
    return this.set(target, name, value as string)
  }

  deleteProperty (target: IncomingHttpHeaders, name: string): boolean {
    this.changed ??= { ...target }
    return Reflect.deleteProperty(this.changed, name)
  }

  has (target: IncomingHttpHeaders, name: string | symbol): boolean {
    this.#inputs.add(String(name))
    return CLIENT_CONDITIONS.has(String(name)) ? Object.hasOwn(this.#conditions, name) : Reflect.has(this.changed ?? target, name)
  }

  getOwnPropertyDescriptor (target: IncomingHttpHeaders, name: string | symbol): PropertyDescriptor | undefined {
    this.#inputs.add(String(name))
    return Reflect.getOwnPropertyDescriptor(CLIENT_CONDITIONS.has(String(name)) ? this.#conditions : this.changed ?? target, name)
  }

  ownKeys (target: IncomingHttpHeaders): ArrayLike<string | symbol> {
    this.#inputs.add(ALL_HEADERS)
    return [...Reflect.ownKeys(this.changed ?? target).filter((name) => !CLIENT_CONDITIONS.has(String(name))), ...Object.keys(this.#conditions)]
  }
}

/**
 * Whoever looks into it at all, looks at one thing: into the raw list at all headers (`headersDistinct` is made from it),
 * into the parsed cookies at the Cookie header.
 */
class AnyWatch<T extends object> implements ProxyHandler<T> {
  readonly #inputs: Inputs
  readonly #input: ObservedInput

  constructor (inputs: Inputs, input: ObservedInput) {
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

/** The conditions that a handler sees, by the names of their fields. */
export type Conditions = Readonly<Record<string, string>>

const NO_CONDITIONS: Conditions = {}

/** A request as the cookie plugin leaves it. */
interface WithCookies extends Watchable { cookies?: object | null }

/** Where a request that is watched now has what is read of it. */
export const watchSymbol: unique symbol = Symbol('fastify-response-cache.watch')

interface Watchable { [watchSymbol]?: Inputs | null }

/** By class of requests: getters that each request needs of its own, or `null` where the class has them. */
const gettersOf = new WeakMap<object, PropertyDescriptorMap | null>()

/**
 * Makes a request tell of what it computes from the connection and from the target. Fastify makes a class of requests for
 * each instance that decorates them, so its getters are replaced once; to redefine them on every request would cost more than
 * all the other watching. Behind a proxy some cannot be replaced there.
 */
function makeTell (request: FastifyRequest): void {
  const prototype = Object.getPrototypeOf(request) as object
  let getters = gettersOf.get(prototype)
  if (getters === undefined) {
    const ways = { ip: telling(prototype, 'ip', () => IP), originalUrl: telling(prototype, 'originalUrl', ({ raw }, value) => value === raw.url ? undefined : TARGET) }
    const fixed = Object.keys(ways).some((name) => Object.getOwnPropertyDescriptor(prototype, name)?.configurable === false)
    if (!fixed) Object.defineProperties(prototype, ways)
    getters = fixed ? ways : null
    gettersOf.set(prototype, getters)
  }
  if (getters !== null) Object.defineProperties(request, getters)
}

function telling (prototype: object, name: string, inputOf: (request: FastifyRequest, value: unknown) => ObservedInput | undefined): PropertyDescriptor {
  const inherited = getterOf(prototype, name)
  return {
    configurable: true,
    get (this: FastifyRequest): unknown {
      const value = inherited?.call(this)
      const input = inputOf(this, value)
      if (input !== undefined) (this as Watchable)[watchSymbol]?.add(input)
      return value
    }
  }
}

function getterOf (start: object, name: string): (() => unknown) | undefined {
  for (let prototype: object | null = start; prototype !== null; prototype = Object.getPrototypeOf(prototype) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
    if (descriptor !== undefined) return descriptor.get
  }
  return undefined
}

function watchUrl (raw: IncomingMessage, inputs: Inputs): void {
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
