/*
 * Globs over cache keys, with the wildcards of Redis: `*` any run, `?` any one character, `[abc]`, `[a-z]`, `[^…]`,
 * and `\` before a character that stands for itself. Unlike Redis a character is a Unicode code point, not a byte.
 *
 * Never compiled to a RegExp: `*a*a*a*a*a*a*a*a*b` against 60 characters takes a backtracking engine minutes. The
 * matcher below remembers only the latest `*`. Whatever an earlier one could swallow the latest can swallow as well, so
 * going back further never helps, and the work is bounded by the product of the two lengths. Where text follows a `*`, the
 * engine's own search finds the next place for it, and an end that is text is looked at first: together they leave little of
 * that product.
 */

const ANY_ONE = -1
const ANY_RUN = -2

interface CharacterClass { readonly negated: boolean, readonly ranges: ReadonlyArray<readonly [low: number, high: number]> }
type Token = number | CharacterClass

/** A parsed glob. */
export interface Glob {
  readonly text: string
  readonly tokens: readonly Token[]
  /** By the index of a `*` among the tokens: the plain text behind it, up to the next wildcard. */
  readonly behindRun: ReadonlyMap<number, string>
  /** The plain text behind the last `*`, if nothing else is. */
  readonly end: string
}

export type GlobVerdict =
  | { readonly valid: true, readonly glob: Glob }
  | { readonly valid: false, readonly why: string }

/** What of a string the matcher needs. */
export type GlobText = Pick<string, 'length' | 'codePointAt' | 'indexOf' | 'endsWith'>

export function parseGlob (text: string): GlobVerdict {
  const characters = Array.from(text, (character) => character.codePointAt(0) as number)
  const tokens: Token[] = []
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as number
    if (character === STAR) {
      if (tokens.at(-1) !== ANY_RUN) tokens.push(ANY_RUN)
    } else if (character === QUESTION) {
      tokens.push(ANY_ONE)
    } else if (character === BACKSLASH) {
      const escaped = characters[++i]
      if (escaped === undefined) return { valid: false, why: 'it ends in a backslash that escapes nothing' }
      tokens.push(escaped)
    } else if (character === OPEN) {
      const found = parseClass(characters, i + 1)
      if (found === undefined) return { valid: false, why: 'a [ is not closed; a [ that stands for itself is written \\[' }
      tokens.push(found.characterClass)
      i = found.end
    } else {
      tokens.push(character)
    }
  }
  const behindRun = new Map<number, string>()
  tokens.forEach((token, i) => { if (token === ANY_RUN) behindRun.set(i, literalFrom(tokens, i + 1)) })
  const last = tokens.lastIndexOf(ANY_RUN)
  const end = last === -1 ? '' : behindRun.get(last) ?? ''
  return { valid: true, glob: { text, tokens, behindRun, end: last + 1 + Array.from(end).length === tokens.length ? end : '' } }
}

/** The plain text that stands there; none that begins with half a pair, which a search could find in the middle of one. */
function literalFrom (tokens: readonly Token[], start: number): string {
  let end = start
  while (typeof tokens[end] === 'number' && (tokens[end] as number) >= 0) end++
  const literal = String.fromCodePoint(...tokens.slice(start, end) as number[])
  return /^[\udc00-\udfff]/.test(literal) ? '' : literal
}

/** Does the glob match the whole of `text`, read from its index `from` on? */
export function globMatches ({ tokens, behindRun, end }: Glob, text: GlobText, from = 0): boolean {
  if (end !== '' && !text.endsWith(end)) return false
  let at = from
  let token = 0
  let afterRun = -1
  let runEnd = from
  let literal = ''
  while (at < text.length) {
    const wanted = tokens[token]
    if (wanted === ANY_RUN) {
      if (token === tokens.length - 1) return true
      literal = behindRun.get(token) ?? ''
      afterRun = ++token
      runEnd = literal === '' ? at : text.indexOf(literal, at)
      if (runEnd === -1) return false
      at = runEnd
      continue
    }
    const character = text.codePointAt(at) as number
    if (wanted !== undefined && accepts(wanted, character)) {
      token++
      at += widthOf(character)
    } else if (afterRun === -1) {
      return false
    } else {
      runEnd += widthOf(text.codePointAt(runEnd) as number)
      if (literal !== '') runEnd = text.indexOf(literal, runEnd)
      if (runEnd === -1) return false
      at = runEnd
      token = afterRun
    }
  }
  if (tokens[token] === ANY_RUN) token++
  return token === tokens.length
}

/** The text before the first wildcard, and whether that wildcard is nothing but one trailing `*`. */
export function literalPrefix ({ tokens }: Glob): { readonly prefix: string, readonly rest: 'nothing' | 'run' | 'more' } {
  const end = tokens.findIndex((token) => typeof token !== 'number' || token < 0)
  const literal = end === -1 ? tokens : tokens.slice(0, end)
  let prefix = ''
  for (const character of literal) prefix += String.fromCodePoint(character as number)
  if (end === -1) return { prefix, rest: 'nothing' }
  return { prefix, rest: end === tokens.length - 1 && tokens[end] === ANY_RUN ? 'run' : 'more' }
}

const STAR = 0x2a
const QUESTION = 0x3f
const BACKSLASH = 0x5c
const OPEN = 0x5b
const CLOSE = 0x5d
const CARET = 0x5e
const DASH = 0x2d

function accepts (token: Token, character: number): boolean {
  if (typeof token === 'number') return token === character || token === ANY_ONE
  return token.ranges.some(([low, high]) => low <= character && character <= high) !== token.negated
}

function widthOf (character: number): 1 | 2 {
  return character > 0xffff ? 2 : 1
}

/** Reads a class from behind its `[`, as Redis does: `]` closes even as the first member, a reversed range is turned round. */
function parseClass (characters: readonly number[], start: number): { characterClass: CharacterClass, end: number } | undefined {
  const negated = characters[start] === CARET
  const ranges: Array<[number, number]> = []
  for (let i = negated ? start + 1 : start; i < characters.length; i++) {
    const character = characters[i] as number
    const high = characters[i + 2]
    if (character === BACKSLASH) {
      const escaped = characters[++i]
      if (escaped === undefined) return undefined
      ranges.push([escaped, escaped])
    } else if (character === CLOSE) {
      return { characterClass: { negated, ranges }, end: i }
    } else if (characters[i + 1] === DASH && high !== undefined) {
      ranges.push([Math.min(character, high), Math.max(character, high)])
      i += 2
    } else {
      ranges.push([character, character])
    }
  }
  return undefined
}
