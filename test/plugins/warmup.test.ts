import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { TextStorage } from '../../lib/ports/text-storage.ts'
import fastifyResponseCache from '../../plugins/cache.ts'
import { addWarmup, type Warmup, type WarmupOptions } from '../../plugins/warmup.ts'
import { fakeClock } from '../support/fake-clock.ts'

const calm = { delayMs: () => 0, stop: () => {} }

function memoryStorage (text?: string): TextStorage & { text: string | undefined } {
  const storage = { text, read: async () => storage.text, write: async (given: string) => { storage.text = given } }
  return storage
}

async function build (t: Test, options: WarmupOptions, handler: (url: string) => unknown = (url) => ({ url })): Promise<{ app: FastifyInstance, warmup: Warmup, runs: string[], clock: ReturnType<typeof fakeClock> }> {
  const clock = fakeClock()
  const app = Fastify()
  const runs: string[] = []
  await app.register(fastifyResponseCache, { clock })
  const warmup = addWarmup(app, app.cache, options, { watch: () => calm })
  app.get('/*', { config: { cache: { ttl: 60 } } }, async (request) => {
    runs.push(`${request.protocol} ${request.url}`)
    return await handler(request.url)
  })
  t.teardown(async () => {
    await warmup.close()
    await app.close()
  })
  return { app, warmup, runs, clock }
}

t.test('a warm-up', async (t) => {
  t.test('fetches the paths once the application is ready, and does not hold up its boot', async (t) => {
    const { app, warmup, runs } = await build(t, { paths: ['/a', { path: '/b', host: 'shop.example', encrypted: true }], learn: false })
    t.equal(warmup.done, false)
    await app.ready()
    const [report] = await warmup.ended
    t.equal(warmup.done, true)
    t.match(report, { stored: 2, statuses: { 200: 2 } })
    t.same([...runs].sort(), ['http /a', 'https /b'])
    t.match((await app.inject('/a')).headers['cache-status'], /hit/)
    t.match((await app.inject({ url: '/b', headers: { host: 'shop.example' } })).headers['cache-status'], /miss|fwd/, 'another scheme is another response')
  })
  t.test('counts as stored only what is, and says why the rest is not', async (t) => {
    const { app, warmup } = await build(t, { paths: ['/kept', '/kept', '/language', '/login', '/private'], learn: false })
    const said: string[] = []
    app.log.warn = (line: unknown) => { if (typeof line === 'string') said.push(line) }
    const cached = { config: { cache: { ttl: 60 } } }
    app.get('/language', cached, async ({ headers }) => headers['accept-language'] ?? 'none')
    app.get('/login', cached, async (_request, reply) => await reply.header('set-cookie', 'id=1').send('in'))
    app.get('/private', cached, async (_request, reply) => await reply.header('cache-control', 'private').send('mine'))
    await app.ready()
    const [report] = await warmup.ended
    t.match(report, { total: 5, stored: 2, failed: 3, skipped: 0, statuses: { 200: 5 } })
    t.same(report?.faults.map(({ key, error }) => `${key} ${String(error)}`).sort(), [
      '"/language" not stored: unkeyed-input; accept-language',
      '"/login" not stored: set-cookie',
      '"/private" not stored: private'
    ])
    t.match(said, [/^cache: 3 of 5 paths of warmup\.paths were not stored: .*"\/language" not stored: unkeyed-input; accept-language/])
  })
  t.test('learns what is asked for, and fetches it after a restart', async (t) => {
    const storage = memoryStorage()
    const first = await build(t, { storage })
    await first.app.ready()
    await first.warmup.ended
    for (let n = 0; n < 3; n++) await first.app.inject({ url: '/hot?x=1', headers: { host: 'shop.example' } })
    await first.warmup.close()
    t.match(storage.text, 'shop.example/hot?x=1')
    const second = await build(t, { storage })
    await second.app.ready()
    t.match((await second.warmup.ended)[0], { name: 'learned', stored: 1 })
    t.same(second.runs, ['http /hot?x=1'])
    t.match((await second.app.inject({ url: '/hot?x=1', headers: { host: 'shop.example' } })).headers['cache-status'], /hit/)
  })
  t.test('is no customer: what it looks up counts as no lookup, and is not learned', async (t) => {
    const { app, warmup, runs } = await build(t, { paths: ['/a', '/b', '/a'], concurrency: 1 }, async (url) => await app.cache.getOrSet(`data${url}`, () => url))
    const heard: string[] = []
    app.cache.on('lookup', ({ key, result }) => { heard.push(`${result} ${key}`) })
    await app.ready()
    t.match(await warmup.ended, [{ name: 'warm-up', stored: 3 }, { name: 'learned', total: 0 }])
    t.equal(runs.length, 2)
    t.match(await app.cache.getStats(), { hits: 0, misses: 0, bypasses: 0, sets: 4 })
    t.same(heard, [])
    await app.inject('/a')
    await app.inject('/c')
    t.match(await app.cache.getStats(), { hits: 1, misses: 2 })
    t.same(heard, ['hit response:http://localhost:80/a', 'miss response:http://localhost:80/c', 'miss data/c'])
  })
  t.test('ends with its time budget, though a handler hangs', async (t) => {
    let release = (): void => {}
    const hang = new Promise<string>((resolve) => { release = () => { resolve('late') } })
    const { app, warmup, clock } = await build(t, { paths: ['/hang'], timeBudget: 2 }, async () => await hang)
    await app.ready()
    for (let turns = 0; turns < 5; turns++) await turn()
    t.equal(warmup.done, false)
    clock.advance(2000)
    t.match(await warmup.ended, [{ outcome: 'cancelled', stored: 0 }])
    t.equal(warmup.done, true)
    release()
  })
})
