import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import t from 'tap'
import { CacheManager } from '../../lib/cache-manager.ts'
import cache from '../../plugins/index.ts'
import { deferred } from '../support/cached-app.ts'
import { programRoot, scriptArgs } from '../support/program.ts'
import { startRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

/** What a program prints that has nothing to do but this, and how it ends. */
async function run (script: string): Promise<{ printed: string, code: number }> {
  const child = spawn(process.execPath, scriptArgs(`import { CacheManager } from 'fastify-response-cache'\n${script}`), { cwd: programRoot, env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'inherit'] })
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
  return { printed, code }
}

t.test('a program that purges and leaves at once has told Redis', async (t) => {
  const redis = await startRedis()
  t.teardown(redis.stop)
  const options = { strategy: 'hybrid', redisUrl: redis.url, redisPrefix: 'leaving:' } as const
  const server = await new CacheManager(options).initialize()
  t.teardown(() => server.close())
  await server.set('product', 'old', { ttl: 600, tags: ['catalog'] })

  const { printed, code } = await run(`
    const cache = new CacheManager(${JSON.stringify(options)})
    await cache.invalidate({ tags: ['catalog'] })
    await cache.close()
    console.log('closed')`)
  t.same({ printed, code }, { printed: 'closed\n', code: 0 })
  await until('the server has heard of it', async () => await server.get('product') === undefined)
})

t.test('a program that closes while its purges wait for a Redis that has gone comes to its end, and says what is lost', async (t) => {
  const redis = await startRedis()
  t.teardown(redis.stop)
  const { printed, code } = await run(`
    const cache = await new CacheManager({ strategy: 'hybrid', redisUrl: '${redis.url}', redisTimeout: 0.05 }).initialize()
    cache.on('fault', ({ error }) => { console.log(error.code) })
    const away = new Promise((resolve) => { cache.on('connection', ({ ready }) => { if (!ready) resolve() }) })
    process.kill(${redis.pid}, 'SIGKILL')
    await away
    console.log((await cache.invalidate({ tags: ['catalog'] })).reach)
    await cache.close()
    console.log('closed')`)
  t.same({ printed, code }, { printed: 'here\nFST_ERR_CACHE_PURGES_LOST\nclosed\n', code: 0 })
})

t.test('a program whose CDN does not answer hears of its purge, and closes', async (t) => {
  const { printed, code } = await run(`
    const cache = new CacheManager({ strategy: 'memory', retryAttempts: 1, retryDelay: 0.01 }, { cdn: { wait: true, timeout: 0.05, purge: () => new Promise(() => {}) } })
    cache.on('fault', ({ error }) => { console.log(error.code) })
    console.log((await cache.invalidate({ tags: ['catalog'] })).reach)
    await cache.close()
    console.log('closed')`)
  t.same({ printed, code }, { printed: 'FST_ERR_CACHE_HAND_OFF\neverywhere\nclosed\n', code: 0 })
})

t.test('a change that a handler makes when the cache is closed already is told, for nobody else hears of it', async (t) => {
  const redis = await startRedis()
  t.teardown(redis.stop)
  const app = Fastify()
  await app.register(cache, { strategy: 'hybrid', redisUrl: redis.url })
  const [begun, end] = [deferred(), deferred()]
  app.put('/products/1', { config: { cache: { invalidates: ['catalog'] } } }, async () => {
    begun.resolve()
    await end.promise
    return 'done'
  })
  const answer = app.inject({ method: 'PUT', url: '/products/1' })
  await begun.promise
  await app.close()
  const warned = once(process, 'warning') as Promise<[Error & { code: string }]>
  end.resolve()
  t.equal((await answer).statusCode, 200)
  const [warning] = await warned
  t.match(warning, { code: 'FST_ERR_CACHE_PURGES_LOST', message: /^Purges could not be sent to Redis before the cache was closed \(\d+ \w+/ })
})
