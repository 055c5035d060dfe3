import type { FastifyRequest } from 'fastify'

/** What Fastify knows of a route, as far as it is asked here. */
type RouteContext = Readonly<Record<string, unknown>>

/** The phases between onRequest and the handler. */
const PHASES = ['preParsing', 'preValidation', 'preHandler'] as const

/**
 * Whether nobody's hook runs between `arrival`, the hook that this request is in, and the handler. Where the hooks of an app
 * come from, and whether they were there before us, no public interface tells for a route; Fastify's own record of it does.
 * Whatever that looks like in another version: what is not understood counts as a hook.
 */
export function nothingBetween (request: FastifyRequest, arrival: string): boolean {
  const context = contextOf(request)
  if (context === undefined) return false
  const first = context['onRequest']
  if (!Array.isArray(first)) return false
  const last: unknown = first.at(-1)
  return typeof last === 'function' && last.name === `bound ${arrival}` && PHASES.every((phase) => context[phase] === null)
}

/**
 * Whether nobody but the hook `own` sees a response on its way out. Hooks cannot be added once the first request is there.
 */
export function nothingBehind (request: FastifyRequest, own: string): boolean {
  const behind = contextOf(request)?.['onSend']
  return Array.isArray(behind) && behind.every((hook) => typeof hook === 'function' && hook.name === `bound ${own}`)
}

function contextOf (request: FastifyRequest): RouteContext | undefined {
  const symbol = Object.getOwnPropertySymbols(request).find(({ description }) => description === 'fastify.context')
  const context: unknown = symbol === undefined ? undefined : Reflect.get(request, symbol)
  return typeof context === 'object' && context !== null ? context as RouteContext : undefined
}
