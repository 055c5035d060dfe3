import type { CachePluginOptions, RouteCacheOptions } from '../../plugins/index.ts'

export interface Configuration {
  readonly plugin: CachePluginOptions
  readonly route: RouteCacheOptions
}

/** How the cache is set up for the suite. docs/conformance.md shows the same. */
export const CONFIGURATIONS = {
  /** The shipped defaults, the handler's headers deciding alone. */
  defaults: { plugin: {}, route: { ttl: 0 } },
  /** The same, and whatever else a handler can say is honoured too. */
  honouring: { plugin: {}, route: { ttl: 0, http: { targets: ['cdn-cache-control'], shareByDirective: true, storePost: true, storeParts: true } } },
  /** Everything that can be turned on. */
  full: {
    plugin: { credentials: ['authorization'], http: { ignoreLanguageOrder: true, cacheGroups: 'both' } },
    route: { ttl: 0, http: { targets: ['cdn-cache-control'], shareByDirective: true, heuristics: true, storeSetCookie: true, storePost: true, storeParts: true, requestDirectives: true } }
  }
} as const satisfies Readonly<Record<string, Configuration>>

export type ConfigurationName = keyof typeof CONFIGURATIONS
