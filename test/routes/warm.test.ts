import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import cache from '../../plugins/index.ts'
import type { CachePluginOptions, TextStorage, WarmingProgress } from '../../plugins/index.ts'
import { EventStream } from '../../routes/event-stream.ts'
import { fakeClock } from '../support/fake-clock.ts'

const token = 'token-of-this-test'
const authorization = `Bearer ${token}`
const guarded: CachePluginOptions = { admin: { token } }

type Told = WarmingProgress & { state: string, outcome?: string, faults?: unknown[], statuses?: object }

/** An app whose handler can be held, and that counts its runs. */
async function appOf (t: Test, options: CachePluginOptions = guarded): Promise<{ app: FastifyInstance, runs: string[], release: () => void }> {
  const app = Fastify()
  let release = (): void => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  const runs: string[] = []
  t.teardown(async () => {
    release()
    await app.close()
  })
  await app.register(cache, { staleIfError: 0, ...options })
  app.get('/products/:id', { config: { cache: { ttl: 60 } } }, async (request) => {
    runs.push(`${request.protocol}://${request.host}${request.url}`)
    return { url: request.url }
  })
  app.get('/held', { config: { cache: { ttl: 60 } } }, async () => {
    await held
    return 'held'
  })
  app.get('/uncached', async (request) => {
    runs.push(request.url)
    return 'uncached'
  })
  return { app, runs, release }
}

const ask = async (app: FastifyInstance, request: InjectOptions): Promise<LightMyRequestResponse> => await app.inject({ ...request, headers: { authorization, ...request.headers } })
const warm = async (app: FastifyInstance, payload: unknown, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> => await ask(app, { method: 'POST', url: '/cache/warm', payload: payload as object, headers })
const start = async (app: FastifyInstance, payload: object): Promise<string> => (await warm(app, payload)).json<{ id: string }>().id

/** The job when it has ended: its events end with it. */
async function ended (app: FastifyInstance, id: string): Promise<Told> {
  await ask(app, { url: `/cache/warm/${id}/events` })
  return (await ask(app, { url: `/cache/warm/${id}` })).json<Told>()
}

/** What a stream of events says, as pairs of name and data. */
function eventsOf (text: string): Array<readonly [name: string, data: Told]> {
  return [...text.matchAll(/^event: (.*)\ndata: (.*)\n\n/gm)].map(([, name = '', data = '']) => [name, JSON.parse(data) as Told])
}

t.test('a warming', async (t) => {
  t.test('is started, watched and listed', async (t) => {
    const { app, runs } = await appOf(t)
    const answer = await warm(app, { paths: ['/products/1', '/products/2'] }, { host: 'shop.example' })
    t.equal(answer.statusCode, 202)
    const { id } = answer.json<{ id: string }>()
    t.equal(answer.headers.location, `/cache/warm/${id}`)
    t.equal(answer.headers['cache-control'], 'no-store')
    const told = await ended(app, id)
    t.match(told, { id, name: 'routes', state: 'ended', outcome: 'completed', total: 2, expected: 2, stored: 2, failed: 0, statuses: { 200: 2 }, faults: [] })
    t.same((await ask(app, { url: '/cache/warm' })).json(), { jobs: [told] })
    t.same(runs.sort(), ['http://shop.example/products/1', 'http://shop.example/products/2'], 'for the host that asked')
    t.match((await app.inject({ url: '/products/1', headers: { host: 'shop.example' } })).headers['cache-status'], /;hit/)
  })

  t.test('can be for another host, and for TLS', async (t) => {
    const { app, runs } = await appOf(t)
    await ended(app, await start(app, { paths: ['/products/1'], host: 'shop.example', encrypted: true, concurrency: 1 }))
    t.same(runs, ['https://shop.example/products/1'])
  })

  t.test('runs no handler of a route that is not cached', async (t) => {
    const { app, runs } = await appOf(t)
    const told = await ended(app, await start(app, { paths: ['/uncached', '/nowhere', '/cache/stats'] }))
    t.match(told, { stored: 0, failed: 3, statuses: { 404: 1, 422: 2 } })
    t.same(told.faults, [{ key: '"/uncached"', error: 'status 422' }, { key: '"/nowhere"', error: 'status 404' }, { key: '"/cache/stats"', error: 'status 422' }])
    t.same(runs, [])
    t.equal((await app.inject('/uncached')).statusCode, 200, 'which clients still reach')
  })

  t.test('keeps to that behind a rewritten URL', async (t) => {
    const app = Fastify({ rewriteUrl: ({ url = '' }) => url.replace(/^\/shop/, '') })
    t.teardown(async () => { await app.close() })
    await app.register(cache, guarded)
    const runs: string[] = []
    app.get('/uncached', async () => { runs.push('uncached') })
    app.get('/cached', { config: { cache: true } }, async (request) => {
      runs.push(request.protocol)
      return 'cached'
    })
    t.match(await ended(app, await start(app, { paths: ['/shop/uncached', '/shop/cached'], encrypted: true })), { statuses: { 200: 1, 422: 1 } })
    t.same(runs, ['https'])
  })

  t.test('goes nowhere but to paths of this app', async (t) => {
    const { app, runs } = await appOf(t)
    for (const path of ['http://evil.example/', '//evil.example/x', '/\\evil.example/x', '/../admin/flush', '/a/%2e%2e/b', 'file:///etc/passwd', '/p\r\nX: 1', 'evil.example/x', '', '/ü', '/x#y', 7, null, { path: '/products/1' }]) {
      const answer = await warm(app, { paths: ['/products/1', path] })
      t.equal(answer.statusCode, 400, String(path))
      t.match(answer.json(), { code: 'FST_ERR_CACHE_WARM_PATH' })
    }
    for (const host of ['evil.example/x', 'a b', 'x\r\ny', '']) t.match((await warm(app, { paths: ['/products/1'], host })).json(), { statusCode: 400, code: 'FST_ERR_CACHE_WARM_PATH' }, host)
    t.same(runs, [], 'and nothing of a list with such a path is fetched')
  })

  t.test('is refused when the request makes no sense', async (t) => {
    const { app } = await appOf(t)
    const senseless = [[], null, {}, { paths: [] }, { paths: '/products/1' }, { urls: ['/products/1'] }, { learned: 'yes' }, { learned: true, paths: ['/x'] }, { learned: true, host: 'a' }, { paths: ['/x'], timeBudget: 1 },
      { learned: true, timeBudget: 0 }, { paths: ['/x'], concurrency: 0 }, { paths: ['/x'], concurrency: 65 }, { paths: ['/x'], concurrency: '4' }, { paths: ['/x'], host: 1 }, { paths: ['/x'], encrypted: 'no' }]
    for (const body of senseless) t.match((await ask(app, { method: 'POST', url: '/cache/warm', payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } })).json(), { statusCode: 400, code: 'FST_ERR_CACHE_REQUEST' }, JSON.stringify(body))
    t.equal((await ask(app, { method: 'POST', url: '/cache/warm', payload: '{"paths":["/x"]}', headers: { 'content-type': 'text/plain' } })).statusCode, 415)
    for (const method of ['GET', 'DELETE'] as const) t.match((await ask(app, { method, url: '/cache/warm/none' })).json(), { statusCode: 404, code: 'FST_ERR_CACHE_WARM_JOB' })
    t.equal((await ask(app, { url: '/cache/warm/none/events' })).statusCode, 404)
  })

  t.test('waits for its turn: one of a kind at a time', async (t) => {
    const { app, release } = await appOf(t)
    const id = await start(app, { paths: ['/held'] })
    const second = await warm(app, { paths: ['/products/1'] })
    t.equal(second.statusCode, 409)
    t.match(second.json(), { code: 'FST_ERR_CACHE_WARM_CONFLICT', message: new RegExp(id) })
    t.match((await ask(app, { url: `/cache/warm/${id}` })).json(), { state: 'running', expected: 1, total: 0 })
    release()
    t.match(await ended(app, id), { outcome: 'completed' })
    t.equal((await warm(app, { paths: ['/products/1'] })).statusCode, 202)
  })

  t.test('can be cancelled, also when it has ended', async (t) => {
    const { app } = await appOf(t)
    const id = await start(app, { paths: ['/held'] })
    t.match((await ask(app, { method: 'DELETE', url: `/cache/warm/${id}` })).json(), { id, state: 'ended', outcome: 'cancelled', stored: 0 })
    t.match((await ask(app, { method: 'DELETE', url: `/cache/warm/${id}` })).json(), { outcome: 'cancelled' })
  })

  t.test('needs the guard, and that there are admin routes', async (t) => {
    const { app } = await appOf(t)
    const asked = [['POST', '/cache/warm'], ['GET', '/cache/warm'], ['GET', '/cache/warm/x'], ['DELETE', '/cache/warm/x'], ['GET', '/cache/warm/x/events']] as const
    for (const [method, url] of asked) t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
    t.equal((await ask(app, { method: 'POST', url: '/cache/warm', payload: { paths: ['/products/1'] }, headers: { origin: 'http://evil.example' } })).statusCode, 403)
    const { app: bare } = await appOf(t, {})
    for (const [method, url] of asked) t.equal((await bare.inject({ method, url })).statusCode, 404, `${method} ${url}`)
  })

  t.test('is refused where the configuration forbids it, and where nothing is learned', async (t) => {
    const { app } = await appOf(t, { ...guarded, enableWarming: false })
    t.match((await warm(app, { paths: ['/products/1'] })).json(), { statusCode: 409, message: /enableWarming/ })
    const { app: unlearned } = await appOf(t)
    t.match((await warm(unlearned, { learned: true })).json(), { statusCode: 409, message: /option warmup/ })
  })

  t.test('fetches what was learned', async (t) => {
    const { app, runs } = await appOf(t, { ...guarded, warmup: {} })
    await app.ready()
    await app.cacheWarmup?.ended
    t.equal(app.cacheWarmup?.done, true)
    await app.inject({ url: '/products/7', headers: { host: 'shop.example' } })
    await app.cache.invalidate({ everything: true })
    const told = await ended(app, await start(app, { learned: true, timeBudget: 30 }))
    t.match(told, { name: 'learned', outcome: 'completed', statuses: { 200: 1 } })
    t.equal(runs.length, 2)
  })
})

t.test('the option warmup', async (t) => {
  t.test('warms at the start, and keeps what was learned over a restart', async (t) => {
    let text: string | undefined
    const storage: TextStorage = { read: async () => text, write: async (given) => { text = given } }
    const first = await appOf(t, { warmup: { paths: ['/products/1'], storage } })
    await first.app.ready()
    t.match(await first.app.cacheWarmup?.ended, [{ stored: 1 }, { name: 'learned' }])
    await first.app.inject({ url: '/products/8', headers: { host: 'shop.example' } })
    await first.app.close()
    t.match(text, 'shop.example/products/8')
    const second = await appOf(t, { warmup: { storage } })
    await second.app.ready()
    await second.app.cacheWarmup?.ended
    t.ok(second.runs.includes('http://shop.example/products/8'))
    const third = await appOf(t, { warmup: { storage: { read: async () => { throw new Error('away') }, write: storage.write } } })
    await third.app.ready()
    await third.app.cacheWarmup?.ended
    await third.app.close()
    t.match(text, 'shop.example/products/8', 'a list that could not be read is not lost')
  })

  t.test('is checked', async (t) => {
    const wrong: unknown[] = [true, { path: ['/x'] }, { paths: '/x' }, { paths: ['x'] }, { paths: ['//x'] }, { paths: [{ path: '/x', host: 'a/b' }] }, { paths: [null] }, { learn: 1 }, { storage: {} }, { storage: null }, { timeBudget: -1 }, { concurrency: 0 }]
    for (const warmup of wrong) {
      const app = Fastify()
      await t.rejects(async () => await app.register(cache, { warmup } as CachePluginOptions), { code: /^FST_ERR_CACHE_OPTION/, message: /warmup/ }, JSON.stringify(warmup))
    }
  })

  t.test('is off by default', async (t) => {
    const { app } = await appOf(t)
    await app.ready()
    t.equal(app.cacheWarmup, undefined)
  })
})

t.test('the events of a warming', async (t) => {
  t.test('tell the progress and the end', async (t) => {
    const { app, release } = await appOf(t)
    const id = await start(app, { paths: ['/products/1', '/held'], concurrency: 1 })
    const watching = ask(app, { url: `/cache/warm/${id}/events` })
    await turn()
    release()
    const answer = await watching
    t.match(answer.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    const told = eventsOf(answer.body)
    t.match(told.at(0), ['progress', { id, state: 'running', expected: 2 }])
    t.match(told.at(-1), ['end', { state: 'ended', outcome: 'completed', stored: 2 }])
    t.equal(told.filter(([name]) => name === 'end').length, 1)
    t.match(eventsOf((await ask(app, { url: `/cache/warm/${id}/events` })).body), [['end', { id }]], 'at once where it has ended')
    t.equal((await ask(app, { method: 'HEAD', url: `/cache/warm/${id}/events` })).statusCode, 404)
  })

  t.test('leave nothing behind when the client leaves, and end when the app closes', async (t) => {
    const { app } = await appOf(t)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const id = await start(app, { paths: ['/held'] })
    const watch = async (): Promise<{ leave: () => void, ended: Promise<string> }> => await new Promise((resolve, reject) => {
      const sent = httpRequest({ host: '127.0.0.1', port, path: `/cache/warm/${id}/events`, headers: { authorization } }, (response) => {
        let text = ''
        const ended = closed(response).then(() => text)
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
          if (text.includes('event: progress')) resolve({ leave: () => { sent.destroy() }, ended })
        }).on('error', () => {})
      }).once('error', reject)
      sent.end()
    })
    const leaving = await watch()
    const staying = await watch()
    leaving.leave()
    await leaving.ended
    while (await connections(app) > 1) await turn()
    await app.close()
    t.match(await staying.ended, 'event: progress')
  })

  t.test('come as a heartbeat, in a measured pace, and never pile up', async (t) => {
    const clock = fakeClock()
    const stream = new EventStream({ clock })
    const read = async (): Promise<string> => {
      await turn()
      return String((stream.read() as Buffer | null) ?? '')
    }
    stream.on('readable', () => {})
    t.equal(await read(), ': \n\n')
    stream.tell('progress', { n: 1 })
    t.equal(await read(), 'event: progress\ndata: {"n":1}\n\n')
    for (let n = 2; n < 1000; n++) stream.tell('progress', { n })
    t.equal(await read(), '')
    clock.advance(100)
    t.equal(await read(), 'event: progress\ndata: {"n":999}\n\n', 'the last one only')
    clock.advance(15_000)
    t.equal(await read(), ': \n\n')
    clock.advance(60_000)
    stream.tell('progress', { n: 1000 })
    stream.finish('end', { n: 1001 })
    stream.finish('end', { n: 1002 })
    stream.tell('progress', { n: 1003 })
    let rest = ''
    for (let text = await read(); text !== ''; text = await read()) rest += text
    t.match(rest, /^(?:: \n\n)*event: progress\ndata: \{"n":1000\}\n\nevent: end\ndata: \{"n":1001\}\n\n$/)
    t.ok(stream.readableEnded)
  })
})

async function connections (app: FastifyInstance): Promise<number> {
  return await new Promise((resolve, reject) => { app.server.getConnections((error, count) => { if (error === null) resolve(count); else reject(error) }) })
}

async function closed (response: IncomingMessage): Promise<void> {
  await new Promise<void>((resolve) => { response.once('close', resolve) })
}
