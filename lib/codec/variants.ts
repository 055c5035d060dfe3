/** The list of a URL's variants: by which request fields they differ, and under which keys they are. */
export interface VariantList { readonly names: readonly string[], readonly keys: readonly string[] }

const NAME = /^[!#$%&'*+\-.^_`|~\da-z]+$/
const MAX_NAMES = 256
const MAX_KEYS = 10_000

/**
 * The list under `key`, frozen, if it is one. Its variants all have keys that begin like its own, so a forged list
 * cannot lead to what belongs to another URL.
 */
export function readVariantList (key: string, given: unknown): VariantList | undefined {
  if (typeof given !== 'object' || given === null) return undefined
  const { names, keys } = given as Record<string, unknown>
  if (!Array.isArray(names) || names.length > MAX_NAMES || !names.every((name) => typeof name === 'string' && NAME.test(name))) return undefined
  if (!Array.isArray(keys) || keys.length > MAX_KEYS || !keys.every((one) => typeof one === 'string' && one.startsWith(key + '#'))) return undefined
  return Object.freeze({ names: Object.freeze(names), keys: Object.freeze(keys) })
}
