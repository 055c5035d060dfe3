import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'
import { fencesOf } from './markdown.ts'
import { programFile, programRoot } from './program.ts'
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

/** Whoever has not ended by then does not end; a busy machine takes less. */
const patienceMs = 120_000

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
  /** Of what is made of them, where that name leads to what runs here. */
  readonly #built: string

  constructor (name: string) {
    this.#folder = join(projectRoot, '.cache', name)
    this.#built = join(programRoot, '.cache', name)
    for (const folder of [this.#folder, this.#built]) {
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder, { recursive: true })
    }
  }

  write ({ line, extension, code }: Snippet): string {
    const file = join(this.#folder, `line-${line}.${extension}`)
    // An application that nobody closes goes on, at the other end of its connection to Redis.
    writeFileSync(file, code + '\nprocess.exit()\nexport {}\n')
    return file
  }

  /** Makes programs of these files. What the compiler has to say of those that are TypeScript, under the project's own settings, comes first. */
  build (files: readonly string[]): Build {
    const { config } = ts.readConfigFile(projectRoot + 'tsconfig.json', (file) => ts.sys.readFile(file)) as { config: object }
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, projectRoot)
    const program = ts.createProgram(files, options)
    const typeErrors = files.flatMap((file) => {
      const source = program.getSourceFile(file)
      if (source === undefined) return []
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((found) => {
        const { line } = ts.getLineAndCharacterOfPosition(source, found.start ?? 0)
        return `${file.slice(projectRoot.length)}:${line + 1} ${ts.flattenDiagnosticMessageText(found.messageText, ' ')}`
      })
    })
    const built = (file: string): string => join(this.#built, basename(file).replace(/\.ts$/, '.js'))
    const asModule = { ...options, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, noEmit: false, sourceMap: false }
    for (const file of files) {
      const text = readFileSync(file, 'utf8')
      writeFileSync(built(file), file.endsWith('.ts') ? ts.transpileModule(text, { fileName: file, compilerOptions: asModule }).outputText : text)
    }
    const guard = pathToFileURL(programFile('test/support/snippet-guard')).href
    return { typeErrors, run: async (file, redisUrl) => await run([...process.execArgv, `--import=${guard}`, built(file)], redisUrl) }
  }
}

export interface Build {
  readonly typeErrors: readonly string[]
  readonly run: (file: string, redisUrl: string) => Promise<Outcome>
}

async function run (args: readonly string[], redisUrl: string): Promise<Outcome> {
  const child = spawn(process.execPath, args,
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
