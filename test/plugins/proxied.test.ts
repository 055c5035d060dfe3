import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import replyFrom from '@fastify/reply-from'
import t, { type Test } from 'tap'
import type { CachePluginOptions } from '../../plugins/options.ts'
import type { RouteCacheOptions } from '../../plugins/route-options.ts'
import { cachedApp, cacheStatus, type CachedApp } from '../support/cached-app.ts'

type Upstream = (url: string, headers: Readonly<Record<string, unknown>>) => { readonly headers: Record<string, string>, readonly body: string }

/** An app that passes everything on to another server, behind the cache. */
async function proxied (t: Test, upstream: Upstream, route: RouteCacheOptions, options: CachePluginOptions = {}): Promise<CachedApp> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const { headers, body } = upstream(request.url ?? '', request.headers)
      // Its clock is not that of the test.
      response.sendDate = false
      response.writeHead(200, headers).end(body)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cached = await cachedApp(options)
  const { app } = cached
  t.teardown(async () => {
    await app.close()
    server.close()
  })
  // A body goes through as it comes.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, body, done) => { done(null, body) })
  await app.register(replyFrom, { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, retryMethods: [] as never })
  app.all('/*', { config: { cache: route } }, async (request, reply) => await reply.from(request.url))
  return cached
}

t.test('what another server answers is cached by what it says', async (t) => {
  let n = 0
  const { app } = await proxied(t, (_url, headers) => ({ headers: { 'cache-control': 'max-age=60', vary: 'x-lang' }, body: `${++n} ${String(headers['x-lang'])}` }), { ttl: 0 })
  for (const [lang, says, body] of [['de', /stored|uri-miss/, '1 de'], ['de', /^hit/, '1 de'], ['en', /vary-miss/, '2 en'], ['de', /^hit/, '1 de']] as const) {
    const answer = await app.inject({ url: '/x', headers: { 'x-lang': lang } })
    t.match(cacheStatus(answer), says)
    t.equal(answer.body, body)
  }
})

t.test('what the handler looks at by itself counts all the same, and a ttl of the route vouches for no other server', async (t) => {
  const looked = await proxied(t, () => ({ headers: { 'cache-control': 'max-age=60' }, body: 'x' }), { ttl: 0 })
  looked.app.get('/by/host', { config: { cache: { ttl: 0 } } }, async (request, reply) => await reply.from(`/${String(request.headers['x-shop'])}`))
  await looked.app.inject('/by/host')
  t.notMatch(cacheStatus(await looked.app.inject('/by/host')), /^hit/)
  const { app } = await proxied(t, () => ({ headers: {}, body: 'x' }), { ttl: 60 })
  await app.inject('/x')
  t.notMatch(cacheStatus(await app.inject('/x')), /^hit/)
})

t.test('a change whose body is passed on purges the pages of its path and of its Location', async (t) => {
  let n = 0
  const { app } = await proxied(t, (url) => ({ headers: { 'cache-control': 'max-age=60', ...url === '/make' && { location: '/made' } }, body: `page ${++n}` }), { ttl: 0 })
  for (const [method, url, page] of [['PUT', '/x', '/x'], ['POST', '/make', '/made']] as const) {
    await app.inject(page)
    const { body } = await app.inject(page)
    await app.inject({ method, url, payload: 'a body', headers: { 'content-type': 'text/plain' } })
    t.not((await app.inject(page)).body, body, `${method} ${url}`)
  }
})
