import { parseArgs } from 'node:util'

const text = { type: 'string' } as const
const texts = { type: 'string', multiple: true } as const
const flag = { type: 'boolean' } as const

const GENERAL = { url: text, prefix: text, token: text, timeout: text, json: flag, help: { ...flag, short: 'h' }, version: flag } as const
const OF_ENTRIES = { limit: text } as const
const OF_INVALIDATE = { key: texts, tag: texts, pattern: texts, path: texts, everything: flag, soft: flag, 'dry-run': flag } as const
const OF_WARM = { file: text, learned: flag, 'time-budget': text, host: text, https: flag, concurrency: text, detach: flag, list: flag, watch: text, cancel: text } as const
const ALL = { ...GENERAL, ...OF_ENTRIES, ...OF_INVALIDATE, ...OF_WARM } as const

/** What each command takes: options of its own, and how many words. */
const COMMANDS = {
  stats: { options: {}, words: [0, 0] },
  top: { options: {}, words: [0, 0] },
  report: { options: {}, words: [0, 0] },
  entries: { options: OF_ENTRIES, words: [0, 1] },
  explain: { options: {}, words: [1, 1] },
  invalidate: { options: OF_INVALIDATE, words: [0, 0] },
  flush: { options: {}, words: [0, 0] },
  warm: { options: OF_WARM, words: [0, Infinity] }
} as const satisfies Record<string, { options: object, words: readonly [least: number, most: number] }>

export type CommandName = keyof typeof COMMANDS
export type OptionValues = ReturnType<typeof parseArgs<{ options: typeof ALL, allowPositionals: true }>>['values']

/** What was typed, as far as it makes sense. */
export type CommandLine =
  | { readonly kind: 'command', readonly command: CommandName, readonly words: readonly string[], readonly options: OptionValues, readonly client: { readonly url: string, readonly prefix: string, readonly token: string | undefined, readonly timeoutMs: number } }
  | { readonly kind: 'help' | 'version' }
  | { readonly kind: 'mistake', readonly message: string }

const mistake = (message: string): CommandLine => ({ kind: 'mistake', message })

export function readCommandLine (args: readonly string[], env: Readonly<Record<string, string | undefined>>): CommandLine {
  let typed: { values: OptionValues, positionals: string[] }
  try {
    typed = parseArgs({ args: [...args], options: ALL, allowPositionals: true })
  } catch (error) {
    return mistake((error as Error).message)
  }
  const { values: options, positionals: [command, ...words] } = typed
  if (options.help === true) return { kind: 'help' }
  if (options.version === true) return { kind: 'version' }
  if (command === undefined) return mistake('There is no command')
  if (!isCommand(command)) return mistake(`${command} is no command; there are ${Object.keys(COMMANDS).join(', ')}`)
  const { options: own, words: [least, most] } = COMMANDS[command]
  const stranger = Object.keys(options).find((name) => !(name in GENERAL) && !(name in own))
  if (stranger !== undefined) return mistake(`--${stranger} does not go with ${command}`)
  if (words.length < least) return mistake(`${command} needs a path, such as /products/15`)
  if (words.length > most) return mistake(`${command} can make nothing of ${words.slice(most).join(' ')}`)
  const given = options.url ?? 'http://127.0.0.1:3000'
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '') return mistake(`--url ${given} must be an address such as http://127.0.0.1:3000`)
  const prefix = options.prefix ?? '/cache'
  if (!/^(?:\/[A-Za-z0-9\-._~]+)*$/.test(prefix)) return mistake(`--prefix ${prefix} must be a path such as /cache`)
  const timeout = numberOf(options.timeout ?? '10')
  if (timeout === undefined) return mistake(`--timeout ${options.timeout ?? ''} must be a number of seconds`)
  // A variable that is empty is one that nobody has set.
  const token = options.token ?? (env['CACHE_ADMIN_TOKEN'] || undefined)
  // Whatever else stands in a header would be refused by fetch in words that show the token.
  if (token !== undefined && !/^[!-~]+$/.test(token)) return mistake('The token must consist of visible ASCII characters')
  return { kind: 'command', command, words, options, client: { url: url.origin + url.pathname.replace(/\/$/, ''), prefix, token, timeoutMs: timeout * 1000 } }
}

/** A positive number, or `undefined`. */
export function numberOf (typed: string): number | undefined {
  const value = Number(typed)
  return typed.trim() !== '' && value > 0 && Number.isFinite(value) ? value : undefined
}

function isCommand (name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name)
}
