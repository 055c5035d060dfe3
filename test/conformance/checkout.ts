/**
 * Runs a checkout of the public suite, whatever its age, with its own origin and its own client:
 * `npm run conformance -- path/to/cache-tests`. Prints the scores, and what is not passed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { listening } from '../support/raw-http.ts'
import { freePort } from '../support/redis-server.ts'
import { until } from '../support/until.ts'
import { createCachingProxy } from './caching-proxy.ts'
import { CONFIGURATIONS, type Configuration } from './configurations.ts'
import { outcomesOf, scoreOf, type JudgedTest, type Result } from './outcome.ts'

const directory = process.argv[2]
if (directory === undefined || !existsSync(join(directory, 'tests/index.mjs'))) throw new Error('usage: npm run conformance -- path/to/a/checkout/of/cache-tests, its packages installed')

const tests = await testsOf(directory)
const port = await freePort()
const origin = script('server', { npm_config_port: String(port), npm_config_pidfile: join(tmpdir(), `cache-tests-${process.pid}.pid`) }, 'inherit')
try {
  await untilOpen(port)
  for (const [name, configuration] of Object.entries(CONFIGURATIONS)) await report(name, configuration)
} finally {
  // The script may have left its server in the background, which is of the same group.
  if (origin.pid !== undefined) process.kill(-origin.pid)
}

async function report (name: string, { plugin, route }: Configuration): Promise<void> {
  const proxy = await createCachingProxy(`http://127.0.0.1:${port}`, plugin, route)
  const results = await resultsOf(`http://127.0.0.1:${await listening(proxy)}`)
  await proxy.close()
  const outcomes = outcomesOf(tests.filter(({ id }) => results[id] !== undefined), (id) => results[id])
  console.log(`${name}: ${scoreOf(outcomes, 'required')} required, ${scoreOf(outcomes, 'optimal')} optimal`)
  for (const { id, kind, end, why } of outcomes) if (kind !== 'check' && end !== 'passed') console.log(`  ${kind} ${id}: ${end} ${why}`)
}

async function testsOf (directory: string): Promise<JudgedTest[]> {
  // The tests of Surrogate-Control, as long as there were any, were a file of their own.
  const files = ['index.mjs', 'surrogate-control.mjs'].map((name) => resolve(directory, 'tests', name)).filter(existsSync)
  const groups = await Promise.all(files.map(async (file) => (await import(pathToFileURL(file).href) as { default: Group | readonly Group[] }).default))
  return [...new Map(groups.flat().flatMap((group) => group.tests).map((test) => [test.id, test])).values()]
}

interface Group { readonly tests: readonly JudgedTest[] }

/** Runs a script of the suite; its settings are read as npm hands them on. */
function script (name: string, settings: Readonly<Record<string, string>>, output: 'inherit' | 'pipe'): ReturnType<typeof spawn> {
  return spawn('npm', ['run', '--silent', name], { cwd: directory, env: { ...process.env, npm_config_protocol: 'http', ...settings }, stdio: ['ignore', output, 'inherit'], detached: name === 'server' })
}

async function resultsOf (base: string): Promise<Readonly<Record<string, Result | undefined>>> {
  const client = script('cli', { npm_config_base: base }, 'pipe')
  const chunks: Buffer[] = []
  client.stdout?.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  await once(client, 'close')
  const text = Buffer.concat(chunks).toString()
  return JSON.parse(text.slice(text.indexOf('{'))) as Record<string, Result>
}

async function untilOpen (port: number): Promise<void> {
  await until('the origin of the suite listens', async () => {
    const socket = connect(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => { socket.once('connect', () => { resolve(true) }).once('error', () => { resolve(false) }) })
    socket.destroy()
    return open
  }, 100)
}
