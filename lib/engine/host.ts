import type { CacheEngine } from './cache-engine.ts'
import type { EngineParts } from './parts.ts'

/** What the services around a cache need of it: every `CacheManager` is one. */
export interface CacheHost extends CacheEngine {
  readonly parts: EngineParts
  readonly config: { readonly enableWarming: boolean, readonly warmingBatchSize: number }
}
