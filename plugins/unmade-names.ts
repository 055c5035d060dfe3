import type { FastifyRequest } from 'fastify'

/** What a template makes of a member that is not there, or empty. A name that has such a word in it (`null-pointer`) is another. */
const UNMADE = /(?<=^|[:/|,;=\s])(?:undefined|null|NaN)(?=$|[:/|,;=\s])|(?<=[-_.@])(?:undefined|null|NaN)$|\[object \w+\]|(?<=[:=|])$/

const told = new WeakMap<object, Set<string>>()

/**
 * Whether a name was made of something that was not there, such as `user:undefined`: it names somebody else with all others
 * that were made so. Said once for a route.
 * @param end what that means, for the log
 */
export function isUnmade (request: FastifyRequest, option: 'partition' | 'invalidates' | 'tags', name: string, end: string): boolean {
  const found = UNMADE.exec(name)?.[0]
  if (found === undefined) return false
  const { config, url = '' } = request.routeOptions
  const options = told.get(config) ?? new Set()
  told.set(config, options)
  if (!options.has(option)) {
    options.add(option)
    request.log.warn({ route: url, option }, `config.cache.${option} of ${url} has answered a text ${found === '' ? 'that ends where something is missing' : `with ${found} in it, where something was not there`}: ${end}`)
  }
  return true
}
