import { errors, shown } from '../errors.ts'
import type { CacheEngine } from './cache-engine.ts'
import type { EngineParts } from './parts.ts'

/** What the services around a cache need of it: every `CacheManager` is one. */
export interface CacheHost extends CacheEngine {
  readonly parts: EngineParts
  readonly config: { readonly enableWarming: boolean, readonly warmingBatchSize: number }
}

/** @throws FST_ERR_CACHE_OPTION for a namespace, which is a view only, and for what is no cache at all */
export function checkHost<Host extends object> (manager: Host): Host {
  if (typeof manager !== 'object' || manager === null || !('parts' in manager)) throw new errors.FST_ERR_CACHE_OPTION('manager', shown(manager), 'a CacheManager, not a namespace of one')
  return manager
}
