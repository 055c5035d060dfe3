import type { AdminClient } from './admin-client.ts'
import type { Answer } from './answer.ts'
import type { OptionValues } from './command-line.ts'
import type { Terminal } from './terminal.ts'

export interface Call {
  readonly client: AdminClient
  /** What was typed behind the command. */
  readonly words: readonly string[]
  readonly options: OptionValues
  readonly terminal: Terminal
}

/** How a command ended: `refused` by the server, or a `mistake` of whoever typed it. */
export type End = { readonly kind: 'done' } | { readonly kind: 'refused' | 'mistake', readonly message: string }

export type Command = (call: Call) => Promise<End>

export const done: End = { kind: 'done' }

/** Shows an answer: as it is with `--json`, else in lines. */
export function show<T> ({ options, terminal }: Call, answer: Answer<T>, lines: (body: T) => readonly string[]): End {
  if (!answer.ok) return { kind: 'refused', message: answer.message }
  if (options.json === true) terminal.print(JSON.stringify(answer.body, undefined, 2))
  else for (const line of lines(answer.body)) terminal.print(line)
  return done
}
