import type { CacheControl } from '../lib/http/cache-control.ts'
import type { HeaderList, HeaderValue } from '../lib/http/headers.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { governing } from '../lib/http/targeted.ts'
import { ownCacheControl, ownVaryOf } from './added-headers.ts'
import type { RoutePolicy } from './route-options.ts'

/**
 * The stored fields as far as the handler has said them: where it says nothing about caching, the Cache-Control is ours,
 * and so is what Vary says of the key.
 */
export function fieldsOfHandler ({ headers }: StoredResponse, policy: RoutePolicy): HeaderList {
  const ownControl = ownCacheControl(policy)
  const ownVary = new Set(ownVaryOf(policy).map((name) => name.toLowerCase()))
  const fields: Array<readonly [string, HeaderValue]> = []
  for (const [name, value] of headers) {
    if (name === 'cache-control' && value === ownControl) continue
    const said = name === 'vary' ? namesIn(value).filter((member) => !ownVary.has(member.toLowerCase())).join(', ') : value
    if (name !== 'vary' || said !== '') fields.push([name, said])
  }
  return fields
}

const namesIn = (vary: HeaderValue): string[] => String(vary).split(',').map((name) => name.trim())

/** The directives by which a stored response lives: those of a targeted field, else those of the handler's Cache-Control. */
export function directivesOfHandler (stored: StoredResponse, policy: RoutePolicy): CacheControl {
  return governing(fieldsOfHandler(stored, policy), policy.http.targets).cacheControl
}
