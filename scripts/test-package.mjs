#!/usr/bin/env node
// Installs the packed package into an empty project, as a user would get it, and compiles and runs a strict ESM and a
// strict CommonJS program there. Needs a finished build. The project is made outside of this one: nothing of ours is found by accident.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { linksOf } from '../test/support/markdown.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const project = mkdtempSync(path.join(tmpdir(), 'fastify-response-cache-consumer-'))

function run (command, ...args) {
  return execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

try {
  const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', project], { cwd: root, encoding: 'utf8' }))
  const paths = packed.files.map((file) => file.path)
  const strays = paths.filter((file) => !/^(?:dist\/.*\.(?:js|d\.ts)$|dashboard\/[\w.-]+\.(?:css|d\.ts|html|js)$|docs\/.*\.(?:md|png)$|example-app\/[\w-]+\.(?:json|md|ts)$|(?:grafana|prometheus)\/[\w.-]+\.(?:json|yml)$|package\.json$|[A-Z]+(?:\.md)?$)/.test(file))
  if (strays.length > 0) throw new Error(`the package contains ${strays.join(', ')}`)

  const documents = paths.filter((file) => file.endsWith('.md'))
  const broken = documents.flatMap((file) => linksOf(readFileSync(path.join(root, file), 'utf8')).filter((link) => link.path !== '').map((link) => ({ file, target: path.posix.join(path.posix.dirname(file), link.path) })))
    .filter(({ target }) => !paths.some((each) => each === target || each.startsWith(`${target}/`)))
  if (broken.length > 0) throw new Error(`links of the package lead nowhere: ${broken.map(({ file, target }) => `${file} to ${target}`).join(', ')}`)

  cpSync(path.join(root, 'test/consumer'), project, { recursive: true })
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({
    private: true,
    dependencies: { 'fastify-response-cache': `file:${packed.filename}`, fastify: devDependencies.fastify },
    devDependencies: { typescript: devDependencies.typescript, '@types/node': devDependencies['@types/node'] },
    overrides: { 'light-my-request': { cookie: '^1.1.1' } }
  }, null, 2))
  run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error')
  run('node', 'node_modules/typescript/bin/tsc', '-p', '.')
  process.stdout.write(run('node', 'out/esm.mjs'))
  process.stdout.write(run('node', 'out/cjs.cjs'))
  run('node', 'out/contract.mjs')
  console.log('consumer contract: ok')
  if (!run('npx', 'fastify-response-cache', '--help').startsWith('Usage: ')) throw new Error('the command does not start')
  console.log(`${packed.filename}: ${packed.files.length} files, ${Math.round(packed.unpackedSize / 1024)} KB unpacked`)
} catch (error) {
  if (error.stdout) process.stdout.write(error.stdout)
  console.error(error.message)
  process.exitCode = 1
} finally {
  rmSync(project, { recursive: true, force: true })
}
