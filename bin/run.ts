import { readFileSync } from 'node:fs'
import { AdminClient } from './admin-client.ts'
import { readCommandLine, type CommandName } from './command-line.ts'
import { entries } from './entries.ts'
import { explain } from './explain.ts'
import { flush, invalidate } from './purge.ts'
import { report, top } from './report.ts'
import type { Command } from './command.ts'
import { stats } from './stats.ts'
import type { Terminal } from './terminal.ts'
import { USAGE } from './usage.ts'
import { warm } from './warm.ts'

const COMMANDS: Readonly<Record<CommandName, Command>> = { stats, top, report, entries, explain, invalidate, flush, warm }

/** Does what was typed. @returns the exit code: 0 done, 1 the server said no, 2 the command makes no sense */
export async function run (args: readonly string[], env: Readonly<Record<string, string | undefined>>, terminal: Terminal): Promise<number> {
  const typed = readCommandLine(args, env)
  if (typed.kind === 'help') terminal.print(USAGE)
  else if (typed.kind === 'version') terminal.print(version())
  if (typed.kind === 'mistake') return misused(typed.message, terminal)
  if (typed.kind !== 'command') return 0
  const { command, words, options } = typed
  const end = await COMMANDS[command]({ client: new AdminClient(typed.client), words, options, terminal })
  if (end.kind === 'mistake') return misused(end.message, terminal)
  if (end.kind === 'done') return 0
  terminal.note(end.message)
  return 1
}

function misused (message: string, { note }: Terminal): number {
  note(`${message}\nfastify-response-cache --help shows what there is`)
  return 2
}

/** From package.json, which stands one folder above the sources and two above what is built of them. */
function version (): string {
  const file = ['../package.json', '../../package.json'].map((path) => new URL(path, import.meta.url)).find((url) => {
    try { return readFileSync(url).length > 0 } catch { return false }
  })
  return file === undefined ? 'unknown' : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
