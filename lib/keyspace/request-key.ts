import { createHash } from 'node:crypto'
import { MAX_NAME_LENGTH, RESPONSE_KEY_PREFIX } from './name.ts'

/** Why a request has no key. Each is a way in which two requests could come to share one. */
export type TargetFault = 'unclean-target' | 'invalid-host'

/** Everything that is no plain visible ASCII, fragments, and backslashes, which some parsers take for slashes. */
const NOT_ORIGIN_FORM = /[^!-~]|[#\\]/
/** An empty segment, or a dot segment in any spelling. */
const UNCLEAN_PATH = /\/\/|\/(?:\.|%2e){1,2}(?:\/|$)/i
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/**
 * Whether a request target means to a router exactly what it says (RFC 9112 §3.2.1, origin-form only). A target with a
 * fragment, a backslash, a doubled slash or a dot segment reaches other routes in other programs, so it is never cached.
 */
export function isCleanTarget (target: string): boolean {
  if (target.charCodeAt(0) !== 47 || NOT_ORIGIN_FORM.test(target)) return false
  const query = target.indexOf('?')
  return !UNCLEAN_PATH.test(query === -1 ? target : target.slice(0, query))
}

/** The host in lower case; `undefined` for one that could carry a path, a query or another host with it. */
export function validHost (host: string): string | undefined {
  return host.length <= 255 && HOST.test(host) ? host.toLowerCase() : undefined
}

/** The parts of a key beside the target: declared headers and cookies, the partition, the constraints of the route. */
export type KeyDimension = readonly [name: string, value: string | undefined]

/**
 * The key of a request. Two requests share it only if scheme, host, target and every dimension are the same: the host
 * can contain no slash, and lengths stand before the texts of the dimensions.
 */
export function requestKey (scheme: string, host: string, target: string, dimensions?: readonly KeyDimension[]): string {
  let key = `${RESPONSE_KEY_PREFIX}${scheme}://${host}${target}`
  if (dimensions !== undefined) for (const dimension of dimensions) key += dimensionText(dimension)
  if (key.length <= MAX_NAME_LENGTH) return key
  return `${RESPONSE_KEY_PREFIX}sha256:${createHash('sha256').update(key).digest('base64url')}`
}

/** Whether the key has just this dimension. A key that was too long to keep as it was has none that could be seen. */
export function hasDimension (key: string, dimension: KeyDimension): boolean {
  return key.includes(dimensionText(dimension))
}

function dimensionText ([name, value]: KeyDimension): string {
  return `\n${name.length}:${name}` + (value === undefined ? '-' : `${value.length}:${value}`)
}

/** The key of one variant; `#` cannot stand in the key of a request, which is a clean target. */
export function variantKey (key: string, varied: string): string {
  return `${key}#${createHash('sha256').update(varied).digest('base64url').slice(0, 22)}`
}
