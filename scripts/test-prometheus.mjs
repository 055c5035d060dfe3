#!/usr/bin/env node
// Runs the tests of prometheus/ and grafana/ with real programs: installs Prometheus, promtool with it, by apt-get where they
// are missing and this is root.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const has = (program) => spawnSync(program, ['--version']).error === undefined
const loudly = { stdio: 'inherit' }

if (!has('promtool') || !has('prometheus')) {
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    console.error('promtool and prometheus are missing. Install them (Debian, Ubuntu: apt-get install prometheus; macOS: brew install prometheus), or run this as root')
    process.exit(1)
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = () => spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '--no-install-recommends', 'prometheus'], { ...loudly, env }).status === 0
  if (!install() && !(spawnSync('apt-get', ['-q', 'update'], { ...loudly, env }).status === 0 && install())) process.exit(1)
}
const root = fileURLToPath(new URL('..', import.meta.url))
const { status } = spawnSync(process.execPath, [path.join(root, 'scripts/test.mjs'), 'test/prometheus.test.ts'], { ...loudly, cwd: root, env: { ...process.env, PROMETHEUS_REQUIRED: '1' } })
process.exitCode = status ?? 1
