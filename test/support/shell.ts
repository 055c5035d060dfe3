/** One request that a document tells its reader to make, and what it says comes back. */
export interface CurlCommand {
  readonly text: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  /** Lines of the `#` comments below the command; `…` stands for anything. */
  readonly expected: readonly string[]
}

/** The commands of a shell block, one a line, continuation lines joined. Comments follow the command they are about. */
export function commandsOf (code: string): Array<{ command: string, comments: string[] }> {
  const commands: Array<{ command: string, comments: string[] }> = []
  for (const line of code.replaceAll('\\\n', ' ').split('\n')) {
    if (line.startsWith('#')) commands.at(-1)?.comments.push(line.slice(1).trim())
    else if (line.trim() !== '') commands.push({ command: line.trim(), comments: [] })
  }
  return commands
}

/** Reads the few options of curl that documents need; any other one throws. */
export function readCurl (command: string, comments: readonly string[], env: Readonly<Record<string, string>>): CurlCommand {
  const [program, ...words] = wordsOf(command, env)
  if (program !== 'curl') throw new Error(`not a curl command: ${command}`)
  const headers: Record<string, string> = {}
  let method: string | undefined
  let body: string | undefined
  let url: URL | undefined
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (/^-[si]+$/.test(word)) continue
    if (word === '-I') { method = 'HEAD'; continue }
    if (!word.startsWith('-')) { url = new URL(word.includes('://') ? word : `http://${word}`); continue }
    const value = words.shift()
    if (value === undefined) throw new Error(`${word} has no value: ${command}`)
    if (word === '-X') method = value
    else if (word === '-d') { body = value; headers['content-type'] ??= 'application/x-www-form-urlencoded' } else if (word === '-H') headers[value.slice(0, value.indexOf(':')).toLowerCase()] = value.slice(value.indexOf(':') + 1).trim()
    else throw new Error(`${word} is not known here: ${command}`)
  }
  if (url === undefined) throw new Error(`no URL: ${command}`)
  if (!['127.0.0.1', 'localhost'].includes(url.hostname)) throw new Error(`not on this machine: ${command}`)
  return { text: command, method: method ?? (body === undefined ? 'GET' : 'POST'), path: url.pathname + url.search, headers, body, expected: comments }
}

/** The words up to the first pipe, quotes taken off, variables filled in outside of single quotes. */
function wordsOf (command: string, env: Readonly<Record<string, string>>): string[] {
  const filled = (text: string): string => text.replace(/\$(\w+)/g, (_, name: string) => {
    const value = env[name]
    if (value === undefined) throw new Error(`$${name} is not set: ${command}`)
    return value
  })
  const words: string[] = []
  for (const [word, single, double] of command.matchAll(/'([^']*)'|"([^"]*)"|[^\s'"]+/g)) {
    if (word === '|') break
    words.push(single ?? filled(double ?? word))
  }
  return words
}

/** What curl -i would print. */
export async function askCurl (origin: string, { method, path, headers, body }: CurlCommand): Promise<string> {
  const response = await fetch(origin + path, { method, headers, ...body === undefined ? {} : { body } })
  const head = [...response.headers].map(([name, value]) => `${name}: ${value}`)
  return [`HTTP/1.1 ${response.status} ${response.statusText}`, ...head, '', await response.text()].join('\n')
}

/** Whether a line of a document, in which `…` stands for anything, is part of an answer. */
export function saysSo (answer: string, expected: string): boolean {
  return new RegExp(expected.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('.*?')).test(answer)
}
