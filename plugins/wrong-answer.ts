import type { FastifyRequest } from 'fastify'
import { errors, shown } from '../lib/errors.ts'

/**
 * The mistake of a route whose function answers what it must not. Objects are not shown: the message may reach a client, and
 * they may be users.
 */
export function wrongAnswer (option: 'partition' | 'tags' | 'invalidates', request: FastifyRequest, answer: unknown, allowed: string): Error {
  const promise = answer instanceof Promise
  // Nobody else hears whether it fails.
  if (promise) answer.catch(() => {})
  const what = promise ? 'a promise' : Array.isArray(answer) ? 'an array' : typeof answer === 'object' && answer !== null ? 'an object' : shown(answer)
  const cure = promise ? ', at once: await in a hook before it, such as preHandler, what it takes, and leave that on the request' : ''
  return new errors.FST_ERR_CACHE_OPTION(`config.cache.${option}`, `a function of ${request.routeOptions.url ?? 'the route'} that answered ${what}`, `a function that answers ${allowed}${cure}`)
}
