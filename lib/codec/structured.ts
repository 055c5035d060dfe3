import { types } from 'node:util'

import { errors } from '../errors.ts'
import type { Normalised } from './json-value.ts'
import type { ValueSerializer } from './serializer.ts'
import { fromWire, toWire, typedArrays } from './structured-wire.ts'

/**
 * Keeps the types that JSON loses: Date, Map, Set, Buffer, typed arrays, ArrayBuffer, bigint, undefined, NaN and -0.
 * Every reader gets a copy of its own, because a Map or a Buffer cannot be frozen: slower than JSON for large values.
 * Objects of other classes are kept as plain objects, by their `toJSON` if they have one.
 */
export const structuredSerializer: ValueSerializer = {
  name: 'structured',
  normalise (value): Normalised {
    const copier = new Copier()
    try {
      return { value: copier.copy(value), bytes: copier.bytes }
    } catch (error) {
      if (error instanceof RangeError) throw new errors.FST_ERR_CACHE_VALUE('$', 'nested too deeply')
      throw error
    }
  },
  encode: (value) => Buffer.from(JSON.stringify(toWire(value))),
  decode: (bytes) => fromWire(JSON.parse(bytes.toString())),
  view: (value) => typeof value === 'object' && value !== null ? new Copier().copy(value) : value
}

/** One deep copy of one value. */
class Copier {
  bytes = 0
  readonly #trail: string[] = []
  readonly #ancestors: object[] = []

  copy (value: unknown): unknown {
    switch (typeof value) {
      case 'function':
      case 'symbol':
        throw new errors.FST_ERR_CACHE_VALUE(this.#path(), `a ${typeof value}`)
      case 'string':
        this.bytes += 16 + value.length
        return value
      case 'object':
        if (value !== null) return this.#object(value)
    }
    this.bytes += 8
    return value
  }

  #object (source: object): unknown {
    if (types.isDate(source)) { this.bytes += 24; return new Date(source.getTime()) }
    if (ArrayBuffer.isView(source) || types.isArrayBuffer(source)) return this.#binary(source)
    if (types.isBoxedPrimitive(source)) return this.copy(source.valueOf())
    if (types.isPromise(source) || types.isRegExp(source) || types.isNativeError(source) || types.isWeakMap(source) || types.isWeakSet(source) || types.isSharedArrayBuffer(source)) {
      throw new errors.FST_ERR_CACHE_VALUE(this.#path(), `a ${source.constructor.name}`)
    }
    if (this.#ancestors.includes(source)) throw new errors.FST_ERR_CACHE_VALUE(this.#path(), 'a reference to one of its own ancestors')
    this.#ancestors.push(source)
    const copy = this.#container(source)
    this.#ancestors.pop()
    return copy
  }

  #container (source: object): unknown {
    this.bytes += 24
    if (Array.isArray(source)) return Array.from(source, (element, index) => this.#member(`[${index}]`, element))
    if (types.isMap(source)) {
      return new Map(Array.from(source, ([key, value], index) => [this.#member(`.keys()[${index}]`, key), this.#member(`.values()[${index}]`, value)]))
    }
    if (types.isSet(source)) return new Set(Array.from(source, (element, index) => this.#member(`.values()[${index}]`, element)))
    const { toJSON } = source as { toJSON?: unknown }
    const form: unknown = typeof toJSON === 'function' ? toJSON.call(source, '') : source
    if (form !== source) return this.copy(form)
    const copy: Record<string, unknown> = {}
    for (const [key, member] of Object.entries(source)) {
      const value = this.#member('.' + key, member)
      if (key === '__proto__') Object.defineProperty(copy, key, { value, enumerable: true, configurable: true, writable: true })
      else copy[key] = value
    }
    return copy
  }

  #binary (source: ArrayBufferView | ArrayBuffer): unknown {
    this.bytes += 64 + source.byteLength
    if (types.isArrayBuffer(source)) return source.slice(0)
    if (Buffer.isBuffer(source)) return Buffer.from(source)
    const name = source.constructor.name
    const TypedArray = typedArrays[name]
    if (TypedArray === undefined) throw new errors.FST_ERR_CACHE_VALUE(this.#path(), `a ${name}`)
    return new TypedArray(source.buffer.slice(source.byteOffset, source.byteOffset + source.byteLength))
  }

  #member (step: string, value: unknown): unknown {
    this.bytes += 8
    this.#trail.push(step)
    const copy = this.copy(value)
    this.#trail.pop()
    return copy
  }

  #path (): string {
    return '$' + this.#trail.join('')
  }
}
