import { errors, shown } from '../errors.ts'
import { DependencyScope, type DependencyTracker } from './dependencies.ts'
import type { Loader, LoadContext } from './load-options.ts'

/** What a loader for many keys may answer. */
export type ManyValues<T> = ReadonlyMap<string, T> | Readonly<Record<string, T>> | ReadonlyArray<T | undefined>

/** Answers the values of all keys it is given; what it leaves out is not there. */
export type ManyLoader<T> = (keys: readonly string[], context: Pick<LoadContext, 'signal'>) => ManyValues<T> | Promise<ManyValues<T>>

/** `getOrSet` for one key; `decided` is told as soon as it is known whether the key needs a load of its own. */
type GetOrSet<T> = (key: string, load: Loader<T | undefined>, decided: () => void) => Promise<T | undefined>

/**
 * Loads all that is missing with one call. Every key goes its usual way through `getOrSet`; the loader runs once it is
 * known of every key whether it is stored, being loaded by somebody else, or missing. It waits for no load of others,
 * so two batches that share keys cannot wait for each other. What the loader reads through the cache, each of the values
 * is built from.
 */
export async function loadMany<T> (getOrSet: GetOrSet<T>, keys: readonly string[], loader: ManyLoader<T>, dependencies: DependencyTracker, nameOf: (key: string) => string): Promise<Array<T | undefined>> {
  const undecided = new Set(keys)
  const missing: string[] = []
  const scope = new DependencyScope()
  let run: (signal: AbortSignal) => void = () => {}
  const values = new Promise<ReadonlyMap<string, T>>((resolve) => {
    const load = async (signal: AbortSignal): Promise<ReadonlyMap<string, T>> => asMap(missing, await dependencies.trackLoad(scope, new Set(missing.map(nameOf)), () => loader(missing, { signal })))
    // A loader that throws at once has to reach every key too, not only the one that was decided last.
    run = (signal) => { resolve(load(signal)) }
  })
  values.catch(() => {})
  let signal: AbortSignal | undefined
  const decide = (key: string): void => {
    if (undecided.delete(key) && undecided.size === 0 && signal !== undefined) run(signal)
  }
  const loaded = new Map([...undecided].map((key) => [key, getOrSet(key, async (context) => {
    if (!undecided.has(key)) return (await Promise.resolve(loader([key], context)).then((answer) => asMap([key], answer))).get(key)
    missing.push(key)
    signal ??= context.signal
    decide(key)
    const answered = await values
    dependencies.share(scope)
    return answered.get(key)
  }, () => { decide(key) })]))
  // A key may come to its end without a load of its own: another process had it, or it was none.
  for (const [key, promise] of loaded) promise.then(() => { decide(key) }, () => { decide(key) })
  return await Promise.all(keys.map((key) => loaded.get(key)))
}

/** @throws FST_ERR_CACHE_OPTION */
export function pairsOf<T> (items: Iterable<readonly [key: string, value: T]>): ReadonlyArray<readonly [key: string, value: T]> {
  const given: unknown = items
  if (typeof given !== 'object' || given === null || !(Symbol.iterator in given)) throw new errors.FST_ERR_CACHE_OPTION('items', shown(given), 'an iterable of pairs, such as a Map or Object.entries()')
  const pairs = [...items]
  const odd: unknown = pairs.find((pair: unknown) => !Array.isArray(pair))
  if (odd !== undefined) throw new errors.FST_ERR_CACHE_OPTION('items', shown(odd), 'pairs of a key and a value, such as ["price", 7]')
  return pairs
}

function asMap<T> (keys: readonly string[], values: ManyValues<T>): ReadonlyMap<string, T> {
  if (values instanceof Map) return values
  if (Array.isArray(values)) {
    if (values.length !== keys.length) throw new errors.FST_ERR_CACHE_VALUE('what the loader answered', `an array of ${values.length} for ${keys.length} keys`)
    return new Map(keys.map((key, index) => [key, (values as readonly T[])[index] as T]))
  }
  if (typeof values !== 'object' || values === null) throw new errors.FST_ERR_CACHE_VALUE('what the loader answered', `${shown(values)}, neither a Map, an object nor an array`)
  return new Map(Object.entries(values as Record<string, T>))
}
