#!/usr/bin/env node
// Runs the tests, all of them or those that are named: node scripts/test.mjs test/lib/http/freshness.test.ts
// What they need is compiled into .cache/built first, once for all, and each file runs in a plain process. The loaders by which
// tap's own command compiles and measures coverage would cost every process more than most tests do.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import t from 'tap'

const FOLDERS = ['bin', 'dashboard', 'example-app', 'lib', 'plugins', 'routes', 'test']
const BUILT = '.cache/built'
/** Most files wait for servers and processes more than they compute. */
const JOBS = 3
const PATIENCE_SECONDS = 300

const compiled = (file) => path.join(BUILT, file.replace(/\.ts$/, '.js'))

async function compile () {
  const sources = FOLDERS.flatMap((folder) => readdirSync(folder, { recursive: true }).map((file) => path.join(folder, file)))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  const outdir = `${BUILT}-${process.pid}`
  process.once('exit', () => { rmSync(outdir, { recursive: true, force: true }) })
  await build({
    entryPoints: sources,
    outdir,
    outbase: '.',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    sourcesContent: false,
    // No file takes in another: this is how the names of those that it imports are rewritten.
    bundle: true,
    keepNames: true,
    packages: 'external',
    plugins: [{
      name: 'imports',
      setup ({ onResolve }) {
        onResolve({ filter: /^\.\.?\// }, ({ kind, path }) => kind === 'entry-point' ? undefined : { path: path.replace(/\.ts$/, '.js'), external: true })
      }
    }]
  })
  for (const folder of FOLDERS) cpSync(folder, path.join(outdir, folder), { recursive: true, filter: (file) => !file.endsWith('.ts') })
  // Here the package's own name leads to what was compiled.
  const { name, version, type, exports } = JSON.parse(readFileSync('package.json', 'utf8'))
  const own = Object.entries(exports).map(([entry, target]) => [entry, target[`@${name}/source`]?.replace(/\.ts$/, '.js') ?? target])
  writeFileSync(path.join(outdir, 'package.json'), JSON.stringify({ name, version, type, exports: Object.fromEntries(own) }))
  // Nothing is left of what was there, and a run that is still going on finds all its files.
  const old = `${outdir}-old`
  try { renameSync(BUILT, old) } catch {}
  renameSync(outdir, BUILT)
  rmSync(old, { recursive: true, force: true })
}

const root = fileURLToPath(new URL('..', import.meta.url))
const named = process.argv.slice(2).map((file) => path.relative(root, path.resolve(file)))
process.chdir(root)
const unknown = named.filter((file) => !file.endsWith('.ts') || !existsSync(file))
if (unknown.length > 0) {
  console.error(`There is no test file ${unknown.join(', ')}`)
  process.exit(1)
}

const running = new Set()
/** Each file has a process group of its own, in which are the servers that it has started. */
function end (child) {
  running.delete(child)
  try { process.kill(-child.pid, 'SIGKILL') } catch {}
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    running.forEach(end)
    process.exit(1)
  })
}
t.on('spawn', (file) => {
  file.once('preprocess', (options) => { options.detached = true })
  file.once('process', (child) => {
    running.add(child)
    child.once('exit', () => { end(child) })
  })
})

await compile()
const files = named.length > 0 ? named : readdirSync('test', { recursive: true }).filter((file) => file.endsWith('.test.ts')).map((file) => path.join('test', file)).sort()

// To somebody who looks on, tap's own command shows what others get as TAP.
if (process.stdout.isTTY) t.pipe(spawn(process.execPath, ['node_modules/tap/dist/esm/run.mjs', '-'], { stdio: ['pipe', 'inherit', 'inherit'] }).stdin)
t.on('complete', ({ ok }) => { process.exitCode = ok ? 0 : 1 })
t.plan(files.length)
t.jobs = JOBS
t.setTimeout(0)
// What is about Redis says so, and has one of its own; nothing talks to whatever listens on 6379.
const env = { ...process.env, CACHE_STRATEGY: 'memory', TAP_TIMEOUT: String(PATIENCE_SECONDS) }
// The server that is there may be called otherwise, or stand where no PATH leads.
const server = spawnSync(process.execPath, ['scripts/ensure-redis.mjs'], { encoding: 'utf8', env: { ...process.env, ENSURE_REDIS_NO_APT: '1' } }).stdout.trim()
if (server !== '') env.REDIS_SERVER_BIN = server
for (const name of files) {
  // By NODE_OPTIONS tap asks for the loader that measures coverage.
  t.spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps', compiled(name)], { name, env, buffered: files.length > 1, timeout: PATIENCE_SECONDS * 1000 })
}
