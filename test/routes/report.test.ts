import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { Writable } from 'node:stream'
import t from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import cache from '../../plugins/index.ts'
import type { CachePluginOptions, PerformanceReport } from '../../plugins/index.ts'
import { REPORT_SCHEMA } from '../../routes/report-schema.ts'
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import { fakeClock } from '../support/fake-clock.ts'

const token = 'token-of-this-test'
const headers = { authorization: `Bearer ${token}` }

async function appOf (options: CachePluginOptions = {}, lines: string[] = []): Promise<FastifyInstance> {
  const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
  const app: FastifyInstance = Fastify({ logger: { level: 'info', stream } })
  t.teardown(async () => { await app.close() })
  await app.register(cache, options)
  app.get('/products/:id', { config: { cache: { ttl: 60 } } }, async () => 'x')
  app.get('/observed', { config: { cache: { mode: 'observe' } } }, async () => 'x')
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
  for (let i = 0; i < 120; i++) await app.inject(`/products/${i % 2}`)
  app.cacheMonitor?.recordMetric({ operation: 'search', duration: 0.01 })
  for (let i = 0; i < 2; i++) await app.inject('/observed')
  t.equal((await app.inject('/cache/report')).statusCode, 401)
  t.equal((await app.inject({ url: '/cache/report', headers: { ...headers, 'sec-fetch-site': 'cross-site' } })).statusCode, 403)
  const response = await app.inject({ url: '/cache/report', headers })
  t.equal(response.headers['cache-control'], 'no-store')
  const report = response.json<PerformanceReport>()
  t.match(report.cacheStats, { hits: 118, misses: 2 })
  t.match(report.performanceMetrics.lastMinute, { lookups: 120, hits: 118, misses: 2, loads: 4, stores: 3, hitRate: 118 / 120 })
  t.match(report.performanceMetrics.groups, [{ kind: 'route', name: '/products/:id', hits: 118, misses: 2, loads: 2 }])
  t.match(report.performanceMetrics.observed, [{ route: '/observed', lookups: 2, hits: 1, entries: 1, bytes: Number, compared: 1, results: { same: 1, 'wrong-key': 0 } }])
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

t.test('an alert that does not reach whom it is for is in the log, too', async (t) => {
  const lines: string[] = []
  const clock = fakeClock()
  const app = await appOf({ clock, monitor: { minimumSample: 5, interval: 1, onAlert: () => { throw new Error('no pager') } } }, lines)
  for (let i = 0; i < 10; i++) await app.inject(`/products/${i}`)
  clock.advance(10_000)
  t.match(lines.map((line) => JSON.parse(line) as { msg: string }).filter(({ msg }) => /nobody may have heard/.test(msg)), [{ level: 40, err: { message: 'no pager' }, msg: /onAlert of the monitor/ }])
})

t.test('the dashboard is a page without data that runs nothing but its own script', async (t) => {
  const app = await appOf({ admin: { token } })
  await app.inject('/products/1')
  const page = await app.inject('/cache/dashboard')
  t.equal(page.statusCode, 200, 'a browser shows no token when it is sent to a page')
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  t.notMatch(page.body, /\/products\/1\b|token-of-this-test/)
  const withoutLicences = page.body.replaceAll(/\/\*![^]*?\*\//g, '')
  t.notMatch(withoutLicences, /\b(?:https?:)?\/\/\w[\w-]*\.\w|<link|innerHTML|\son\w+=|\sstyle=|<!-- s/, 'nothing from elsewhere, nothing that the policy forbids')
  const policy = String(page.headers['content-security-policy'])
  t.match(policy, /^default-src 'none'; /)
  for (const tag of ['script', 'style']) {
    const inline = [...page.body.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))].map((found) => found[1] ?? '')
    const hashes = inline.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
    t.ok(inline.length > 1)
    t.ok(policy.includes(`${tag}-src ${hashes.join(' ')};`), `the policy lets just each ${tag} through`)
  }
  const ids = new Set([...page.body.matchAll(/\bid="([\w-]+)"/g)].map((found) => found[1]))
  const used = [...page.body.matchAll(/\b(?:at|say|drawPast|drawChart|fillTable|fillList)\('([\w-]+)'/g)].map((found) => found[1])
  t.ok(used.length > 10)
  t.same(used.filter((id) => !ids.has(id)), [], 'and uses no place that is not there')
})

const browserPath = ['/usr/bin/chromium', '/usr/bin/google-chrome', process.env['CHROMIUM'] ?? ''].find((path) => existsSync(path))

t.test('in a browser the dashboard', { skip: browserPath === undefined ? 'there is no Chromium here: install it, or say with CHROMIUM where it is' : false }, async (t) => {
  const browser = await chromium.launch({ executablePath: browserPath ?? '', args: ['--no-sandbox'] })
  t.teardown(async () => { await browser.close() })

  /** A page that has been let in, and what it complained of since. */
  const look = async (url: string, options: BrowserContextOptions = {}): Promise<{ page: Page, complaints: string[] }> => {
    const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, ...options })
    const complaints: string[] = []
    page.on('pageerror', ({ message }) => { complaints.push(message) })
    page.on('console', (message) => { if (message.type() === 'error' && !/401|503/.test(message.text())) complaints.push(message.text()) })
    await page.goto(`${url}/cache/dashboard`)
    await page.fill('#token', 'another-token-than-that')
    await page.click('#login button')
    await page.locator('#login-error').filter({ hasText: /\S/ }).waitFor()
    await page.fill('#token', token)
    await page.click('#login button')
    await page.waitForSelector('#groups td')
    return { page, complaints }
  }

  t.test('asks for the token, shows the figures and purges', async (t) => {
    const app = await appOf({ admin: { token } })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    for (let i = 0; i < 20; i++) await app.inject(`/products/${i % 2}`)
    await app.cache.set('<img src=x onerror=alert(1)>', 1)
    for (let i = 0; i < 100; i++) await app.cache.get('<img src=x onerror=alert(1)>')
    for (let i = 0; i < 4; i++) await app.inject('/observed')
    const { page, complaints } = await look(url, { colorScheme: 'light' })
    t.match(await page.textContent('#observed'), /\/observed475\.0 %.+s1\d\.\d kB/, 'what is only observed has a table of its own, with what it takes')
    t.match(await page.textContent('#tiers'), 'The purges of other instances are known here.')
    t.match(await page.textContent('#tiles'), /99\.\d %|98\.\d %/)
    t.match(await page.textContent('#groups'), /\/products\/:id/)
    t.match(await page.textContent('#hottest'), '<img src=x', 'what a key is called stays text')
    t.equal(await page.locator('#board img').count(), 0)
    t.equal(await page.locator('.chart canvas').count(), 5, 'all charts are drawn')
    t.match(await page.getAttribute('#curve', 'aria-label'), /1000 entries, as now: \d/, 'and told to those who do not see them')
    await page.selectOption('#what', 'paths')
    await page.fill('#names', '/products/*')
    await page.click('button[value=try]')
    await page.locator('#purged').filter({ hasText: 'It would touch 2' }).waitFor()
    await page.click('button[value=do]')
    await page.locator('#purged').filter({ hasText: 'Purged in all processes that share the cache' }).waitFor()
    t.match((await app.inject('/products/1')).headers['cache-status'], /uri-miss/)
    await page.fill('#names', '')
    t.equal(await page.textContent('#purged'), '', 'what was said of one purge does not stand beside the next')
    t.equal(await page.evaluate('[0, 0.5, 1, 2000].map(whole).join("|")'), '0||1|2000', 'an axis of counts names whole numbers only')
    await page.click('#leave')
    await page.waitForSelector('#login:not([hidden])')
    t.equal(await page.evaluate('sessionStorage.length'), 0, 'the token is forgotten')
    t.same(complaints, [], 'and no policy was broken')
    const phone = await look(url, { colorScheme: 'dark', viewport: { width: 375, height: 800 } })
    t.equal(await phone.page.evaluate('document.documentElement.scrollWidth - innerWidth'), 0, 'a phone need not scroll sideways')
    t.same(phone.complaints, [])
  })

  t.test('is told of changes, and asks where it cannot be told', async (t) => {
    const app = await appOf({ admin: { token } })
    let asked = 0
    app.addHook('onRequest', async ({ url }) => { if (url === '/cache/report') asked++ })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    await app.inject('/products/1')
    const { page, complaints } = await look(url)
    await page.locator('#state').filter({ hasText: /^live, / }).waitFor()
    await app.inject('/products/1')
    await page.locator('#groups').filter({ hasText: '50.0 %' }).waitFor()
    t.equal(asked, 0, 'without a question')
    const cut = new AbortController()
    const others = await Promise.all(Array.from({ length: 19 }, async () => await fetch(`${url}/cache/report/events`, { headers, signal: cut.signal })))
    t.ok(others.every(({ ok }) => ok), 'twenty may watch')
    t.equal(others[0]?.headers.get('connection'), 'close', 'on connections that no closing server waits for')
    t.match(await (await fetch(`${url}/cache/report/events`, { headers })).json(), { code: 'FST_ERR_CACHE_STREAMS', statusCode: 503 }, 'no more')
    const late = await look(url)
    await late.page.locator('#state').filter({ hasText: /^every 3 s \(No more than 20 may watch/ }).waitFor()
    t.ok(asked > 0)
    cut.abort()
    await late.page.locator('#state').filter({ hasText: /^live, / }).waitFor()
    await page.close()
    t.same([...complaints, ...late.complaints], [])
  })

  t.test('warms, shows how far it is, and cancels', async (t) => {
    const app = await appOf({ admin: { token } })
    let release = (): void => {}
    const held = new Promise<void>((resolve) => { release = resolve })
    t.teardown(() => { release() })
    app.get('/held', { config: { cache: true } }, async () => { await held })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    await app.inject('/products/1')
    const { page, complaints } = await look(url)
    await page.fill('#paths', '/products/1, /products/2, /uncached')
    await page.click('#warm-start')
    await page.locator('#warmed').filter({ hasText: /^completed in .*: 2 stored, 1 failed; the first fault: "\/uncached", / }).waitFor()
    await page.fill('#paths', '/products/3, /held')
    await page.click('#warm-start')
    await page.locator('#warmed').filter({ hasText: '1 of 2: 1 stored' }).waitFor()
    t.ok(await page.isVisible('#warm-bar'))
    await page.click('#warm-cancel')
    await page.locator('#warmed').filter({ hasText: /^cancelled/ }).waitFor()
    t.notOk(await page.isVisible('#warm-bar'))
    await page.check('#learned')
    await page.click('#warm-start')
    await page.locator('#warmed').filter({ hasText: 'register the plugin with the option warmup' }).waitFor()
    t.same(complaints.filter((text) => !/409/.test(text)), [])
  })
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
  manager.parts.events.emit('lookup', { key: 'k', result: 'hit', atMs: Date.now(), durationMs: 1, namespace: '' })
  t.equal(second.cacheMonitor?.getPerformanceReport().performanceMetrics.lastMinute.lookups, 0)
  t.equal(first.cacheMonitor?.getPerformanceReport().performanceMetrics.lastMinute.lookups, 1)
})
