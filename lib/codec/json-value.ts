import { types } from 'node:util'

import { errors } from '../errors.ts'

/** A value in the form in which it is cached, with its approximate size in memory. */
export interface Normalised { readonly value: unknown, readonly bytes: number }

/**
 * What `JSON.parse(JSON.stringify(value))` gives, deep-frozen, with an estimate of its size: `toJSON` is honoured,
 * undefined members are dropped, `NaN` becomes null, a Date its ISO string. A cached value thus has the same types
 * on the miss, from memory and from Redis, and no caller can poison what the next one gets.
 *
 * Where JSON would lose the content without a word (a Map becomes `{}`, a Buffer a list of numbers), the value is
 * refused instead. `undefined` itself answers `undefined`: whether that is stored is the caller's decision.
 *
 * @throws FST_ERR_CACHE_VALUE naming the path, as in `$.items[3].blob`, and what stands there.
 */
export function normaliseJson (value: unknown): Normalised {
  const walk = new Walk()
  try {
    return { value: walk.visit(value, ''), bytes: walk.bytes }
  } catch (error) {
    if (error instanceof RangeError) throw new errors.FST_ERR_CACHE_VALUE('$', 'nested too deeply')
    throw error
  }
}

/** Freezes what `JSON.parse` made, in place. */
export function deepFreeze<T> (value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) deepFreeze(member)
    Object.freeze(value)
  }
  return value
}

/** One pass over one value. `trail` and `ancestors` exist for the error message and for cycles. */
class Walk {
  bytes = 0
  readonly #trail: Array<string | number> = []
  readonly #ancestors: object[] = []

  visit (given: unknown, key: string | number): unknown {
    const value = ownForm(given, key, this)
    switch (typeof value) {
      case 'string':
        this.bytes += 16 + value.length
        return value
      case 'number':
        this.bytes += 8
        // JSON has no -0, NaN or Infinity.
        return Number.isFinite(value) ? value + 0 : null
      case 'boolean':
      case 'undefined':
        this.bytes += 4
        return value
      case 'object':
        if (value !== null) return this.#descend(value)
        this.bytes += 4
        return null
      default:
        throw new errors.FST_ERR_CACHE_VALUE(this.path(), `a ${typeof value}`)
    }
  }

  #descend (source: object): unknown {
    if (this.#ancestors.includes(source)) throw new errors.FST_ERR_CACHE_VALUE(this.path(), 'a reference to one of its own ancestors')
    this.#ancestors.push(source)
    const copy = Array.isArray(source) ? this.#array(source) : this.#object(source)
    this.#ancestors.pop()
    return Object.freeze(copy)
  }

  #array (source: readonly unknown[]): unknown[] {
    const copy: unknown[] = []
    this.bytes += 16 + 8 * source.length
    for (let index = 0; index < source.length; index++) {
      this.#trail.push(index)
      copy.push(this.visit(source[index], index) ?? null)
      this.#trail.pop()
    }
    return copy
  }

  #object (source: object): Record<string, unknown> {
    const copy: Record<string, unknown> = {}
    this.bytes += 24
    for (const key of Object.keys(source)) {
      this.#trail.push(key)
      const member = this.visit((source as Record<string, unknown>)[key], key)
      this.#trail.pop()
      if (member === undefined) continue
      this.bytes += 8
      // Assignment would set the prototype; JSON.parse makes an own property.
      if (key === '__proto__') Object.defineProperty(copy, key, { value: member, enumerable: true, configurable: true, writable: true })
      else copy[key] = member
    }
    return copy
  }

  /** Where the walk stands, as `$.items[3]`. */
  path (): string {
    return '$' + this.#trail.map((step) => typeof step === 'number' ? `[${step}]` : /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`).join('')
  }
}

/** The value that JSON would serialise in place of the given one: the answer of its `toJSON`, a boxed primitive unboxed. */
function ownForm (given: unknown, key: string | number, walk: Walk): unknown {
  if (given === null || (typeof given !== 'object' && typeof given !== 'function' && typeof given !== 'bigint')) return given
  // A Buffer has a toJSON, but what comes back from it is no Buffer.
  if (ArrayBuffer.isView(given) || types.isAnyArrayBuffer(given)) throw new errors.FST_ERR_CACHE_VALUE(walk.path(), named(given.constructor.name))
  const { toJSON } = given as { toJSON?: unknown }
  const value: unknown = typeof toJSON === 'function' ? toJSON.call(given, String(key)) : given
  if (value === null || typeof value !== 'object') return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return value
  if (types.isBoxedPrimitive(value)) return value.valueOf()
  const lost = lostInJson(value)
  if (lost !== undefined) throw new errors.FST_ERR_CACHE_VALUE(walk.path(), named(lost))
  return value
}

/** The kind of an object whose content lives where JSON does not look. */
function lostInJson (value: object): string | undefined {
  if (types.isMap(value)) return 'Map'
  if (types.isSet(value)) return 'Set'
  if (types.isPromise(value)) return 'Promise'
  if (types.isRegExp(value)) return 'RegExp'
  if (types.isNativeError(value)) return 'Error'
  if (types.isWeakMap(value)) return 'WeakMap'
  if (types.isWeakSet(value)) return 'WeakSet'
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return value.constructor.name
  return undefined
}

const named = (kind: string): string => (/^[AEIOU]/.test(kind) ? 'an ' : 'a ') + kind
