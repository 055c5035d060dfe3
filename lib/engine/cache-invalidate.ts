import { errors, shown } from '../errors.ts'
import { checkDataKey, checkTag } from '../keyspace/name.ts'
import { refuseUnknown } from '../unknown-option.ts'
import { decorate, type AnyMethod, type MethodWrapper } from './decorate.ts'
import { findEngine, type EngineOf, type FallbackEngine } from './find-engine.ts'
import { parsePurgeTemplate, parseTemplate } from './name-template.ts'

/** Names that follow from a call: templates, or a function of what the call answered and of its arguments. */
export type NamesOfCall<This, Args extends readonly unknown[], Value> = readonly string[] | ((this: This, value: Value, ...args: Args) => readonly string[])

/**
 * What a successful call has made untrue. At least one of `keys` and `tags`. Where a function fails, or answers what is no name,
 * the change has been made all the same: everything is purged, and the call rejects with what went wrong.
 */
export interface CacheInvalidateOptions<This = unknown, Args extends readonly unknown[] = readonly unknown[], Value = unknown> {
  /**
   * Keys: `product:{productId}`, `product:{0}`, or with wildcards `catalog:*`. Only wildcards that are written here count,
   * never those in an argument; what a function answers is exact.
   */
  keys?: NamesOfCall<This, Args, Value>
  /** Tags, as templates or a function. */
  tags?: NamesOfCall<This, Args, Value>
  /** Make stale instead of gone. @default false */
  soft?: boolean
  /** The cache. @default the object's member `cache` or `cacheManager`, else the cache of the app, else `getCacheManager()` */
  manager?: EngineOf<This>
}

/** See `cacheInvalidate`. */
export interface CacheInvalidate {
  <This = unknown, Args extends readonly unknown[] = readonly unknown[], Value = unknown>(options: CacheInvalidateOptions<This, Args, Value>): MethodWrapper<This, [...Args, ...unknown[]], Value>
}

const KNOWN: ReadonlySet<string> = new Set<keyof CacheInvalidateOptions>(['keys', 'tags', 'soft', 'manager'])

/** Makes the `cacheInvalidate` of a program. @param fallback the cache that is used when nobody names one */
export function createCacheInvalidate (fallback: FallbackEngine): CacheInvalidate {
  return ((options: CacheInvalidateOptions) => {
    refuseUnknown(options, KNOWN)
    if (isEmpty(options?.keys) && isEmpty(options?.tags)) throw new errors.FST_ERR_CACHE_PURGE_EMPTY()
    return (...target: unknown[]) => decorate('cacheInvalidate', (method) => wrapInvalidating(method, options, fallback), target)
  }) as CacheInvalidate
}

const isEmpty = (names: NamesOfCall<unknown, readonly unknown[], unknown> | undefined): boolean => names === undefined || (typeof names !== 'function' && names.length === 0)

function wrapInvalidating (method: AnyMethod, options: CacheInvalidateOptions, fallback: FallbackEngine): AnyMethod {
  const keys = templatesOf('keys', options.keys, (name) => parsePurgeTemplate('keys', name, method))
  const tags = templatesOf('tags', options.tags, (name) => parseTemplate('tags', name, method))
  return async function (this: unknown, ...args: readonly unknown[]) {
    // Before the call: a name that its arguments cannot fill is told while nothing has changed yet.
    const exact: string[] = []
    const patterns: string[] = []
    for (const key of keys) {
      const purge = key(args)
      if ('exact' in purge) exact.push(checkDataKey(purge.exact))
      else patterns.push(purge.pattern)
    }
    const tagged = tags.map((tag) => checkTag(tag(args)))
    const engine = await findEngine(options.manager, this, fallback)
    const value: unknown = await Reflect.apply(method, this, args)
    try {
      exact.push(...answered('keys', options.keys, this, value, args))
      tagged.push(...answered('tags', options.tags, this, value, args))
      if (exact.length + patterns.length + tagged.length > 0) await engine.invalidate({ keys: exact, patterns, tags: tagged, soft: options.soft === true })
    } catch (error) {
      // The change has been made, and nobody can tell to what: everything goes, and the caller learns why.
      await engine.invalidate({ everything: true, soft: options.soft === true })
      throw error
    }
    return value
  }
}

/** What a function answers to a call; templates answer nothing here. */
function answered (option: string, names: NamesOfCall<unknown, readonly unknown[], unknown> | undefined, self: unknown, value: unknown, args: readonly unknown[]): readonly string[] {
  if (typeof names !== 'function') return []
  const answer: unknown = Reflect.apply(names, self, [value, ...args])
  if (!Array.isArray(answer)) throw new errors.FST_ERR_CACHE_OPTION(option, `a function that answered ${answer instanceof Promise ? 'a promise' : shown(answer)}`, 'a function that answers an array of names')
  return answer
}

function templatesOf<Template> (option: string, names: unknown, parse: (name: unknown) => Template): Template[] {
  if (names === undefined || typeof names === 'function') return []
  if (!Array.isArray(names)) throw new errors.FST_ERR_CACHE_OPTION(option, shown(names), 'an array of names, or a function')
  return names.map((name: unknown) => parse(name))
}
