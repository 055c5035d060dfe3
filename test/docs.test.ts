import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import cache from 'fastify-response-cache'
import { buildApp } from '../example-app/app.ts'
import { CONFIG_NAMES, DEFAULT_CACHE_CONFIG, envName } from '../lib/config.ts'
import { errors } from '../lib/errors.ts'
import { PLUGIN_OPTION_NAMES } from '../plugins/options.ts'
import { ROUTE_OPTION_NAMES } from '../plugins/route-options.ts'
import { fencesOf, namesIn, tablesOf } from './support/markdown.ts'
import { askCurl, commandsOf, readCurl, saysSo } from './support/shell.ts'
import { runSnippet, SnippetFolder, snippetsOf, typeErrorsOf } from './support/snippets.ts'
import type { Snippet } from './support/snippets.ts'
import { projectRoot } from './support/source-tree.ts'

const readme = readFileSync(projectRoot + 'README.md', 'utf8')
const tables = new Map(tablesOf(readme).map((table) => [table.name, table.rows]))
const manifest = JSON.parse(readFileSync(projectRoot + 'package.json', 'utf8')) as { scripts: Record<string, string> }

/** The names in the first column of a table. */
function listed (table: string): string[] {
  return (tables.get(table) ?? []).flatMap((row) => namesIn(Object.values(row)[0] ?? ''))
}

function sameNames (t: Test, inReadme: Iterable<string>, inCode: Iterable<string>): void {
  const [said, real] = [new Set(inReadme), new Set(inCode)]
  t.ok(real.size > 0, 'there is something to compare')
  t.same([...real].filter((name) => !said.has(name)).sort(), [], 'the README leaves nothing out')
  t.same([...said].filter((name) => !real.has(name)).sort(), [], 'the README makes nothing up')
}

t.test('every error code is in the README, and no other', async (t) => {
  sameNames(t, readme.match(/\bFST_ERR_CACHE_[A-Z_]+\b/g) ?? [], Object.keys(errors))
  sameNames(t, listed('errors'), Object.keys(errors))
})

t.test('every setting is in the README with its default, and no other', async (t) => {
  sameNames(t, listed('options'), CONFIG_NAMES)
  for (const row of tables.get('options') ?? []) {
    const [name] = namesIn(Object.values(row)[0] ?? '')
    const value = DEFAULT_CACHE_CONFIG[name as keyof typeof DEFAULT_CACHE_CONFIG]
    t.equal(namesIn(row['default'] ?? '')[0]?.replaceAll(/["']/g, ''), String(value), `the default of ${name}`)
  }
})

t.test('every option of the plugin and of a route is in the README, and no other', async (t) => {
  sameNames(t, listed('plugin options'), PLUGIN_OPTION_NAMES)
  sameNames(t, listed('route options'), ROUTE_OPTION_NAMES)
})

t.test('every environment variable in the README exists', async (t) => {
  const real = new Set([...CONFIG_NAMES.map(envName), 'CACHE_ADMIN_TOKEN'])
  const said = readme.match(/(?<![A-Z_])CACHE_[A-Z_]*[A-Z]\b/g) ?? []
  t.ok(said.length > 0, 'it names some')
  t.same(said.filter((name) => !real.has(name)), [])
})

t.test('every metric is in the README, and no other', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(cache)
  const { body } = await app.inject('/metrics')
  const real = [...body.matchAll(/^# TYPE (fastify_cache_\w+)/gm)].map((found) => found[1] ?? '')
  sameNames(t, listed('metrics'), real)
  t.same((readme.match(/\bfastify_cache_[a-z_]*[a-z]\b/g) ?? []).filter((name) => !real.includes(name.replace(/_(?:bucket|sum|count)$/, ''))), [], 'elsewhere in the README as well')
})

t.test('every route is in the README, and no other', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const real: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) if (each !== 'HEAD') real.push(`${each} ${url}`)
  })
  await app.register(cache, { admin: { token: 'token-of-this-test' } })
  await app.ready()
  sameNames(t, listed('routes'), real)
})

t.test('the snippets', async (t) => {
  const folder = new SnippetFolder('readme')
  const programs = snippetsOf(readme).map((snippet) => ({ ...snippet, file: folder.write(snippet) }))
  t.ok(programs.length > 0, 'there are some')
  t.same(typeErrorsOf(programs.map(({ file }) => file)), [], 'their types are right')
  const waiting = [...programs]
  const runAll = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await runsAsItSays(t, next, next.file)
  }
  await Promise.all([runAll(), runAll()])
})

async function runsAsItSays (t: Test, { line, prints }: Snippet, file: string): Promise<void> {
  const { exitCode, stdout, stderr } = await runSnippet(file)
  t.equal(exitCode, 0, `README.md:${line} runs${exitCode === 0 ? '' : ': ' + stderr}`)
  if (prints.length > 0) t.same(stdout.trimEnd().split('\n'), prints, `README.md:${line} prints what it says`)
}

t.test('the shell commands', async (t) => {
  const app = await buildApp({ adminToken: 'token-of-this-test' })
  t.teardown(async () => { await app.close() })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  for (const { code, line } of fencesOf(readme).filter(({ language }) => ['sh', 'bash', 'shell', 'console'].includes(language))) {
    for (const { command, comments } of commandsOf(code)) {
      for (const [, name] of command.matchAll(/\bnpm (?:run )?(test|start|[\w:]*)/g)) {
        if (name !== undefined && !['ci', 'i', 'install', 'run'].includes(name)) t.ok(Object.hasOwn(manifest.scripts, name), `README.md:${line}: there is a script ${name}`)
      }
      if (!command.startsWith('curl ')) continue
      const curl = readCurl(command, comments, { CACHE_ADMIN_TOKEN: 'token-of-this-test' })
      const answer = await askCurl(origin, curl)
      if (curl.expected.length === 0) t.match(answer, /^HTTP\/1\.1 [23]/, `README.md:${line}: ${command}`)
      for (const expected of curl.expected) t.ok(saysSo(answer, expected), `README.md:${line}: ${command} says ${expected}`, { answer })
    }
  }
})
