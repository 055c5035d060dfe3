import { createHash } from 'node:crypto'
import { errors } from '../errors.ts'
import { isPlain } from '../plain-object.ts'

/** What an argument can be nested before it is refused; a request body can be nested as deep as a stranger likes. */
const MAX_DEPTH = 64
/** Longer texts stand in a key as their digest. */
const MAX_TEXT_LENGTH = 512

/**
 * The arguments of a call as text for a cache key: readable, the same for equal arguments in whatever order their
 * members were made, and different for different ones. `42` and `"42"` differ, so do `{}` and `{ a: undefined }`;
 * only `undefined` at the end counts as not given.
 *
 * @param name what an error message calls the argument at this index
 * @throws FST_ERR_CACHE_ARGUMENT for an argument with content that text cannot show: functions, symbols, Maps, instances of classes
 */
export function argumentKey (args: readonly unknown[], name: (index: number) => string): string {
  let length = args.length
  while (length > 0 && args[length - 1] === undefined) length--
  let text = ''
  for (let index = 0; index < length; index++) {
    const refuse: Refuse = (path, what) => { throw new errors.FST_ERR_CACHE_ARGUMENT(name(index) + path, what) }
    text += (index === 0 ? '' : ',') + textOf(args[index], '', [], refuse)
  }
  // No argument begins like this, so no argument can pass for the digest of others.
  return text.length <= MAX_TEXT_LENGTH ? text : `sha256:${createHash('sha256').update(text).digest('base64url')}`
}

/** Takes the place in the argument, such as `.filter[0]`. */
type Refuse = (path: string, what: string) => never

function textOf (value: unknown, path: string, ancestors: readonly object[], refuse: Refuse): string {
  switch (typeof value) {
    case 'string': return JSON.stringify(value)
    case 'bigint': return `${value}n`
    case 'number': return Object.is(value, -0) ? '-0' : String(value)
    case 'boolean':
    case 'undefined': return String(value)
    case 'object': return value === null ? 'null' : objectText(value, path, ancestors, refuse)
    default: return refuse(path, `is a ${typeof value}`)
  }
}

function objectText (value: object, path: string, ancestors: readonly object[], refuse: Refuse): string {
  if (ancestors.includes(value)) return refuse(path, 'contains itself')
  if (ancestors.length === MAX_DEPTH) return refuse(path, 'is nested too deeply')
  const within = [...ancestors, value]
  if (Array.isArray(value)) return `[${Array.from(value, (item, index) => textOf(item, `${path}[${index}]`, within, refuse)).join(',')}]`
  if (value instanceof Date) return `Date(${value.getTime()})`
  if (!isPlain(value)) return refuse(path, `is an instance of ${value.constructor?.name ?? 'a class'}`)
  if (Object.getOwnPropertySymbols(value).length > 0) return refuse(path, 'has a member whose name is a symbol')
  const members = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
  return `{${members.map(([member, content]) => `${JSON.stringify(member)}:${textOf(content, `${path}.${member}`, within, refuse)}`).join(',')}}`
}
