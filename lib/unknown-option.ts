import { errors, shown } from './errors.ts'
import { suggest } from './nearest.ts'

/**
 * Options that do not exist are mistakes, not wishes to be ignored.
 * @param within what stands in front of the name in the message, such as `config.cache.`
 * @throws FST_ERR_CACHE_OPTION_UNKNOWN, with the name that was probably meant; FST_ERR_CACHE_OPTION for what has no options
 */
export function refuseUnknown (given: object, known: ReadonlySet<string>, within = ''): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new errors.FST_ERR_CACHE_OPTION(within === '' ? 'options' : within.slice(0, -1), shown(given), 'an object')
  for (const name in given) {
    if (!known.has(name)) throw new errors.FST_ERR_CACHE_OPTION_UNKNOWN(within + name, suggest(name, [...known]))
  }
}
