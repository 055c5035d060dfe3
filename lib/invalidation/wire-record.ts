import { parseGlob } from '../keyspace/glob.ts'
import type { PurgeScope } from './purge-scope.ts'

/*
 * A record as it travels: `<version> <sender>.<number> <scopes as JSON>`, for example
 *
 *   1 pZ3k9QbTm1a0.17 [{"m":["t:catalog"],"x":["k:product:"]},{"s":1,"m":["k:a"]}]
 *
 * m: marks, x: mark prefixes, g: globs, e: everything, s: soft. No scope at all begins an epoch. What cannot be read was
 * still meant as a purge, of a newer build perhaps, so it counts as a purge of everything.
 */

const VERSION = '1'
/** A sender stops filling a record at 64 Ki characters; ten times that is nobody's record. */
const MAX_TEXT_LENGTH = 640 * 1024
const MAX_GLOB_LENGTH = 8192
const IDENTITY_LENGTH = 64
const FIELDS = new Set(['m', 'x', 'g', 'e', 's'])

const EVERYTHING: PurgeScope = Object.freeze({ soft: false, everything: true, marks: [], prefixes: [], globs: [] })
const READ_AS_EVERYTHING: readonly PurgeScope[] = [EVERYTHING]

export type WireRecord =
  | { readonly understood: true, readonly sender: string, readonly scopes: readonly PurgeScope[] }
  | { readonly understood: false, readonly why: 'unknownVersion' | 'malformed' | 'tooLarge', readonly scopes: readonly PurgeScope[] }

export function everythingScope (): PurgeScope {
  return EVERYTHING
}

export function encodeRecord (sender: string, number: number, scopes: readonly PurgeScope[]): string {
  const parts = scopes.map(({ soft, everything, marks, prefixes, globs }) => ({
    ...(soft && { s: 1 }),
    ...(everything && { e: 1 }),
    ...(marks.length > 0 && { m: marks }),
    ...(prefixes.length > 0 && { x: prefixes }),
    ...(globs.length > 0 && { g: globs.map(({ text }) => text) })
  }))
  return `${VERSION} ${sender}.${number} ${JSON.stringify(parts)}`
}

export function decodeRecord (text: string): WireRecord {
  if (text.length > MAX_TEXT_LENGTH) return notUnderstood('tooLarge')
  const found = /^(\d{1,9}) ([\w-]{1,32})\.\d{1,16} /.exec(text)
  if (found === null) return notUnderstood('malformed')
  if (found[1] !== VERSION) return notUnderstood('unknownVersion')
  const scopes = readScopes(text.slice(found[0].length))
  return scopes === undefined ? notUnderstood('malformed') : { understood: true, sender: found[2] as string, scopes }
}

/** Enough of a record to tell it from any other: its sender counts what it sends. */
export function identityOf (text: string): string {
  return text.slice(0, IDENTITY_LENGTH)
}

function notUnderstood (why: 'unknownVersion' | 'malformed' | 'tooLarge'): WireRecord {
  return { understood: false, why, scopes: READ_AS_EVERYTHING }
}

function readScopes (json: string): PurgeScope[] | undefined {
  let parts: unknown
  try { parts = JSON.parse(json) } catch { return undefined }
  if (!Array.isArray(parts)) return undefined
  const scopes: PurgeScope[] = []
  for (const part of parts as unknown[]) {
    const scope = readScope(part)
    if (scope === undefined) return undefined
    scopes.push(scope)
  }
  return scopes
}

function readScope (part: unknown): PurgeScope | undefined {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return undefined
  const fields = new Map<string, unknown>(Object.entries(part))
  const [marks, prefixes, patterns] = ['m', 'x', 'g'].map((name) => readNames(fields.get(name)))
  if (marks === undefined || prefixes === undefined || patterns === undefined) return undefined
  // A field that this version does not know may widen the purge.
  for (const name of fields.keys()) if (!FIELDS.has(name)) return undefined
  const globs = []
  for (const pattern of patterns) {
    const verdict = parseGlob(pattern)
    if (!verdict.valid || pattern.length > MAX_GLOB_LENGTH) return undefined
    globs.push(verdict.glob)
  }
  return { soft: fields.get('s') === 1, everything: fields.get('e') === 1, marks, prefixes, globs }
}

function readNames (value: unknown): string[] | undefined {
  if (value === undefined) return []
  return Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '') ? value as string[] : undefined
}
