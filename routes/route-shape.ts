import type { FastifyReply, FastifyRequest, FastifySchema, RouteShorthandOptions, onRequestHookHandler } from 'fastify'

type Shape = Pick<RouteShorthandOptions, 'schema' | 'config' | 'validatorCompiler' | 'serializerCompiler'> & { readonly onRequest: onRequestHookHandler[] }

const kOwn: unique symbol = Symbol('fastify-response-cache.own-route')

/** Whether a route, seen by its configuration, is one of the cache's own: never cached, and its success changes no resource of the app. */
export const isOwnRoute = (config: object | undefined): boolean => config !== undefined && kOwn in config

const failure = (description: string): object => ({
  description,
  type: 'object',
  required: ['statusCode', 'error', 'message'],
  properties: { statusCode: { type: 'integer' }, code: { type: 'string' }, error: { type: 'string' }, message: { type: 'string' } }
})

export const BAD_REQUEST = failure('Something in the request cannot be used; the message says what.')
export const NOT_FOUND = failure('There is nothing of that name.')
export const CONFLICT = failure('That is not possible as things stand; the message says what is in the way.')
export const UNAVAILABLE = failure('As many streams are open as may be; ask for the figures instead.')

/** What the guard in front of a route may answer. */
export const GUARD_RESPONSES = {
  401: failure('The bearer token is missing or wrong.'),
  403: failure('A page of another site sent the request.')
}

/**
 * What all routes of the cache have in common. Their schemas document them, and do nothing else: an app may have compilers
 * of its own, which can make nothing of JSON Schema, and an Ajv that drops what it does not know would make a purge of a
 * dry run whose name is misspelt. What comes in is checked by hand and by the engine.
 */
export function routeShape (summary: string, schema: FastifySchema, guard: readonly onRequestHookHandler[] = []): Shape {
  const documented = { tags: ['cache'], summary, ...schema }
  const config: object = { [kOwn]: true }
  return {
    schema: documented,
    config,
    validatorCompiler: () => () => true,
    serializerCompiler: () => serialized,
    onRequest: [notStored, ...guard]
  }
}

/** Fastify hands over errors as well, as objects whose properties do not show in JSON. */
function serialized (payload: unknown): string {
  if (!(payload instanceof Error)) return JSON.stringify(payload)
  const { statusCode, code, error, message } = payload as Error & { statusCode?: number, code?: string, error?: string }
  return JSON.stringify({ statusCode, code, error, message })
}

/** First of all, so that errors carry it as well. */
function notStored (_request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  reply.header('cache-control', 'no-store')
  done()
}
