import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { fencesOf } from './markdown.ts'
import { projectRoot } from './source-tree.ts'

/** A program that a document contains: one block, and those that say they continue it. */
export interface Snippet {
  /** Where it begins in the document. */
  readonly line: number
  readonly extension: 'ts' | 'mjs'
  readonly code: string
  /** What it prints by its own comments, `// → …`, a line each; empty if it says nothing. */
  readonly prints: readonly string[]
}

export interface Outcome { readonly exitCode: number | null, readonly stdout: string, readonly stderr: string }

const patienceMs = 60_000

/**
 * The programs of a document, as a reader would paste them: every `ts` and `js` block is one, and `ts continue` goes on where
 * the block before it ended.
 */
export function snippetsOf (markdown: string): Snippet[] {
  const programs: Array<{ line: number, extension: 'ts' | 'mjs', code: string }> = []
  for (const { language, words, code, line } of fencesOf(markdown)) {
    if (!['ts', 'js', 'typescript', 'javascript'].includes(language)) continue
    const program = programs.at(-1)
    if (!words.includes('continue')) programs.push({ line, extension: language.startsWith('t') ? 'ts' : 'mjs', code })
    else if (program === undefined) throw new Error(`line ${line} continues nothing`)
    else program.code += code
  }
  return programs.map((program) => ({ ...program, prints: [...program.code.matchAll(/\/\/ → (.*)$/gm)].map((found) => (found[1] ?? '').trim()) }))
}

/** Snippets as files inside the project, so that the package's own name leads to its sources. */
export class SnippetFolder {
  readonly #folder: string

  constructor (name: string) {
    this.#folder = join(projectRoot, '.cache', name)
    rmSync(this.#folder, { recursive: true, force: true })
    mkdirSync(this.#folder, { recursive: true })
  }

  write ({ line, extension, code }: Snippet): string {
    const file = join(this.#folder, `line-${line}.${extension}`)
    // An application that nobody closes goes on, at the other end of its connection to Redis.
    writeFileSync(file, code + '\nprocess.exit()\nexport {}\n')
    return file
  }
}

/** What the compiler has to say of those of these files that are TypeScript, under the project's own settings. */
export function typeErrorsOf (files: readonly string[]): string[] {
  const { config } = ts.readConfigFile(projectRoot + 'tsconfig.json', (file) => ts.sys.readFile(file)) as { config: object }
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, projectRoot)
  const program = ts.createProgram(files, options)
  return files.flatMap((file) => {
    const source = program.getSourceFile(file)
    if (source === undefined) return []
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((found) => {
      const { line } = ts.getLineAndCharacterOfPosition(source, found.start ?? 0)
      return `${file.slice(projectRoot.length)}:${line + 1} ${ts.flattenDiagnosticMessageText(found.messageText, ' ')}`
    })
  })
}

export async function runSnippet (file: string, redisUrl: string): Promise<Outcome> {
  const guard = new URL('snippet-guard.ts', import.meta.url).href
  const child = spawn(process.execPath, ['--import=tsx', '--conditions=@fastify-response-cache/source', `--import=${guard}`, file],
    { cwd: projectRoot, env: { PATH: process.env['PATH'], CACHE_REDIS_URL: redisUrl }, stdio: ['ignore', 'pipe', 'pipe'], timeout: patienceMs, killSignal: 'SIGKILL' })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => { resolve({ exitCode, stdout, stderr }) })
  })
}
