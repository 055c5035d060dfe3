/** What the look at the routes at the start may find. */
export const FINDING_KINDS = ['guard-passed-by', 'secret-in-key', 'before-plugin', 'unpurged-list', 'pattern-as-name', 'misspelt-tag', 'open-query', 'purges-unheard', 'no-effect'] as const

export type FindingKind = typeof FINDING_KINDS[number]

/** Something in the configuration that is probably not meant so. */
export interface Finding {
  kind: FindingKind
  /** The routes that it is about, as `GET /products`. */
  routes: string[]
  message: string
  /** What to do about it. */
  cure: string
}
