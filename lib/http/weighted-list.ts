import { trimBlanks } from './blanks.ts'

/** A member of a list with qualities (RFC 9110 §12.4.2), its value in lower case. */
export interface Weighted { readonly value: string, readonly quality: number }

/** Longer fields are not taken apart: nobody's browser sends them. */
const MAX_LENGTH = 1024

const MEMBER = /^([*\w!#$%&'+\-.^`|~]+)(?:[ \t]*;[ \t]*q=([01](?:\.\d{0,3})?))?$/i

/** The members of Accept-Encoding or Accept-Language in their order; `undefined` if any of them is malformed. */
export function weightedList (text: string): readonly Weighted[] | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const list: Weighted[] = []
  for (const member of text.split(',')) {
    const trimmed = trimBlanks(member)
    if (trimmed === '') continue
    const parts = MEMBER.exec(trimmed)
    const quality = Number(parts?.[2] ?? 1)
    if (parts === null || quality > 1) return undefined
    list.push({ value: (parts[1] ?? '').toLowerCase(), quality })
  }
  return list
}
