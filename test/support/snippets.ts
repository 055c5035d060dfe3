import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
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

  /**
   * Builds these files and the package that they import, once for all: a program that is compiled as it starts, with all
   * that it loads, costs three times as much. What the compiler has to say of those that are TypeScript, under the project's own
   * settings, comes first.
   */
  build (files: readonly string[]): Build {
    const { config } = ts.readConfigFile(projectRoot + 'tsconfig.json', (file) => ts.sys.readFile(file)) as { config: object }
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, projectRoot)
    const outDir = join(this.#folder, 'built')
    const program = ts.createProgram([guard, ...files], options)
    const asModule = { ...options, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, noEmit: false, sourceMap: false }
    const typeErrors = files.flatMap((file) => {
      const source = program.getSourceFile(file)
      if (source === undefined) return []
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((found) => {
        const { line } = ts.getLineAndCharacterOfPosition(source, found.start ?? 0)
        return `${file.slice(projectRoot.length)}:${line + 1} ${ts.flattenDiagnosticMessageText(found.messageText, ' ')}`
      })
    })
    const built = (file: string): string => join(outDir, file.slice(projectRoot.length).replace(/\.ts$/, '.js'))
    for (const { fileName, text, isDeclarationFile } of program.getSourceFiles()) {
      if (isDeclarationFile || !fileName.startsWith(projectRoot)) continue
      mkdirSync(dirname(built(fileName)), { recursive: true })
      // One by one, without the types: program.emit() would check those of the whole package first.
      writeFileSync(built(fileName), ts.transpileModule(text, { fileName, compilerOptions: asModule }).outputText)
    }
    for (const file of files) if (file.endsWith('.mjs')) copyFileSync(file, built(file))
    // Here the package's own name leads to what was built.
    const { name, exports } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { name: string, exports: Record<string, string | Record<string, string>> }
    const sources = Object.entries(exports).map(([path, target]) => [path, typeof target === 'string' ? target : target[`@${name}/source`]?.replace(/\.ts$/, '.js')])
    writeFileSync(join(outDir, 'package.json'), JSON.stringify({ name, type: 'module', exports: Object.fromEntries(sources) as object }))
    symlinkSync(join(projectRoot, 'dashboard'), join(outDir, 'dashboard'))
    return { typeErrors, run: async (file, redisUrl) => await run([`--import=${pathToFileURL(built(guard)).href}`, built(file)], redisUrl) }
  }
}

const guard = join(projectRoot, 'test/support/snippet-guard.ts')

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
