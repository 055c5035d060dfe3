import type { FastifyRequest } from 'fastify'
import { isThenable } from './handler-scope.ts'

/**
 * What the validator of a route makes of a query, asked apart from the validation itself; `undefined` where it refuses it, or does not
 * answer at once. It may be none of Fastify's own, and let pass what the schema does not.
 */
export function foreseenQuery (request: FastifyRequest, sent: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | undefined {
  const validator: unknown = request.getValidationFunction('querystring')
  if (typeof validator !== 'function') return undefined
  try {
    const query = copyOf(sent)
    const answer = validator(query) as boolean | { value?: Record<string, unknown>, error?: unknown, then?: unknown } | undefined
    if (typeof answer !== 'object' || answer === null) return answer === false ? undefined : query
    if (isThenable(answer)) answer.then(undefined, () => {})
    else if (!answer.error) return answer.value ?? query
  } catch {
    // It will throw again, where Fastify takes it for an error.
  }
  return undefined
}

/** A validator changes what it is given. */
const copyOf = (query: Readonly<Record<string, unknown>>): Record<string, unknown> => Object.values(query).every((value) => typeof value === 'string') ? { ...query } : structuredClone(query)
