import { errors, shown } from '../errors.ts'

/** A row to warm: what goes behind the key pattern, and the value. */
export type WarmingRow<T> = readonly [key: string | number, value: T]

/** Rows at hand: an object or a Map by key, or anything that yields pairs. */
export type WarmingRows<T> = Readonly<Record<string, T>> | ReadonlyMap<string | number, T> | Iterable<WarmingRow<T>> | AsyncIterable<WarmingRow<T>>

/**
 * Where rows come from. A purge that comes after their reading began is not overwritten: of a function, that is when it is
 * called; whatever else is handed in, a generator too, may hold what was read before, so that every purge after the call of
 * the warming counts. Prefer a function: it leaves out fewer rows. An async generator is read row by row, so that a million rows are never held.
 */
export type WarmingSource<T> = WarmingRows<T> | ((context: { readonly signal: AbortSignal }) => WarmingRows<T> | Promise<WarmingRows<T>>)

/** Rows to pull one by one, and how many there are, where that can be known. */
export interface OpenedRows<T> { readonly rows: AsyncIterator<unknown, unknown> | Iterator<unknown, unknown>, readonly expected: number | undefined, readonly read: (row: unknown) => WarmingRow<T> }

/** @throws FST_ERR_CACHE_OPTION for what yields no rows */
export function openRows<T> (source: WarmingRows<T>): OpenedRows<T> {
  if (typeof source !== 'object' || source === null) throw new errors.FST_ERR_CACHE_OPTION('source', shown(source), 'an object, a Map, an iterable of pairs, or a function that answers one')
  if (Symbol.asyncIterator in source) return { rows: source[Symbol.asyncIterator](), expected: undefined, read: pairOf }
  if (Symbol.iterator in source) {
    const expected = Array.isArray(source) ? source.length : source instanceof Map ? source.size : undefined
    return { rows: (source as Iterable<unknown>)[Symbol.iterator](), expected, read: pairOf }
  }
  const entries = Object.entries(source)
  return { rows: entries[Symbol.iterator](), expected: entries.length, read: pairOf }
}

function pairOf<T> (row: unknown): WarmingRow<T> {
  if (!Array.isArray(row) || row.length !== 2 || !['string', 'number'].includes(typeof row[0])) throw new errors.FST_ERR_CACHE_VALUE('a row of the source', `${shown(row)}, not a pair of key and value`)
  return row as unknown as WarmingRow<T>
}
