import type { Position } from '../entry.ts'
import { parseId } from './log-id.ts'

/** A longer message is not even looked at; the log tells what it was. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024

/** A message on the bus: `<id> <record>`, with `-` for an ID where Redis could not write the record down. */
export type News =
  | { readonly kind: 'record', readonly at: Position, readonly text: string }
  | { readonly kind: 'unlogged', readonly text: string }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'tooLarge' }

export function readNews (message: Buffer): News {
  if (message.length > MAX_MESSAGE_BYTES) return { kind: 'tooLarge' }
  const [, id, text] = /^(\S+) (.*)$/s.exec(message.toString()) ?? []
  if (id === undefined || text === undefined) return { kind: 'malformed' }
  if (id === '-') return { kind: 'unlogged', text }
  const at = parseId(id)
  return at === undefined ? { kind: 'malformed' } : { kind: 'record', at, text }
}
