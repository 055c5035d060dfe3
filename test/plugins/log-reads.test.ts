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

const ofClient = ({ ip, headers }: FastifyRequest): unknown => ({ ip, agent: headers['user-agent'], all: Object.keys(headers).length > 0 })

t.test('what the serialisers of the log read of a request is not part of its response', async (t) => {
  const lines: Line[] = []
  for (const serializers of [undefined, { req: ofClient }]) {
    const { app } = await cachedApp({}, logTo(lines, serializers))
    t.teardown(() => app.close())
    const routes: Record<string, (request: FastifyRequest) => void> = {
      '/line': (request) => { request.log.info({ req: request }, 'handler') },
      '/child': (request) => { request.log.child({ req: request }).info('handler') },
      '/app': (request) => { app.log.debug({ req: request }, 'handler') }
    }
    for (const [url, write] of Object.entries(routes)) app.get(url, { config: { cache: true } }, async (request) => { write(request); return 'page' })
    app.get('/own', { config: { cache: true }, logSerializers: { req: ofClient as () => unknown } }, async (request) => { request.log.info({ req: request }, 'handler'); return 'page' })
    for (const url of [...Object.keys(routes), '/own']) {
      t.match(cacheStatus(await app.inject(url)), /;stored/, url)
      t.match(cacheStatus(await app.inject(url)), /^hit/, url)
    }
  }
  const agent = 'lightMyRequest'
  t.match(lines.map(({ req }) => req), [{ remoteAddress: '127.0.0.1' }, { remoteAddress: '127.0.0.1' }, { remoteAddress: '127.0.0.1' }, { agent }, { ip: '127.0.0.1', agent, all: true }, { agent }, { agent }, { agent }], 'and it is in the log')
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
