import { errors } from './errors.ts'
import { suggest } from './nearest.ts'

/**
 * Options that do not exist are mistakes, not wishes to be ignored.
 * @param within what stands in front of the name in the message, such as `config.cache.`
 * @throws FST_ERR_CACHE_OPTION_UNKNOWN, with the name that was probably meant
 */
export function refuseUnknown (given: object, known: ReadonlySet<string>, within = ''): void {
  for (const name in given) {
    if (!known.has(name)) throw new errors.FST_ERR_CACHE_OPTION_UNKNOWN(within + name, suggest(name, [...known]))
  }
}
