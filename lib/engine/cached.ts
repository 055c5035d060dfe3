import { errors, shown } from '../errors.ts'
import { MAX_NAME_LENGTH } from '../keyspace/name.ts'
import { refuseUnknown } from '../unknown-option.ts'
import { argumentKey } from './argument-key.ts'
import type { CacheEngine } from './cache-engine.ts'
import { listOfTags } from './data-loads.ts'
import { decorate, type AnyMethod, type MethodWrapper } from './decorate.ts'
import { findEngine, type EngineOf, type FallbackEngine } from './find-engine.ts'
import { checkLoadOptions, LOAD_OPTION_NAMES, type LoadOptions } from './load-options.ts'
import { isNameValue, parseTemplate, segmentOf, type ArgumentsOf } from './name-template.ts'
import { parameterNames } from './parameter-names.ts'

/** How the results of a method are cached: the options of `getOrSet`, and how a call becomes a key. */
export interface CachedOptions<Key extends string = string, This = unknown, Args extends readonly unknown[] = readonly unknown[], Value = unknown> extends Omit<LoadOptions<Value>, 'tags'> {
  /**
   * The key is `<keyPrefix>:<name of the method>:<arguments>`. The object is no part of it: two of one class share their entries.
   * @default the name of the class; none for a function
   */
  keyPrefix?: string
  /**
   * The whole key instead: a template such as `product:{productId}` or `product:{0}`, or a function of the arguments.
   * Arguments that the key leaves out are then no part of it.
   */
  key?: Key | ((this: This, ...args: Args) => string)
  /** Names by which a purge reaches the result: templates, or a function of the result. @default none */
  tags?: readonly string[] | ((value: Value) => readonly string[])
  /** The cache. @default the object's member `cache` or `cacheManager`, else the cache of the app, else `getCacheManager()` */
  manager?: EngineOf<This>
}

/** See `cached`. */
export interface Cached {
  <const Key extends string = string, This = unknown, Args extends readonly unknown[] = readonly unknown[], Value = unknown>(options?: CachedOptions<Key, This, Args, Value>): MethodWrapper<This, [...Args, ...unknown[]] & ArgumentsOf<Key>, Value | undefined>
}

const KNOWN: ReadonlySet<string> = new Set<keyof CachedOptions>(['keyPrefix', 'key', 'manager', ...LOAD_OPTION_NAMES])

/** Makes the `cached` of a program. @param fallback the cache that is used when nobody names one */
export function createCached (fallback: FallbackEngine): Cached {
  return ((options: CachedOptions = {}) => {
    checkOptions(options)
    return (...target: unknown[]) => decorate('cached', (method, name) => wrapCached(method, name, options, fallback), target)
  }) as Cached
}

function checkOptions (options: CachedOptions): void {
  const { keyPrefix, key } = options
  refuseUnknown(options, KNOWN)
  if (keyPrefix !== undefined && (typeof keyPrefix !== 'string' || keyPrefix === '')) throw new errors.FST_ERR_CACHE_OPTION('keyPrefix', shown(keyPrefix), 'a string with at least one character')
  if (keyPrefix !== undefined && key !== undefined) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT('keyPrefix', 'key', 'the key is the whole key')
  checkLoadOptions(loadOptions(options))
}

/** Spelled out, not spread: objects of one shape, made for each call, are read several times faster. */
function loadOptions ({ ttl, staleWhileRevalidate, staleIfError, jitter, refreshAhead, timeout }: CachedOptions, tags: LoadOptions['tags'] = []): LoadOptions {
  return { ttl, staleWhileRevalidate, staleIfError, jitter, refreshAhead, timeout, tags }
}

/** How one call is stored. `plainName` is by what a template such as `product:get:{0}` would purge it. */
interface CallNames { readonly key: string, readonly plainName: () => string | undefined }
type NamesOf = (engine: CacheEngine, self: unknown, args: readonly unknown[]) => CallNames

function wrapCached (method: AnyMethod, name: string, options: CachedOptions, fallback: FallbackEngine): AnyMethod {
  const { manager, tags } = options
  const namesOf = namer(method, name, options)
  const templates = Array.isArray(tags) ? (tags as readonly string[]).map((tag) => parseTemplate('tags', tag, method)) : []
  return async function (this: unknown, ...args: readonly unknown[]) {
    const found = findEngine(manager, this, fallback)
    const engine = found instanceof Promise ? await found : found
    const { key, plainName } = namesOf(engine, this, args)
    const tagsOf = (value: unknown): readonly string[] => {
      const listed = typeof tags === 'function' ? listOfTags(tags(value)) : templates.map((template) => template(args))
      const plain = plainName()
      return plain === undefined || plain === key ? listed : [...listed, plain]
    }
    return await engine.getOrSet(key, () => Reflect.apply(method, this, args), loadOptions(options, tagsOf))
  }
}

const NO_NAME = (): undefined => undefined

function namer (method: AnyMethod, name: string, { key, keyPrefix }: CachedOptions): NamesOf {
  if (typeof key === 'function') return (_engine, self, args) => ({ key: Reflect.apply(key, self, args), plainName: NO_NAME })
  if (key !== undefined) {
    const template = parseTemplate('key', key, method)
    return (_engine, _self, args) => ({ key: template(args), plainName: NO_NAME })
  }
  if (name === '') throw new errors.FST_ERR_CACHE_DECORATOR('cached', 'a function without a name; give it a key')
  const argumentName = (index: number): string => {
    const parameter = parameterNames(method)[index]
    return `${index + 1} of ${name}` + (parameter === undefined ? '' : ` (${parameter})`)
  }
  return (engine, self, args) => {
    const owner = keyPrefix ?? claimed(engine, classOf(self), name, method)
    const prefix = `${owner === '' ? '' : owner + ':'}${name}:`
    return { key: prefix + argumentKey(args, argumentName), plainName: () => plainNameOf(prefix, args) }
  }
}

/** In a key `"42"` and `42` differ; in the names of purges they do not, and have no quotes. */
function plainNameOf (prefix: string, args: readonly unknown[]): string | undefined {
  if (args.length === 0 || !args.every((arg) => isNameValue(arg) && arg !== '')) return undefined
  const plain = prefix + args.map((arg, index) => segmentOf(String(index), arg)).join(':')
  return plain.length <= MAX_NAME_LENGTH ? plain : undefined
}

const claims = new WeakMap<CacheEngine, Map<string, AnyMethod>>()

/** Two methods of one name in classes of one name would answer each other's results; the second one to be called is told. */
function claimed (engine: CacheEngine, owner: string, name: string, method: AnyMethod): string {
  const held = claims.get(engine) ?? new Map<string, AnyMethod>()
  claims.set(engine, held)
  const full = `${owner}:${name}`
  const holder = held.get(full)
  if (holder === undefined) held.set(full, method)
  else if (holder !== method) throw new errors.FST_ERR_CACHE_OPTION_CONFLICT(`cached() on ${full}`, `cached() on another ${full}`, 'their keys would be the same; give one of them a keyPrefix')
  return owner
}

function classOf (self: unknown): string {
  if (typeof self === 'function') return self.name
  return typeof self === 'object' && self !== null ? self.constructor?.name ?? '' : ''
}
