import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import cache, { CacheManager } from 'fastify-response-cache'
import { buildApp } from '../example-app/app.ts'
import { CONFIG_NAMES, DEFAULT_CACHE_CONFIG, envName } from '../lib/config.ts'
import { REFUSAL_REASONS } from '../lib/engine/event-tally.ts'
import { FINDING_KINDS } from '../lib/engine/monitor/findings.ts'
import { METRIC_FAMILIES } from '../lib/engine/metric-families.ts'
import { errors, type CacheErrorCode } from '../lib/errors.ts'
import { STORE_REFUSALS } from '../lib/http/store-refusals.ts'
import { BYPASS_WORDS } from '../plugins/explanation.ts'
import * as entry from '../plugins/index.ts'
import { HTTP_OPTION_NAMES } from '../plugins/http-options.ts'
import { PLUGIN_OPTION_NAMES } from '../plugins/options.ts'
import { ROUTE_OPTION_NAMES } from '../plugins/route-options.ts'
import { anchorsOf, fencesOf, linksOf, namesIn, tablesOf } from './support/markdown.ts'
import { askCurl, commandsOf, readCurl, saysSo } from './support/shell.ts'
import { startRedis } from './support/redis-server.ts'
import { SnippetFolder, snippetsOf } from './support/snippets.ts'
import type { Outcome, Snippet } from './support/snippets.ts'
import { projectRoot, readSourceTree } from './support/source-tree.ts'

// whatever Redis may run on this machine is none of our business
process.env['CACHE_STRATEGY'] = 'memory'

const textOf = (file: string): string => readFileSync(projectRoot + file, 'utf8')
const readme = textOf('README.md')
const reasons = textOf('docs/reasons.md')
const tables = new Map(tablesOf(readme).map((table) => [table.name, table.rows]))
const manifest = JSON.parse(readFileSync(projectRoot + 'package.json', 'utf8')) as { scripts: Record<string, string>, peerDependencies: { fastify: string } }

/** The names in the first column of a table. */
function listed (table: string, within = tables): string[] {
  return (within.get(table) ?? []).flatMap((row) => namesIn(Object.values(row)[0] ?? ''))
}

/** The rows of a table by the name each is about. */
function rowsOf (table: string): Array<readonly [name: string, row: Readonly<Record<string, string>>]> {
  return (tables.get(table) ?? []).map((row) => [namesIn(Object.values(row)[0] ?? '')[0] ?? '', row])
}

/** The `@default` of each member that a source documents, without backticks and quotes. */
function documentedDefaults (...files: readonly string[]): Map<string, string> {
  return new Map(files.flatMap((file) => [...textOf(file).matchAll(/@default ([^\n]*?)(?: \*\/|\n[^/]*\*\/)\n\s*(\w+)\?:/g)].map((found) => [found[2] ?? '', plain(found[1] ?? '')] as const)))
}

const plain = (text: string): string => text.replaceAll(/[`'"]/g, '').trim()

function sameNames (t: Test, inReadme: Iterable<string>, inCode: Iterable<string>): void {
  const [said, real] = [new Set(inReadme), new Set(inCode)]
  t.ok(real.size > 0, 'there is something to compare')
  t.same([...real].filter((name) => !said.has(name)).sort(), [], 'the README leaves nothing out')
  t.same([...said].filter((name) => !real.has(name)).sort(), [], 'the README makes nothing up')
}

t.test('the least Fastify that is named is one that the plugin goes with', async (t) => {
  const least = manifest.peerDependencies.fastify.replace('^', '')
  const callsItself: Record<string, string> = { '5.12.2': '5.12.1', '5.12.3': '5.12.2' }
  t.equal(Reflect.get(Reflect.get(cache, Symbol.for('plugin-meta')) as object, 'fastify'), `>=${callsItself[least] ?? least} <6`)
  t.ok(readme.includes(`with Fastify ${least} or newer`), 'the README names it')
})

t.test('every error code is in the README, and no other', async (t) => {
  sameNames(t, readme.match(/\bFST_ERR_CACHE_[A-Z_]+\b/g) ?? [], Object.keys(errors))
  sameNames(t, listed('errors'), Object.keys(errors))
  for (const [code, row] of rowsOf('errors')) t.equal(row['status'], String(new errors[code as CacheErrorCode]().statusCode), `the status of ${code}`)
})

t.test('every setting is in the README with its default, and no other', async (t) => {
  sameNames(t, listed('options'), CONFIG_NAMES)
  for (const [name, row] of rowsOf('options')) {
    const setting = name as keyof typeof DEFAULT_CACHE_CONFIG
    t.equal(plain(row['default'] ?? ''), String(DEFAULT_CACHE_CONFIG[setting]), `the default of ${name}`)
    t.equal(plain(row['environment variable'] ?? ''), envName(setting), `the variable of ${name}`)
  }
})

t.test('every option of the plugin and of a route is in the README, and no other', async (t) => {
  sameNames(t, listed('plugin options'), PLUGIN_OPTION_NAMES)
  sameNames(t, listed('route options'), ROUTE_OPTION_NAMES)
  sameNames(t, listed('http options'), HTTP_OPTION_NAMES)
  const sources = { 'plugin options': ['plugins/options.ts', 'lib/compose.ts'], 'route options': ['plugins/route-options.ts'], 'http options': ['plugins/http-options.ts'] }
  for (const [table, files] of Object.entries(sources)) {
    const defaults = documentedDefaults(...files)
    for (const [name, row] of rowsOf(table)) t.equal(plain(row['default'] ?? ''), defaults.get(name), `the default of ${name} is that of its documentation`)
  }
})

t.test('every export is in the README', async (t) => {
  const words = new Set(readme.match(/\w+/g))
  t.same(Object.keys(entry).filter((name) => name !== 'default' && !words.has(name)), [])
})

t.test('everything that was asked for is where the README says', async (t) => {
  const exported = new Map<string, unknown>([...textOf('plugins/index.ts').matchAll(/\b[A-Za-z_]\w+/g)].map(([name]) => [name, (entry as Readonly<Record<string, unknown>>)[name]]))
  const options = new Set<string>([...CONFIG_NAMES, ...PLUGIN_OPTION_NAMES, ...ROUTE_OPTION_NAMES])
  const isThere = (name: string): boolean => {
    const [owner = '', member] = name.split('.')
    if (member === undefined) return exported.has(owner) || options.has(owner)
    return member in (exported.get(owner) as { prototype: object }).prototype
  }
  const rows = tables.get('brief') ?? []
  t.ok(rows.length > 20)
  for (const row of rows) {
    const [here = [], source = [], test = []] = ['here', 'source', 'test'].map((column) => namesIn(row[column] ?? ''))
    const about = row['asked for'] ?? ''
    t.ok(here.length > 0 && source.length > 0 && test.length > 0, about)
    t.same(here.filter((name) => !isThere(name)), [], `${about}: all names exist`)
    t.same([...source, ...test].filter((file) => !existsSync(projectRoot + file)), [], `${about}: all files exist`)
  }
  t.notOk(isThere('CacheManager.fetch') || isThere('noSuchThing'), 'what is missing would be found')
})

t.test('every reason is in the README and in docs/reasons.md, and no other', async (t) => {
  const bypasses = [...Object.keys(BYPASS_WORDS), 'not-configured']
  sameNames(t, listed('reasons'), REFUSAL_REASONS)
  sameNames(t, listed('bypass reasons'), bypasses)
  const long = new Map(tablesOf(reasons).map((table) => [table.name, table.rows]))
  sameNames(t, listed('bypass reasons', long), bypasses)
  sameNames(t, ['refusals of responses', 'refusals of the cache', 'refusals of the store'].flatMap((table) => listed(table, long)), REFUSAL_REASONS)
  t.same(long.get('refusals of responses'), Object.entries(STORE_REFUSALS).map(([reason, { means, cure }]) => ({ reason: `\`${reason}\``, 'what it means': means, 'what to do': cure })), 'with the words of the code')
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
  t.same(Object.fromEntries(rowsOf('metrics').map(([name, row]) => [name, row['type']])), Object.fromEntries(METRIC_FAMILIES.map(({ name, type }) => [name, type])), 'of the right type')
  t.same((readme.match(/\bfastify_cache_[a-z_]*[a-z]\b/g) ?? []).filter((name) => !real.includes(name.replace(/_(?:bucket|sum|count)$/, ''))), [], 'elsewhere in the README as well')
})

t.test('every finding of the audit is in the README, and no other', async (t) => {
  sameNames(t, listed('findings'), FINDING_KINDS)
})

t.test('every event that is told, and every figure of getStats(), is in the README', async (t) => {
  const sources = [...readSourceTree('lib', 'plugins')]
  const told = sources.flatMap(([, source]) => [...source.matchAll(/\bemit\('(\w+)',/g)].map((found) => found[1] ?? ''))
  sameNames(t, listed('events'), told)
  const declared = /interface CacheEvents \{([^]*?)\n\}/.exec(textOf('lib/events.ts'))?.[1] ?? ''
  for (const [name, row] of rowsOf('events')) {
    const members = new RegExp(`^  ${name}: \\{ (.*) \\}$`, 'm').exec(declared)?.[1] ?? ''
    sameNames(t, namesIn(row['with'] ?? ''), [...members.matchAll(/(?:^|, )(\w+)\??:/g)].map((found) => found[1] ?? ''))
  }
  const words = new Set(namesIn(readme.replace(/^```[^]*?^```$/gm, '')))
  const cache = new CacheManager({ strategy: 'memory' })
  t.same(Object.keys(cache.getStats()).filter((name) => !words.has(name)), [])
  await cache.close()
})

t.test('every route is in the README, and no other', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const real: string[] = []
  app.addHook('onRoute', ({ method, url, schema }) => {
    // what API documents hide is a second way to a route they show
    if (schema?.hide !== true) real.push(...[method].flat().filter((each) => each !== 'HEAD').map((each) => `${each} ${url}`))
  })
  await app.register(cache, { admin: { token: 'token-of-this-test' } })
  await app.ready()
  sameNames(t, listed('routes'), real)
})

const wrongSnippets = `
\`\`\`ts
const number = 1
const text: string = number
\`\`\`
\`\`\`ts continue
console.log(text) // → 1
\`\`\`
\`\`\`js
import Fastify from 'fastify'
await Fastify().listen({ port: 0, host: '0.0.0.0' })
\`\`\`
`

t.test('the snippets', async (t) => {
  const folder = new SnippetFolder('readme')
  // One Redis for all, as on the machine of a reader: what one program leaves there is none of the others' business.
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  const programs = snippetsOf(readme).map((snippet) => ({ ...snippet, file: folder.write(snippet) }))
  t.ok(programs.length > 0, 'there are some')

  const wrong = snippetsOf(wrongSnippets).map((snippet) => folder.write({ ...snippet, line: -snippet.line }))
  const { typeErrors: [typeError, ...others], run } = folder.build([...wrong, ...programs.map(({ file }) => file)])
  t.match(typeError, "Type 'number' is not assignable to type 'string'", 'a wrong type would be found')
  t.same(others, [], 'their types are right')
  t.equal((await run(wrong[0] ?? '', redis.url)).stdout, '1\n', 'what a program prints would be seen')
  t.match(await run(wrong[1] ?? '', redis.url), { exitCode: 1, stderr: 'beyond loopback' }, 'a program that fails, and one that listens to the world, would be found')

  const waiting = [...programs]
  const runAll = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) runsAsItSays(t, next, await run(next.file, redis.url))
  }
  await Promise.all([runAll(), runAll()])
})

function runsAsItSays (t: Test, { line, prints }: Snippet, { exitCode, stdout, stderr }: Outcome): void {
  t.equal(exitCode, 0, `README.md:${line} runs${exitCode === 0 ? '' : ': ' + stderr}`)
  if (prints.length === 0) return
  const printed = stdout.trimEnd().split('\n')
  const asSaid = printed.length === prints.length && printed.every((text, at) => saysSo(text, prints[at] ?? ''))
  t.ok(asSaid, `README.md:${line} prints what it says`, { printed, prints })
}

t.test('every link within the project leads somewhere', async (t) => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'example-app/README.md', ...readdirSync(projectRoot + 'docs', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`)]
  for (const document of documents) {
    const broken = linksOf(textOf(document)).filter(({ path, anchor }) => {
      const target = path === '' ? document : posix.join(posix.dirname(document), path)
      return !existsSync(projectRoot + target) || (anchor !== undefined && !anchorsOf(textOf(target)).includes(anchor))
    })
    t.same(broken, [], document)
  }
  t.same(linksOf('[a\nb](c.md#d) [e](https://f) `[g](h)` <img src="i.png">'), [{ path: 'c.md', anchor: 'd' }, { path: 'i.png', anchor: undefined }], 'a link is found where there is one')
  t.same(anchorsOf('# A\n## Why `b`, not c?\n```\n# d\n```'), ['a', 'why-b-not-c'])
})

t.test('a curl command is read as curl would', async (t) => {
  const [first, second] = commandsOf('curl -si -X PUT -H "a: $X" \\\n  -d \'{"b": "$X"}\' http://localhost:3000/c?d=1 | jq\n# e: …; f\n# g\ncurl localhost:3000')
  t.match(readCurl(first?.command ?? '', first?.comments ?? [], { X: 'y' }), { method: 'PUT', path: '/c?d=1', headers: { a: 'y' }, body: '{"b": "$X"}', expected: ['e: …; f', 'g'] })
  t.match(readCurl(second?.command ?? '', [], {}), { method: 'GET', path: '/', body: undefined })
  t.throws(() => readCurl('curl --proxy x http://localhost/', [], {}), { message: /--proxy is not known/ })
  t.throws(() => readCurl('curl http://example.com/', [], {}), { message: /not on this machine/ })
  t.throws(() => readCurl('curl "http://localhost/$X"', [], {}), { message: /\$X is not set/ })
  t.ok(saysSo('e: 1; f', 'e: …; f'))
  t.notOk(saysSo('e: 1; g', 'e: …; f'))
})

const shellOf = (markdown: string) => fencesOf(markdown).filter(({ language }) => language === 'sh').flatMap(({ code }) => commandsOf(code))

t.test('every npm command that a document names exists', async (t) => {
  const builtIn = new Set(['ci', 'install', 'pack'])
  for (const document of ['README.md', 'CONTRIBUTING.md', 'example-app/README.md']) {
    const named = shellOf(readFileSync(projectRoot + document, 'utf8')).flatMap(({ command }) => [...command.matchAll(/\bnpm (?:run )?([\w:]+)/g)].map((found) => found[1] ?? ''))
    t.ok(named.length > 0, `${document} names some`)
    t.same(named.filter((name) => !builtIn.has(name) && !Object.hasOwn(manifest.scripts, name)), [], `${document} makes none up`)
  }
})

t.test('the requests of the README get the answers it promises', async (t) => {
  const app = await buildApp({ adminToken: 'token-of-this-test' })
  t.teardown(async () => { await app.close() })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  const requests = shellOf(readme).filter(({ command }) => command.startsWith('curl '))
  t.ok(requests.length > 0, 'there are some')
  for (const { command, comments } of requests) {
    const curl = readCurl(command, comments, { CACHE_ADMIN_TOKEN: 'token-of-this-test' })
    const answer = await askCurl(origin, curl)
    if (curl.expected.length === 0) t.match(answer, /^HTTP\/1\.1 [23]/, command)
    for (const expected of curl.expected) t.ok(saysSo(answer, expected), `${command} says ${expected}`, { answer })
  }
})
