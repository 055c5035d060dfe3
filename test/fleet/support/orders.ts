import type { CachePluginOptions, Purge, PurgeReach } from 'fastify-response-cache'

/** What a test tells a process of its fleet to do. */
export type Order =
  | { readonly op: 'join', readonly options: CachePluginOptions, readonly ttl?: number }
  | { readonly op: 'crowd', readonly url: string, readonly size: number }
  | { readonly op: 'get', readonly url: string }
  | { readonly op: 'data', readonly key: string }
  | { readonly op: 'purge', readonly purge: Purge }
  | { readonly op: 'set', readonly key: string, readonly value: number }
  | { readonly op: 'sync' }
  | { readonly op: 'tell' }
  | { readonly op: 'close' }

export interface Response { readonly status: number, readonly version: number, readonly cacheStatus: string, readonly ms: number }
export interface Crowd { readonly statuses: readonly number[], readonly versions: readonly number[], readonly slowestMs: number, readonly served: number }
export interface Account {
  readonly ready: boolean
  readonly logState: string
  readonly handlerRuns: number
  readonly loaderRuns: number
  readonly hits: number
  /** How many asked for what somebody else in the process was getting. */
  readonly coalesced: number
  readonly heapBytes: number
  readonly unhandled: readonly string[]
}

/** What it answers. */
export interface Replies {
  join: { readonly ms: number }
  crowd: Crowd
  get: Response
  data: number
  purge: PurgeReach
  set: boolean
  sync: boolean
  tell: Account
  close: { readonly ms: number }
}

export type ToMember =
  | { readonly kind: 'order', readonly id: number, readonly order: Order }
  | { readonly kind: 'version', readonly id: number, readonly version: number }

export type FromMember =
  | { readonly kind: 'up' }
  | { readonly kind: 'done', readonly id: number, readonly reply: Replies[keyof Replies] }
  | { readonly kind: 'failed', readonly id: number, readonly error: string }
  /** A handler or a loader asks the database, which lives in the test. */
  | { readonly kind: 'ask', readonly id: number, readonly key: string }
