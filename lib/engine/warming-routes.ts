import { errors, shown } from '../errors.ts'
import { isCleanTarget, validHost } from '../keyspace/request-key.ts'

/** A GET request that the application makes of itself. */
export interface WarmingRequest {
  readonly method: 'GET'
  /** Path and query, always of this application. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Whether it stands for requests that come over TLS. */
  readonly encrypted: boolean
}

/** What a warming does at the moment: a request, or reading the list of what to request. */
export interface WarmingStep { readonly request: WarmingRequest | undefined }

/** What came of a request. */
export interface WarmedResponse {
  readonly statusCode: number
  /** Why the response is not stored, where that is known. @default undefined: it is */
  readonly refused?: string | undefined
}

/** Runs a request through the application, hooks and serialisers included; `app.inject` does. */
export type InjectRequest = (request: WarmingRequest) => Promise<WarmedResponse>

/** A path, or one of a certain host and scheme, since these are part of the key of a response. */
export interface WarmingTarget { readonly path: string, readonly host?: string, readonly encrypted?: boolean }

/**
 * Only what can be nothing but a path of this application: no scheme, no other host, nothing that two parsers might read
 * differently. So a list of paths from outside cannot turn the warming into a request to somebody else.
 * @throws FST_ERR_CACHE_WARM_PATH
 */
export function warmingRequest ({ path, host, encrypted = false }: WarmingTarget, headers: Readonly<Record<string, string>>, signal: AbortSignal): WarmingRequest {
  if (typeof path !== 'string' || !isCleanTarget(path)) throw new errors.FST_ERR_CACHE_WARM_PATH(shown(path))
  if (host !== undefined && validHost(host) === undefined) throw new errors.FST_ERR_CACHE_WARM_PATH(shown(`${host}${path}`))
  return { method: 'GET', url: path, headers: host === undefined ? headers : { ...headers, host }, signal, encrypted }
}
