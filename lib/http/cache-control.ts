/**
 * Cache-Control (RFC 9111 §5.2), read so that no mistake of the sender makes a response more cacheable than it was meant.
 *
 *   directive = token [ "=" ( token / quoted-string ) ]
 *
 * A member that does not fit this grammar is searched for words: whoever writes `max-age=60; private` means private.
 * So no-store, private, no-cache and what forbids stale use count in every spelling, while numbers count only in the right
 * one. A directive inside the quoted string of another is text, unless the string is never closed. Every character is looked
 * at a bounded number of times, and a value beyond the cap forbids storing.
 */
import type { Seconds } from '../clock.ts'
import { parseDeltaSeconds } from './delta-seconds.ts'
import type { HeaderValue } from './headers.ts'
import { remembered } from './remembered.ts'
import { isToken } from './token.ts'

/** Beyond this many characters a Cache-Control value is not read: it counts as `no-store`. */
export const MAX_CACHE_CONTROL_LENGTH = 8192

export interface CacheControl {
  /** Whether a directive is there in any spelling, with or without argument. */
  has: (directive: string) => boolean
  /** Whether a directive is there and well-formed: what permits something must be spelled right. */
  grants: (directive: string) => boolean
  /** The first delta of a directive; 0, the careful reading, where it is malformed; `undefined` where it is absent. */
  seconds: (directive: string) => Seconds | undefined
  /** Whether the directive is there and holds for the whole response instead of some of its fields. */
  unqualified: (directive: 'no-cache' | 'private') => boolean
  /** Whether the first of a directive has no argument: `max-stale` alone means any staleness. */
  bare: (directive: string) => boolean
  /** The lower-case field names of a directive that is qualified everywhere; `undefined` otherwise. */
  fields: (directive: 'no-cache' | 'private') => readonly string[] | undefined
  /** Whether a directive was there in a spelling outside the grammar. */
  malformed: (directive: string) => boolean
  /** All directives, lower-case, in the order of their first appearance. */
  readonly names: readonly string[]
}

export interface Directive {
  readonly seconds: Seconds
  readonly bare: boolean
  readonly fields: readonly string[] | undefined
  readonly malformed: boolean
}

const NOT_TOKEN = /[^!#$%&'*+\-.^_`|~\dA-Za-z]+/
const DIRECTIVE = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+)(?:=(?:([!#$%&'*+\-.^_`|~\dA-Za-z]+)|"((?:[^"\\]|\\.)*)"))?$/s

/** What forbids, by its letters alone: `'private'`, `no_store` and `nocache` are tokens too, and can mean only one thing. */
const RESTRICTIONS: ReadonlyMap<string, string> = new Map([
  ['nostore', 'no-store'], ['nocache', 'no-cache'], ['private', 'private'], ['mustrevalidate', 'must-revalidate'], ['proxyrevalidate', 'proxy-revalidate']
])

/**
 * Reads a Cache-Control field. Several lines are one list (RFC 9110 §5.3), but no quoted string reaches from one line into
 * the next.
 */
export function parseCacheControl (value: HeaderValue | undefined): CacheControl {
  if (value === undefined || value.length === 0) return NOTHING
  if (typeof value === 'string') return readLine(value)
  const [only] = value
  return value.length === 1 && only !== undefined ? readLine(only) : readLines(value)
}

function readLines (lines: readonly string[]): CacheControl {
  const directives = new Map<string, Directive>()
  if (lines.reduce((sum, line) => sum + line.length + 1, 0) > MAX_CACHE_CONTROL_LENGTH) {
    directives.set('no-store', { seconds: 0, fields: undefined, malformed: true, bare: true })
  } else {
    for (const line of lines) for (const member of membersOf(line)) readMember(member, directives)
  }
  return cacheControlOf(directives)
}

const readLine = remembered((line) => readLines([line]))

/** Makes a reading from directives that come from elsewhere: a targeted field (RFC 9213) is a dictionary. */
export function cacheControlOf (directives: ReadonlyMap<string, Directive>): CacheControl {
  return {
    has: (name) => directives.has(name),
    grants: (name) => directives.get(name)?.malformed === false,
    seconds: (name) => directives.get(name)?.seconds,
    unqualified: (name) => directives.has(name) && directives.get(name)?.fields === undefined,
    fields: (name) => directives.get(name)?.fields,
    bare: (name) => directives.get(name)?.bare === true,
    malformed: (name) => directives.get(name)?.malformed === true,
    names: [...directives.keys()]
  }
}

const NOTHING = cacheControlOf(new Map())

/** Splits at the commas outside quoted strings; a string that is never closed makes the rest one malformed member. */
function membersOf (text: string): string[] {
  const members: string[] = []
  let start = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '"') {
      quoted = !quoted
    } else if (quoted) {
      if (char === '\\') i++
    } else if (char === ',') {
      members.push(text.slice(start, i))
      start = i + 1
    }
  }
  members.push(text.slice(start))
  return members
}

function readMember (member: string, directives: Map<string, Directive>): void {
  const text = member.trim()
  if (text === '') return
  const parts = DIRECTIVE.exec(text)
  if (parts !== null) {
    const quoted = parts[3]?.replace(/\\(.)/gs, '$1')
    const argument = parts[2] ?? quoted
    return add(directives, (parts[1] ?? '').toLowerCase(), {
      seconds: argument === undefined ? 0 : parseDeltaSeconds(argument) ?? 0,
      // Senders quote the list of fields (§5.2.2.4); `private=1` was written by somebody who meant private.
      fields: quoted === undefined ? undefined : fieldNames(quoted),
      malformed: false,
      bare: argument === undefined
    })
  }
  // Whoever writes `no store` means what the letters say.
  for (const [letters, meant] of RESTRICTIONS) if (text.toLowerCase().replace(/[^a-z,;]/g, '').includes(letters)) add(directives, meant, { seconds: 0, fields: undefined, malformed: true, bare: false })
  for (const word of text.toLowerCase().split(NOT_TOKEN)) {
    // `max-age=60` is one word of `max-age=60; private` to a reader, two to the splitter: digits are no directive.
    if (word !== '' && !/^\d+$/.test(word)) add(directives, word, { seconds: 0, fields: undefined, malformed: true, bare: false })
  }
}

/**
 * The first of two equal directives wins (RFC 9111 §4.2.1). Two field lists add up, and a list beside the bare directive
 * limits nothing.
 */
function add (directives: Map<string, Directive>, name: string, next: Directive): void {
  const meant = RESTRICTIONS.get(name.replace(/[^a-z]/g, ''))
  if (meant !== undefined && meant !== name) return add(directives, meant, { ...next, fields: undefined, malformed: true })
  const earlier = directives.get(name)
  if (earlier === undefined) {
    directives.set(name, next)
    return
  }
  directives.set(name, {
    seconds: earlier.seconds,
    fields: earlier.fields === undefined || next.fields === undefined ? undefined : [...earlier.fields, ...next.fields],
    malformed: earlier.malformed || next.malformed,
    bare: earlier.bare
  })
}

/** A list of field names; `undefined` if any of it is none, since then nobody knows what the directive was to spare. */
function fieldNames (argument: string): readonly string[] | undefined {
  const names = argument.split(',').map((name) => name.trim().toLowerCase()).filter((name) => name !== '')
  return names.length > 0 && names.every(isToken) ? names : undefined
}
