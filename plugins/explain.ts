import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { entryReport } from '../lib/engine/entry-report.ts'
import type { EngineParts } from '../lib/engine/parts.ts'
import type { Found, ResponseCache } from '../lib/engine/response-cache.ts'
import type { ResponseFlights } from '../lib/engine/response-flights.ts'
import { isCleanTarget } from '../lib/keyspace/request-key.ts'
import { chain, type MaybePromise } from '../lib/maybe-promise.ts'
import type { Explanation } from '../routes/explain.ts'
import { admit } from './admission.ts'
import { BYPASS_WORDS, inputsOf, judgeFound } from './explanation.ts'
import type { PluginSettings } from './options.ts'
import { policyInWords } from './policy-words.ts'
import { OwnRequests } from './own-requests.ts'
import { repeatableHeaders } from './repeatable-headers.ts'
import type { RoutePolicy } from './route-options.ts'

export interface ExplainerParts {
  readonly parts: EngineParts
  readonly responses: ResponseCache
  readonly flights: ResponseFlights
  readonly settings: PluginSettings
}

/** A request that is made to learn what would become of it. */
interface Question {
  answer: Omit<Explanation, 'url'> | undefined
}

/** What the request of the asker says about itself and not about the page in question. */
const OF_THE_ASKER: ReadonlySet<string> = new Set(['authorization', 'cookie', 'content-type', 'origin', 'referer', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest', 'sec-fetch-user'])

/**
 * Tells what the cache would do with a request by making it, of the app itself: routing, hooks and admission are the real
 * ones, but the lookup answers and the handler does not run. The request is one that the asker could make without
 * credentials; all that a route outside of this plugin's reach can do with it is to answer it.
 */
export class Explainer {
  readonly #parts: ExplainerParts
  readonly #requests: OwnRequests<Question>

  constructor (app: FastifyInstance, parts: ExplainerParts) {
    this.#parts = parts
    this.#requests = new OwnRequests(app, parts.parts)
  }

  /** The question that this request stands for; `undefined` for the requests of clients. */
  questionOf (request: FastifyRequest): Question | undefined {
    return this.#requests.purposeOf(request)
  }

  /** What would become of a GET of `url`, from the client that sends `asker`. */
  async explain (url: string, asker: FastifyRequest): Promise<Explanation> {
    // Whatever is not in origin form is not even tried: other programs could take part of it for a host.
    if (!isCleanTarget(url)) return { url, verdict: 'bypass', reason: 'unclean-target', why: BYPASS_WORDS['unclean-target'] }
    const headers = repeatableHeaders(asker)
    for (const name of [...OF_THE_ASKER, ...this.#parts.settings.credentials]) delete headers[name]
    // Node's fetch says so where nobody has said anything, and it means nothing.
    if (headers['accept-language'] === '*') delete headers['accept-language']
    const question: Question = { answer: undefined }
    const status = await this.#requests.make(question, { model: asker, url, headers })
    return { url, ...question.answer ?? { verdict: 'bypass', reason: `answered-before; ${status}`, why: `A hook, or a route that this cache does not see, answered with status ${status} before the cache was asked` } }
  }

  /** Answers for requests that reach no lookup. Registered only where questions can be asked. */
  addHook (app: FastifyInstance): void {
    const explainer = this
    const { name } = this.#parts.settings
    app.addHook('onRequest', function cacheExplain (request, reply, done) {
      const question = explainer.questionOf(request)
      if (question === undefined) {
        done()
        return
      }
      const configured = (request.routeOptions.config as unknown as Readonly<Record<string, unknown>>)[name] ?? false
      if (configured !== false) {
        done()
        return
      }
      question.answer = request.is404
        ? { verdict: 'bypass', reason: 'no-route', why: 'No route of the app answers a GET of this path' }
        : { verdict: 'bypass', reason: 'not-configured', why: `The route has no config.${name}`, ...request.routeOptions.url !== undefined && { route: request.routeOptions.url } }
      void reply.code(204).send()
    })
  }

  /** Takes the place of the lookup, and ends the request. */
  answer (question: Question, policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply): MaybePromise<boolean> {
    const { parts, responses, flights, settings } = this.#parts
    const about = { route: policy.route, policy: policyInWords(policy) }
    const finish = (answer: Question['answer']): true => {
      question.answer = answer
      void reply.code(204).send()
      return true
    }
    const admission = admit(request, reply, policy, settings.credentials)
    if (!admission.admitted) return finish({ verdict: 'bypass', reason: admission.reason, why: BYPASS_WORDS[admission.reason], ...about })
    return chain(responses.lookAgain(admission.key, request), (found: Found) => {
      const nowMs = parts.clock.now()
      const { key, entry } = found
      return finish({ ...judgeFound(found, nowMs, flights.isUncacheable(admission.key)), ...about, key, inputs: inputsOf(policy, request, reply), ...entry !== undefined && { entry: entryReport(key, entry, nowMs) } })
    })
  }
}
