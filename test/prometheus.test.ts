import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import Fastify from 'fastify'
import { METRIC_FAMILIES } from '../lib/engine/metric-families.ts'
import cache from '../plugins/index.ts'
import { freePort } from './support/redis-server.ts'
import { projectRoot } from './support/source-tree.ts'

const textOf = (file: string): string => readFileSync(projectRoot + file, 'utf8')
const rules = textOf('prometheus/rules.yml')
const tests = textOf('prometheus/rules.test.yml')
const dashboard = textOf('grafana/dashboard.json')
const compose = textOf('compose.yml')

const required = process.env['PROMETHEUS_REQUIRED'] !== undefined
const missing = (program: string): string | false => spawnSync(program, ['--version']).error === undefined || required ? false : `${program} is not installed; npm run test:prometheus installs it`

/** The series that our metrics make. */
const real = new Set(METRIC_FAMILIES.flatMap(({ name, type }) => type === 'histogram' ? ['_bucket', '_sum', '_count'].map((part) => name + part) : [name]))
const recorded = new Set([...rules.matchAll(/- record: (\S+)/g)].map((found) => found[1] ?? ''))
const alerts = [...rules.matchAll(/- alert: (\S+)/g)].map((found) => found[1] ?? '')
const unknownIn = (text: string): string[] => (text.match(/\bfastify_cache[\w:]+/g) ?? []).filter((name) => !real.has(name) && !recorded.has(name))

t.test('the rules and the dashboard', async (t) => {
  t.test('name only metrics that there are', async (t) => {
    t.ok(recorded.size > 5 && alerts.length > 5, 'there is something to look at')
    t.same(unknownIn(rules), [])
    t.same(unknownIn(tests), [])
    t.same(unknownIn(dashboard), [])
    t.same(unknownIn('rate(fastify_cache_lookup_duration_seconds[5m]) / fastify_cache:made:up'), ['fastify_cache_lookup_duration_seconds', 'fastify_cache:made:up'], 'another would be found')
  })

  t.test('leave no metric out', async (t) => {
    t.same(METRIC_FAMILIES.map(({ name }) => name).filter((name) => !dashboard.includes(name) && !rules.includes(name)), [])
  })

  t.test('are tested: each alert, and that each can be silent', async (t) => {
    t.same(alerts.filter((name) => !tests.includes(name)), [])
    t.match(tests, /expr: ALERTS\n\s+eval_time: \w+\n\s+exp_samples: \[\]/)
  })

  t.test('are what Grafana reads: panels that do not overlap, and ask something', async (t) => {
    const { panels } = JSON.parse(dashboard) as { panels: Array<{ id: number, title: string, gridPos: Record<'x' | 'y' | 'w' | 'h', number>, targets: object[] }> }
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, n) => `${x + n % w} ${y + Math.floor(n / w)}`))
    t.equal(new Set(cells).size, cells.length)
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    t.same(panels.filter(({ targets, title }) => targets.length === 0 || title === ''), [])
  })

  t.test('stand beside a compose file that opens nothing to the world', async (t) => {
    const ports = [...compose.matchAll(/^\s+ports: \[(.*)\]/gm)].map((found) => found[1] ?? '')
    t.ok(ports.length > 0 && ports.every((port) => /^'127\.0\.0\.1:\d+:\d+'$/.test(port)))
    t.equal(compose.match(/network_mode: host/g)?.length, compose.match(/listen-address=127\.0\.0\.1:|GF_SERVER_HTTP_ADDR: 127\.0\.0\.1/g)?.length)
  })
})

t.test('promtool accepts the rules, and their tests pass', { skip: missing('promtool') }, async (t) => {
  for (const args of [['check', 'rules', 'prometheus/rules.yml'], ['check', 'config', '--syntax-only', 'prometheus/prometheus.yml'], ['test', 'rules', 'prometheus/rules.test.yml']]) {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: projectRoot, encoding: 'utf8' })
    t.equal(status, 0, `promtool ${args.join(' ')}${status === 0 ? '' : ': ' + stdout + stderr}`)
  }
})

t.test('a real Prometheus scrapes the metrics and evaluates the rules', { skip: missing('prometheus') }, async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(cache)
  app.get('/x', { config: { cache: true } }, async () => 'x')
  const target = new URL(await app.listen({ host: '127.0.0.1', port: 0 })).host
  const exposed = await (await fetch(`http://${target}/metrics`)).text()
  t.equal(spawnSync('promtool', ['check', 'metrics'], { input: exposed, encoding: 'utf8' }).stderr, '', 'promtool finds nothing to say about the metrics')

  const folder = t.testdir({ 'prometheus.yml': `global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [${projectRoot}prometheus/rules.yml]\nscrape_configs:\n  - job_name: app\n    static_configs: [{ targets: ['${target}'] }]\n` })
  const address = `127.0.0.1:${await freePort()}`
  const prometheus = spawn('prometheus', [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${address}`, '--log.level=error'], { stdio: 'ignore' })
  const ended = once(prometheus, 'exit')
  t.teardown(async () => {
    prometheus.kill('SIGKILL')
    await ended
  })
  const query = async (expression: string): Promise<string | undefined> => {
    try {
      const { data } = await (await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(expression)}`)).json() as { data: { result: Array<{ value: [number, string] }> } }
      return data.result[0]?.value[1]
    } catch {
      return undefined // it is not up yet
    }
  }
  let ratio: string | undefined
  for (const untilMs = Date.now() + 60_000; ratio === undefined && Date.now() < untilMs; await pause(200)) {
    await fetch(`http://${target}/x`)
    ratio = await query('fastify_cache:hit_ratio:rate5m > 0.5')
  }
  t.ok(Number(ratio) > 0.5 && Number(ratio) <= 1, `the hit ratio is recorded: ${ratio ?? 'nothing'}`)
  t.equal(await query('up{job="app"}'), '1')
})
