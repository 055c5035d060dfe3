import type { FastifyRequest, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../plugins/index.ts'
import { cachedApp, cacheStatus } from '../support/cached-app.ts'

interface Line { msg?: string, req?: Record<string, unknown> }

/** A log that keeps what handlers have written. */
function logTo (lines: Line[], serializers?: Record<string, (value: FastifyRequest) => unknown>): FastifyServerOptions {
  const stream = { write (text: string) { const line = JSON.parse(text) as Line; if (line.msg === 'handler') lines.push(line) } }
  return { logger: { level: 'debug', stream, ...serializers === undefined ? {} : { serializers: serializers as never } } }
}

const ofClient = ({ ip, host, headers, socket }: FastifyRequest): unknown => ({ ip, host, version: headers['accept-version'], port: socket.remotePort })
const ofAgent = ({ ip, headers }: FastifyRequest): unknown => ({ ip, agent: headers['user-agent'] })

t.test('what the serialiser of Fastify reads of a request for the log is not part of its response', async (t) => {
  const lines: Line[] = []
  for (const [serializers, trustProxy] of [[undefined, false], [undefined, true], [{ req: ofClient }, false]] as const) {
    const { app } = await cachedApp({}, { ...logTo(lines, serializers), trustProxy })
    t.teardown(() => app.close())
    const routes: Record<string, (request: FastifyRequest) => void> = {
      '/line': (request) => { request.log.info({ req: request }, 'handler') },
      '/child': (request) => { request.log.child({ req: request }).info('handler') },
      '/app': (request) => { app.log.debug({ req: request }, 'handler') }
    }
    for (const [url, write] of Object.entries(routes)) app.get(url, { config: { cache: true } }, async (request) => { write(request); return 'page' })
    app.get('/own', { config: { cache: true }, logSerializers: { req: ofClient as () => unknown } }, async (request) => { request.log.info({ req: request }, 'handler'); return 'page' })
    for (const url of [...Object.keys(routes), '/own']) {
      const ask = async (): Promise<string> => cacheStatus(await app.inject({ url, headers: { 'x-forwarded-for': '192.0.2.7' } }))
      t.match(await ask(), /;stored/, url)
      t.match(await ask(), /^hit/, url)
    }
  }
  const [direct, proxied] = ['127.0.0.1', '192.0.2.7']
  const logged = (ip: string): object[] => [...Array.from({ length: 3 }, () => ({ remoteAddress: ip })), { ip }]
  t.match(lines.map(({ req }) => req), [...logged(direct), ...logged(proxied), ...Array.from({ length: 4 }, () => ({ ip: direct }))], 'and it is in the log')
})

t.test('what a serialiser of the app reads beside that counts: the handler may find it', async (t) => {
  const lines: Line[] = []
  const { app } = await cachedApp({}, logTo(lines, { req: ({ raw }) => ({ language: raw.headersDistinct['x-language'] }), agent: ofAgent }))
  t.teardown(() => app.close())
  app.get('/distinct', { config: { cache: true } }, async (request) => { request.log.info({ req: request }, 'handler'); return { language: request.raw.headersDistinct['x-language'] } })
  app.get('/agent', { config: { cache: true } }, async (request) => { request.log.info({ agent: request }, 'handler'); return 'page' })
  app.get('/declared', { config: { cache: { harmlessHeaders: ['user-agent'] } } }, async (request) => { request.log.info({ agent: request }, 'handler'); return 'page' })
  const base = await app.listen()
  for (const language of ['de', 'en']) {
    const response = await fetch(`${base}/distinct`, { headers: { 'x-language': language } })
    t.match(response.headers.get('cache-status'), /unkeyed-input; \*/)
    t.same(await response.json(), { language: [language] })
  }
  t.match((await fetch(`${base}/agent`)).headers.get('cache-status'), /unkeyed-input; user-agent/)
  t.match((await fetch(`${base}/declared`)).headers.get('cache-status'), /;stored/)
  t.match(lines.map(({ req }) => req), [{ language: ['de'] }, { language: ['en'] }])
})

t.test('what the handler reads itself counts beside a line in the log, and after one that failed', async (t) => {
  const failing = (): never => { throw new Error('no text for it') }
  const { app } = await cachedApp({}, logTo([], { req: ofClient, failing }))
  t.teardown(() => app.close())
  const routes: Record<string, [RouteCacheOptions, (request: FastifyRequest) => void, RegExp]> = {
    '/beside': [{}, (request) => { request.log.info({ req: request, agent: request.headers['user-agent'] }) }, /unkeyed-input; user-agent/],
    '/after': [{}, (request) => { try { request.log.info({ failing: request }) } catch { request.log.info(request.ip) } }, /unkeyed-input; @ip/],
    '/declared': [{ harmlessHeaders: ['@ip'] }, (request) => { request.log.info(request.ip) }, /;stored/]
  }
  for (const [url, [cache, write]] of Object.entries(routes)) app.get(url, { config: { cache } }, async (request) => { write(request); return 'page' })
  for (const [url, [, , says]] of Object.entries(routes)) t.match(cacheStatus(await app.inject(url)), says, url)
})
