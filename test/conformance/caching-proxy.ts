import { request as httpRequest, METHODS, type IncomingMessage, type InformationEvent } from 'node:http'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import cache, { type CachePluginOptions, type RouteCacheOptions } from '../../plugins/index.ts'

/** What concerns one connection only (RFC 9110 §7.6.1). Connection itself goes on: not to store what it names is the cache's part. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set(['keep-alive', 'transfer-encoding'])

/** An app that passes every request on to `origin`, behind the cache. */
export async function createCachingProxy (origin: string, plugin: CachePluginOptions, route: RouteCacheOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({ exposeHeadRoutes: false })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
  app.addHttpMethod('M-SEARCH', { hasBody: true })
  await app.register(cache, { metrics: false, exposeStats: false, monitor: false, ...plugin })
  app.route({
    method: app.supportedMethods.filter((method) => METHODS.includes(method)),
    url: '/test/*',
    config: { cache: { ...route, harmlessHeaders: ['*'] } },
    async handler (request, reply) {
      const { status, headers, body } = await ask(origin, request, reply)
      for (const [name, value] of headers) reply.header(name, value)
      // The suite says with 999 that it expected a condition; Fastify knows no such status.
      return await reply.code(status > 599 ? 400 : status).send(body)
    }
  })
  app.all('/*', async (request, reply) => {
    const { status, body } = await ask(origin, request, reply)
    return await reply.code(status).send(body)
  })
  return app
}

interface Answer { readonly status: number, readonly headers: ReadonlyMap<string, string | string[]>, readonly body: Buffer }

async function ask (origin: string, { method, raw, body }: FastifyRequest, reply: FastifyReply): Promise<Answer> {
  const headers = Object.fromEntries(Object.entries(raw.headers).filter(([name]) => !OF_THE_CONNECTION.has(name) && name !== 'connection'))
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(origin + (raw.url ?? ''), { method, headers }, resolve).on('information', (interim) => { passOn(interim, reply) }).on('error', reject).end(body)
  })
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const lines = new Map<string, string | string[]>()
  for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
    const name = (incoming.rawHeaders[at] ?? '').toLowerCase()
    const value = incoming.rawHeaders[at + 1] ?? ''
    const earlier = lines.get(name)
    if (!OF_THE_CONNECTION.has(name)) lines.set(name, earlier === undefined ? value : [earlier, value].flat())
  }
  return { status: incoming.statusCode ?? 502, headers: lines, body: Buffer.concat(chunks) }
}

/** What comes before the answer (RFC 9110 §15.2), as far as Node can write it; the cache has no part in it. */
function passOn ({ statusCode, headers }: InformationEvent, { raw }: FastifyReply): void {
  if (statusCode === 102) raw.writeProcessing()
  if (statusCode === 103 && headers.link !== undefined) raw.writeEarlyHints({ ...headers, link: headers.link })
}
