#!/usr/bin/env node
// Makes the pictures of the dashboard that stand in the README: an hour of traffic to the shop of the example, in a minute.
// The clock of the cache leaps from one minute to the next; all that happens within a minute takes its real time.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import cache from 'fastify-response-cache'
import { chromium } from 'playwright-core'
import { ownCatalogue, readCatalogue } from '../example-app/catalogue.ts'
import { ProductDatabase } from '../example-app/database.ts'
import { ProductService } from '../example-app/product-service.ts'
import { addRoutes } from '../example-app/routes.ts'

const executablePath = ['/usr/bin/chromium', '/usr/bin/google-chrome', process.env.CHROMIUM ?? ''].find((file) => existsSync(file))
if (executablePath === undefined) throw new Error('there is no Chromium here: install it, or say with CHROMIUM where it is')
const folder = fileURLToPath(new URL('../docs/', import.meta.url))
const token = 'token-of-the-screenshot'
const minutes = 60
const products = 1500

/** A clock that can leap ahead; it begins an hour ago. */
function leapingClock () {
  let ahead = -minutes * 60_000
  const timers = new Set()
  const now = () => Date.now() + ahead
  const run = () => {
    for (const timer of [...timers].filter(({ atMs }) => atMs <= now())) {
      timers.delete(timer)
      timer.task()
    }
  }
  setInterval(run, 50).unref()
  return {
    now,
    after (delayMs, task) {
      const timer = { atMs: now() + delayMs, task }
      timers.add(timer)
      return { cancel: () => { timers.delete(timer) } }
    },
    /** @param {number} untilMs of an hour that begins at 0 */
    leap (startMs, untilMs) {
      ahead += Math.max(0, startMs + untilMs - now())
      run()
    }
  }
}

// The same picture each time, as far as a clock allows.
let seed = 7
const random = () => {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
  return seed / 2 ** 31
}
const pick = (list) => list[Math.floor(random() * list.length)]
/** Few products are popular, many are rare. */
const popular = () => Math.floor(products ** random())

const own = await readCatalogue(ownCatalogue)
const catalogue = Array.from({ length: products }, (_, index) => ({ ...own[index % own.length], id: index + 1 }))
const database = new ProductDatabase(catalogue)
const clock = leapingClock()
const app = Fastify()
await app.register(cache, { clock, random, strategy: 'memory', memoryMaxSize: 600, admin: { token } })
const service = new ProductService(database, app.cache)
addRoutes(app, service)
app.addHook('onResponse', async ({ method, routeOptions: { url } }, { elapsedTime }) => {
  if (url?.startsWith('/cache') === false) app.cacheMonitor.recordMetric({ operation: `${method} ${url}`, duration: elapsedTime / 1000 })
})

const words = ['oak', 'steel', 'knife', 'trowel', 'light', 'cotton', 'glass', 'music']
const categories = (await service.categories()).map(({ slug }) => slug)
const target = () => {
  const chance = random()
  if (chance < 0.55) return `/products/${popular()}`
  if (chance < 0.65) return `/products/${popular()}/description`
  if (chance < 0.85) return `/products?category=${pick(categories)}&sort=${pick(['id', 'price', '-rating'])}`
  if (chance < 0.92) return `/search?q=${pick(words)}`
  return chance < 0.97 ? '/categories' : '/products'
}

const startMs = clock.now()
const url = await app.listen({ host: '127.0.0.1', port: 0 })
const { host } = new URL(url)
for (let minute = 0; minute < minutes; minute++) {
  const visitors = Math.round(500 + 260 * Math.sin(minute / 9) + 120 * random())
  for (let visit = 0; visit < visitors; visit++) {
    if (visit % 80 === 79) await app.inject({ method: 'PATCH', url: `/products/${popular()}`, payload: { stock: visit } })
    else await app.inject({ url: target(), headers: { host } })
    if (visit % 100 === 99) clock.leap(startMs, (minute + visit / visitors) * 60_000)
  }
  clock.leap(startMs, (minute + 1) * 60_000)
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
try {
  for (const colorScheme of ['light', 'dark']) {
    const width = 1200
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 1400 }, locale: 'en-GB' })
    await page.goto(`${url}/cache/dashboard`)
    await page.fill('#token', token)
    await page.click('#login button')
    await page.waitForSelector('#groups td')
    const { y, height } = await page.locator('#curve-box').boundingBox()
    await page.screenshot({ path: path.join(folder, `dashboard-${colorScheme}.png`), clip: { x: 0, y: 0, width, height: y + height + 12 } })
    await page.close()
  }
} finally {
  await browser.close()
  await service.close()
  await app.close()
  database.close()
}
