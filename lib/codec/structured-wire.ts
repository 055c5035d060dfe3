/**
 * The wire form of structured values: JSON in which a value that JSON lacks is `{ "$": <kind>, "v": <content> }`, and
 * a plain object that has a member `$` of its own is `{ "$": "Object", "v": [[key, value], …] }`. It is read back by a
 * closed table of kinds that build values and nothing else, so bytes from an untrusted Redis can name no class and run
 * no code; `v8.deserialize` is no choice for such bytes.
 */
type TypedArrayConstructor = new (buffer: ArrayBufferLike) => ArrayBufferView

export const typedArrays: Readonly<Record<string, TypedArrayConstructor | undefined>> = Object.assign(Object.create(null), {
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView
})

export function toWire (value: unknown): unknown {
  switch (typeof value) {
    case 'undefined': return tagged('undefined', null)
    case 'bigint': return tagged('bigint', value.toString(16))
    case 'number': return Number.isFinite(value) && !Object.is(value, -0) ? value : tagged('number', Object.is(value, -0) ? '-0' : String(value))
    case 'object': return value === null ? null : objectToWire(value)
    default: return value
  }
}

function objectToWire (value: object): unknown {
  if (Array.isArray(value)) return value.map(toWire)
  if (value instanceof Date) return tagged('Date', Number.isNaN(value.getTime()) ? null : value.getTime())
  if (value instanceof Map) return tagged('Map', Array.from(value, (pair) => pair.map(toWire)))
  if (value instanceof Set) return tagged('Set', Array.from(value, toWire))
  if (Buffer.isBuffer(value)) return tagged('Buffer', value.toString('base64'))
  if (value instanceof ArrayBuffer) return tagged('ArrayBuffer', Buffer.from(value).toString('base64'))
  if (ArrayBuffer.isView(value)) return tagged(value.constructor.name, Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'))
  const members = Object.entries(value).map(([key, member]): [string, unknown] => [key, toWire(member)])
  return Object.hasOwn(value, '$') ? tagged('Object', members) : Object.fromEntries(members)
}

const tagged = (kind: string, content: unknown): object => ({ $: kind, v: content })

/** @throws TypeError for anything that `toWire` does not write. */
export function fromWire (wire: unknown): unknown {
  if (typeof wire !== 'object' || wire === null) return wire
  if (Array.isArray(wire)) return wire.map(fromWire)
  if (!Object.hasOwn(wire, '$')) return Object.fromEntries(Object.entries(wire).map(([key, member]) => [key, fromWire(member)]))
  const { $: kind, v: content } = wire as { $: unknown, v?: unknown }
  switch (kind) {
    case 'undefined': return undefined
    case 'bigint': return bigint(text(content))
    case 'number': return special(text(content))
    case 'Date': return new Date(content === null ? NaN : finite(content))
    case 'Map': return new Map(list(content).map(pair))
    case 'Set': return new Set(list(content).map(fromWire))
    case 'Object': return Object.fromEntries(list(content).map(pair).map(([key, value]) => [text(key), value]))
    case 'Buffer': return Buffer.from(text(content), 'base64')
    case 'ArrayBuffer': return arrayBuffer(text(content))
  }
  const TypedArray = typeof kind === 'string' ? typedArrays[kind] : undefined
  if (TypedArray === undefined) throw new TypeError('unknown kind of value')
  return new TypedArray(arrayBuffer(text(content)))
}

/** Hexadecimal, because reading a long decimal takes quadratic time. */
function bigint (hex: string): bigint {
  if (!/^-?[0-9a-f]+$/.test(hex)) throw new TypeError('not a bigint')
  return hex.startsWith('-') ? -BigInt('0x' + hex.slice(1)) : BigInt('0x' + hex)
}

function special (name: string): number {
  if (name !== '-0' && name !== 'NaN' && name !== 'Infinity' && name !== '-Infinity') throw new TypeError('not a number')
  return Number(name)
}

function pair (wire: unknown): [unknown, unknown] {
  const two = list(wire)
  if (two.length !== 2) throw new TypeError('not a pair')
  return [fromWire(two[0]), fromWire(two[1])]
}

function text (content: unknown): string {
  if (typeof content !== 'string') throw new TypeError('not a string')
  return content
}

function finite (content: unknown): number {
  if (typeof content !== 'number') throw new TypeError('not a number')
  return content
}

function list (content: unknown): unknown[] {
  if (!Array.isArray(content)) throw new TypeError('not a list')
  return content
}

function arrayBuffer (base64: string): ArrayBuffer {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
}
