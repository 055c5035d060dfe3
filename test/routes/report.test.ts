import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { Writable } from 'node:stream'
import { Script } from 'node:vm'
import t from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import cache from '../../plugins/index.ts'
import type { CachePluginOptions, PerformanceReport } from '../../plugins/index.ts'
import { REPORT_SCHEMA } from '../../routes/report-schema.ts'
import { chromium, type Page } from 'playwright-core'
import { fakeClock } from '../support/fake-clock.ts'

const token = 'token-of-this-test'
const headers = { authorization: `Bearer ${token}` }

async function appOf (options: CachePluginOptions = {}, lines: string[] = []): Promise<FastifyInstance> {
  const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
  const app: FastifyInstance = Fastify({ logger: { level: 'info', stream } })
  t.teardown(async () => { await app.close() })
  await app.register(cache, options)
  app.get('/products/:id', { config: { cache: { ttl: 60 } } }, async () => 'x')
  return app
}

interface Shape { type?: string | string[], properties?: Record<string, Shape>, items?: Shape, additionalProperties?: unknown }

/** Where an answer has what its schema does not know. */
function undocumented (value: unknown, schema: Shape, at = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => undocumented(item, schema.items ?? {}, at + '[]'))
  if (typeof value !== 'object' || value === null || schema.additionalProperties !== undefined) return []
  return Object.entries(value).flatMap(([name, inner]) => schema.properties?.[name] === undefined ? [`${at}.${name}`] : undocumented(inner, schema.properties[name], `${at}.${name}`))
}

t.test('the report needs the token, and tells of routes and keys', async (t) => {
  const app = await appOf({ admin: { token } })
  for (let i = 0; i < 40; i++) await app.inject(`/products/${i % 2}`)
  app.cacheMonitor?.recordMetric({ operation: 'search', duration: 0.01 })
  t.equal((await app.inject('/cache/report')).statusCode, 401)
  t.equal((await app.inject({ url: '/cache/report', headers: { ...headers, 'sec-fetch-site': 'cross-site' } })).statusCode, 403)
  const response = await app.inject({ url: '/cache/report', headers })
  t.equal(response.headers['cache-control'], 'no-store')
  const report = response.json<PerformanceReport>()
  t.match(report.cacheStats, { hits: 38, misses: 2 })
  t.match(report.performanceMetrics.lastMinute, { lookups: 40, hits: 38, misses: 2, loads: 2, stores: 2, hitRate: 0.95 })
  t.match(report.performanceMetrics.groups, [{ kind: 'route', name: '/products/:id', hits: 38, misses: 2, loads: 2 }])
  t.match(report.performanceMetrics.operations, [{ operation: 'search', count: 1 }])
  t.match(report.performanceMetrics.hottest[0]?.key, /^response:http:\/\/localhost.*\/products\//, 'hits tell their key')
  t.equal(report.performanceMetrics.tiers[0]?.maxEntries, 1000)
  t.same(undocumented(report, REPORT_SCHEMA as Shape), [], 'and its schema knows all of it')
})

t.test('alerts are written to the log, once', async (t) => {
  const lines: string[] = []
  const clock = fakeClock()
  let told = 0
  const app = await appOf({ clock, monitor: { minimumSample: 5, interval: 1, onAlert: () => { told++ } } }, lines)
  for (let i = 0; i < 10; i++) await app.inject(`/products/${i}`)
  clock.advance(10_000)
  const warnings = lines.map((line) => JSON.parse(line) as { level: number, msg: string }).filter(({ level }) => level === 40)
  t.match(warnings, [{ msg: 'cache: The hit rate of cache is 0.0 %, below 80.0 %' }])
  t.equal(warnings.length, 1)
  t.equal(told, 1)
  for (let i = 0; i < 1000; i++) await app.inject('/products/1')
  clock.advance(10_000)
  t.match(lines.map((line) => JSON.parse(line) as { level: number, msg: string }).filter(({ msg }) => /recovered/.test(msg)), [{ level: 30 }])
})

t.test('the dashboard is a page without data that runs nothing but its own script', async (t) => {
  const app = await appOf({ admin: { token } })
  await app.inject('/products/1')
  const page = await app.inject('/cache/dashboard')
  t.equal(page.statusCode, 200, 'a browser shows no token when it is sent to a page')
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  t.notMatch(page.body, /\/products\/|token-of-this-test/)
  t.notMatch(page.body, /\b(?:https?:)?\/\/(?!www\.w3\.org\/2000\/svg)\w|<link|innerHTML|\son\w+=|\sstyle=/, 'nothing from elsewhere, nothing that the policy forbids')
  const policy = String(page.headers['content-security-policy'])
  t.match(policy, /^default-src 'none'; /)
  for (const tag of ['script', 'style']) {
    const inline = [...page.body.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))].map((found) => found[1] ?? '')
    t.equal(inline.length, 1)
    const hash = createHash('sha256').update(inline[0] ?? '').digest('base64')
    t.ok(policy.includes(`${tag}-src 'sha256-${hash}';`), `the policy lets just this ${tag} through`)
  }
  t.doesNotThrow(() => new Script(/<script>([^]*?)<\/script>/.exec(page.body)?.[1] ?? '!'), 'the script can be read')
  const ids = new Set([...page.body.matchAll(/\bid="([\w-]+)"/g)].map((found) => found[1]))
  const used = [...page.body.matchAll(/\$\('([\w-]+)'\)|(?:chart|rows|list)\('([\w-]+)'/g)].map((found) => found[1] ?? found[2])
  t.ok(used.length > 10)
  t.same(used.filter((id) => !ids.has(id)), [], 'and uses no place that is not there')
})

const browserPath = ['/usr/bin/chromium', '/usr/bin/google-chrome', process.env['CHROMIUM'] ?? ''].find((path) => existsSync(path))

t.test('in a browser the dashboard asks for the token, shows the figures and purges', { skip: browserPath === undefined ? 'there is no Chromium here: install it, or say with CHROMIUM where it is' : false }, async (t) => {
  const app = await appOf({ admin: { token } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  for (let i = 0; i < 20; i++) await app.inject(`/products/${i % 2}`)
  await app.cache.set('<img src=x onerror=alert(1)>', 1)
  for (let i = 0; i < 100; i++) await app.cache.get('<img src=x onerror=alert(1)>')
  const browser = await chromium.launch({ executablePath: browserPath ?? '', args: ['--no-sandbox'] })
  t.teardown(async () => { await browser.close() })
  const look = async (colorScheme: 'light' | 'dark', width: number): Promise<{ page: Page, complaints: string[] }> => {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } })
    const complaints: string[] = []
    page.on('pageerror', ({ message }) => { complaints.push(message) })
    page.on('console', (message) => { if (message.type() === 'error' && !/401/.test(message.text())) complaints.push(message.text()) })
    await page.goto(`${url}/cache/dashboard`)
    await page.fill('#token', 'another-token-than-that')
    await page.click('#login button')
    await page.locator('#login-error').filter({ hasText: /\S/ }).waitFor()
    await page.fill('#token', token)
    await page.click('#login button')
    await page.waitForSelector('#groups td')
    return { page, complaints }
  }
  const { page, complaints } = await look('light', 1200)
  t.match(await page.textContent('#tiles'), /99\.\d %|98\.\d %/)
  t.match(await page.textContent('#groups'), /\/products\/:id/)
  t.match(await page.textContent('#hottest'), '<img src=x', 'what a key is called stays text')
  t.equal(await page.locator('#board img').count(), 0)
  t.ok(await page.locator('#curve svg .dot').count() === 1, 'with a dot where the memory is')
  await page.selectOption('#what', 'paths')
  await page.fill('#names', '/products/*')
  await page.click('button[value=try]')
  await page.locator('#purged').filter({ hasText: 'It would touch 2' }).waitFor()
  await page.click('button[value=do]')
  await page.locator('#purged').filter({ hasText: 'Purged everywhere' }).waitFor()
  t.match((await app.inject('/products/1')).headers['cache-status'], /uri-miss/)
  await page.click('#leave')
  await page.waitForSelector('#login:not([hidden])')
  t.equal(await page.evaluate('sessionStorage.length'), 0, 'the token is forgotten')
  t.same(complaints, [], 'and no policy was broken')
  const phone = await look('dark', 375)
  t.equal(await phone.page.evaluate('document.documentElement.scrollWidth - innerWidth'), 0, 'a phone need not scroll sideways')
  t.same(phone.complaints, [])
})

t.test('an own guard stands in front of the dashboard as well', async (t) => {
  const app = await appOf({ admin: { onRequest: async (_request, reply) => await reply.code(401).send() } })
  t.equal((await app.inject('/cache/dashboard')).statusCode, 401)
})

t.test('without the monitor there is no report, and nobody listens', async (t) => {
  const app = await appOf({ admin: { token }, monitor: false, metrics: false })
  t.equal((await app.inject({ url: '/cache/report', headers })).statusCode, 404)
  t.equal((await app.inject('/cache/dashboard')).statusCode, 404)
  t.equal(app.cacheMonitor, undefined)
  t.notOk(app.cache.parts.events.heard('store'))
  await t.rejects(appOf({ monitor: { alertThresholds: { hitRate: 80 } } }), { code: 'FST_ERR_CACHE_OPTION', message: /hitRate is 80/ })
  await t.rejects(appOf({ monitor: 'yes' as unknown as boolean }), { code: 'FST_ERR_CACHE_OPTION' })
})

t.test('it ends with the app, also where the cache lives on', async (t) => {
  const first = await appOf()
  await first.ready()
  const { cache: manager } = first
  const second = await appOf({ manager, metrics: false })
  await second.ready()
  await second.close()
  manager.parts.events.emit('lookup', { key: 'k', result: 'hit', durationMs: 1, namespace: '' })
  t.equal(second.cacheMonitor?.getPerformanceReport().performanceMetrics.lastMinute.lookups, 0)
  t.equal(first.cacheMonitor?.getPerformanceReport().performanceMetrics.lastMinute.lookups, 1)
})
