import { failed, type Answer } from './answer.ts'
import { readEvents, type ServerEvent } from './event-reader.ts'
import { printable } from './figures.ts'

export interface AdminClientOptions {
  /** Where the app is, with scheme and port. */
  readonly url: string
  /** Path under which the routes of the cache live. */
  readonly prefix: string
  readonly token: string | undefined
  readonly timeoutMs: number
}

/** Asks the routes of a cache. Nothing is thrown: what goes wrong comes back as a sentence with the cure. */
export class AdminClient {
  readonly #options: AdminClientOptions

  constructor (options: AdminClientOptions) {
    this.#options = options
  }

  async ask<T> (method: string, path: string, body?: object): Promise<Answer<T>> {
    const answer = await this.#send(method, path, body, AbortSignal.timeout(this.#options.timeoutMs))
    if (!answer.ok) return answer
    try {
      return { ok: true, body: await answer.body.json() as T }
    } catch (error) {
      return failed(this.#unreachable(error))
    }
  }

  /** The events of a route, until it ends them; a connection that breaks off ends them too. */
  async events (path: string, signal: AbortSignal): Promise<Answer<AsyncGenerator<ServerEvent, void, undefined>>> {
    const answer = await this.#send('GET', path, undefined, signal)
    return answer.ok ? { ok: true, body: readEvents(answer.body.body) } : answer
  }

  async #send (method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<Answer<Response>> {
    const { url, prefix, token } = this.#options
    const headers = { ...token !== undefined && { authorization: `Bearer ${token}` }, ...body !== undefined && { 'content-type': 'application/json' } }
    try {
      // A token is for the one whom the user has named, not for whom that one names.
      const response = await fetch(url + prefix + path, { method, headers, signal, redirect: 'manual', ...body !== undefined && { body: JSON.stringify(body) } })
      return response.ok ? { ok: true, body: response } : failed(await this.#refusal(response, path))
    } catch (error) {
      return failed(this.#unreachable(error))
    }
  }

  async #refusal (response: Response, path: string): Promise<string> {
    const { prefix, token } = this.#options
    const { status } = response
    const text = await response.text().catch(() => '')
    const { code, message } = parsed(text)
    if (status === 401) {
      return token === undefined
        ? 'The server wants a bearer token: set CACHE_ADMIN_TOKEN, or give --token'
        : 'The server does not accept this token. It must be the one of the option admin: { token } of the plugin'
    }
    if (status === 404 && code?.startsWith('FST_ERR_CACHE') !== true) {
      const route = prefix + path.replace(/[?].*/, '')
      if (path === '/stats') return `There is no ${route}: the option exposeStats is off, or the cache lives under another --prefix`
      return `There is no ${route}: the admin routes are off (register the plugin with admin: { token })${path === '/report' ? ', monitor is false,' : ''} or the cache lives under another --prefix`
    }
    if (status >= 300 && status < 400) return `The server sends elsewhere, to ${printable(response.headers.get('location') ?? 'nowhere')}; name that address with --url if you trust it`
    return printable(message ?? `The server answers with status ${status}`)
  }

  #unreachable (error: unknown): string {
    const { url, timeoutMs } = this.#options
    const { name, message, cause } = error as Error & { cause?: { code?: string, message?: string } }
    if (name === 'TimeoutError') return `${url} did not answer within ${timeoutMs / 1000} s; --timeout gives it longer`
    if (name === 'AbortError') return 'Interrupted'
    if (name === 'SyntaxError') return `What answers at ${url} is not the cache: it sends no JSON`
    if (cause?.code === 'ECONNREFUSED') return `Nobody listens at ${url}. Start the app, or say with --url where it is`
    return `${url} cannot be reached: ${cause?.code ?? cause?.message ?? message}`
  }
}

function parsed (text: string): { code?: string, message?: string } {
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown, message?: unknown }
    return { ...typeof code === 'string' && { code }, ...typeof message === 'string' && { message } }
  } catch {
    return {}
  }
}
