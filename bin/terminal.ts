import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'

/** What a command talks to. */
export interface Terminal {
  /** Writes a line of the answer. */
  readonly print: (line: string) => void
  /** Writes a line about the answer. */
  readonly note: (line: string) => void
  /** Replaces the last line by this one; `undefined` where nobody looks on. */
  readonly redraw: ((line: string) => void) | undefined
  /** Width in characters. */
  readonly columns: number
  /** Aborts when the user wants to stop. */
  readonly interrupted: AbortSignal
  /** A file, or the standard input where it is called `-`. */
  readonly read: (file: string) => Promise<string>
}

/** The terminal, or the pipes, of this process. */
export function openTerminal (): Terminal {
  let controller: AbortController | undefined
  const { stdout, stderr, stdin } = process
  // `… | head` has read enough.
  stdout.on('error', (error: NodeJS.ErrnoException) => { if (error.code === 'EPIPE') process.exit(0) })
  return {
    print: (line) => { stdout.write(line + '\n') },
    note: (line) => { stderr.write(line + '\n') },
    redraw: stderr.isTTY ? (line) => { stderr.write(`\r\u001b[2K${line}`) } : undefined,
    columns: stderr.columns ?? 80,
    get interrupted () {
      // Whoever does not ask is ended by the first Ctrl-C; whoever does may clean up, and is ended by the second.
      if (controller === undefined) process.once('SIGINT', () => { controller?.abort() })
      controller ??= new AbortController()
      return controller.signal
    },
    read: async (file) => file === '-' ? await text(stdin) : await readFile(file, 'utf8')
  }
}
