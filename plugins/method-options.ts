import { errors } from '../lib/errors.ts'
import { isSafeMethod } from '../lib/http/method.ts'

/**
 * Only responses to GET and HEAD are stored, and those to POST where that is asked for; only a success of an unsafe method
 * invalidates. What a route asks for beyond that would never happen.
 * @param storePost whether answers to POST are kept
 * @throws FST_ERR_CACHE_OPTION_CONFLICT
 */
export function checkMethodOptions (given: true | { readonly invalidates?: unknown }, method: string | readonly string[], storePost: boolean): void {
  const methods = [method].flat()
  // Fastify makes one for each GET, with the same config.
  if (methods.every((each) => each === 'HEAD')) return
  const shown = `method: ${methods.join(', ')}`
  const { invalidates, ...caching } = given === true ? {} : given
  if (invalidates !== undefined && methods.every(isSafeMethod)) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('config.cache.invalidates', shown, 'only the success of an unsafe method invalidates')
  if (methods.some((each) => each === 'GET' || each === 'HEAD' || (each === 'POST' && storePost))) return
  const [option] = Object.entries(caching).find(([, value]) => value !== undefined) ?? []
  if (option !== undefined || invalidates === undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(option === undefined ? 'config.cache' : `config.cache.${option}`, shown, 'only responses to GET and HEAD are stored; any other route may say what its success invalidates')
}
