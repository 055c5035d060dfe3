import { errors, shown } from '../errors.ts'

/** Keys and tags are at most this many UTF-16 units long. */
export const MAX_NAME_LENGTH = 1024

/** Keys of stored responses begin with this; data keys may not, so neither can ever be taken for the other. */
export const RESPONSE_KEY_PREFIX = 'response:'

const LONE_SURROGATE = /\p{Surrogate}/u

/** Whether a text can be a key or a tag. Two names that differ only in broken surrogates would become one in UTF-8, hence in Redis. */
export function isName (value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_LENGTH && !LONE_SURROGATE.test(value)
}

const ALLOWED = `a string of 1 to ${MAX_NAME_LENGTH} characters`

/** @throws FST_ERR_CACHE_KEY */
export function checkKey (key: unknown): string {
  if (!isName(key)) throw new errors.FST_ERR_CACHE_KEY(shown(key), ALLOWED)
  return key
}

/** @throws FST_ERR_CACHE_KEY also for a key in the name space of responses */
export function checkDataKey (key: unknown): string {
  if (checkKey(key).startsWith(RESPONSE_KEY_PREFIX)) throw new errors.FST_ERR_CACHE_KEY(shown(key), `without the prefix "${RESPONSE_KEY_PREFIX}", which belongs to stored responses`)
  return key as string
}

/**
 * The whole name of a namespace. @param within puts in front of a name what it is in
 * @throws FST_ERR_CACHE_KEY for a name whose keys would be those of responses, or of another namespace
 */
export function checkNamespace (name: unknown, within: (name: string) => string): string {
  if (checkKey(name).includes(':')) throw new errors.FST_ERR_CACHE_KEY(shown(name), 'the name of a namespace, which has no ":" in it; a namespace has namespaces of its own')
  const whole = within(name as string)
  checkDataKey(`${whole}:`)
  return whole
}

/** @throws FST_ERR_CACHE_TAG */
export function checkTag (tag: unknown): string {
  if (!isName(tag)) throw new errors.FST_ERR_CACHE_TAG(shown(tag), ALLOWED)
  return tag
}
