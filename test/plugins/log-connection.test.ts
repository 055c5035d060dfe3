import Fastify from 'fastify'
import t from 'tap'
import { CacheManager } from '../../lib/cache-manager.ts'
import type { CacheConfig } from '../../lib/config.ts'
import cache, { type CachePluginOptions } from '../../plugins/index.ts'
import { logConnection, sayIfMisspelt, sayIfNameless } from '../../plugins/log-connection.ts'
import { fakeClock } from '../support/fake-clock.ts'

t.test('a connection that comes and goes writes one line a minute, and each first change at once', async (t) => {
  const lines: string[] = []
  const { log } = Fastify({ logger: { level: 'info', stream: { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg) } } } })
  const clock = fakeClock()
  const manager = new CacheManager({ strategy: 'memory' }, { clock })
  t.teardown(async () => { await manager.close() })
  logConnection(log, manager)
  const become = (ready: boolean): void => { manager.parts.events.emit('connection', { ready, where: 'h:1', trouble: 'no answer' }) }
  const said = (): string[] => lines.splice(0)

  become(true)
  become(false)
  t.match(said(), [/h:1 answers; the cache is shared/, /h:1 does not answer \(no answer\)/], 'news is told')
  clock.advance(2000)
  become(true)
  t.match(said(), [/h:1 answers/], 'the return from the first outage as well, though the start was a moment ago')
  become(false)
  for (let n = 0; n < 5; n++) {
    clock.advance(2000)
    become(true)
    become(false)
  }
  t.same(said(), [], 'the same over again is not')
  clock.advance(60_000)
  t.same(said(), ['cache: Redis at h:1 comes and goes: it has changed 11 times within the last 60 s; now it does not answer (no answer)'])
  become(true)
  t.same(said(), [], 'and the next minute is as quiet')
  clock.advance(60_000)
  t.match(said(), [/h:1 answers; the cache is shared/], 'a single change is told as ever')
  clock.advance(60_000)
  t.same(said(), [], 'until nothing has happened for a minute')
  become(false)
  t.match(said(), [/h:1 does not answer/], 'then it is news again')
})

t.test('applications without a name are told that they share what they cache', async (t) => {
  const lines: string[] = []
  const { log } = Fastify({ logger: { stream: { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg) } } } })
  const say = async (application: string | undefined, given: Partial<CacheConfig>): Promise<string[]> => {
    const manager = new CacheManager(given)
    sayIfNameless(log, manager, application)
    await manager.close()
    return lines.splice(0)
  }
  t.match(await say(undefined, { strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1' }), [/^cache: no package.json names this application, .*127\.0\.0\.1:1 begin with "frc:".*Set redisPrefix$/])
  t.same(await say('shop', { strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1' }), [])
  t.same(await say(undefined, { strategy: 'hybrid', redisUrl: 'redis://127.0.0.1:1', redisPrefix: 'mine:' }), [])
  t.same(await say(undefined, { strategy: 'memory' }), [])
})

t.test('a Redis that the program names and the environment keeps it from is told of', async (t) => {
  const before = process.env['CACHE_STRATEGY']
  t.teardown(() => {
    if (before === undefined) delete process.env['CACHE_STRATEGY']
    else process.env['CACHE_STRATEGY'] = before
  })
  process.env['CACHE_STRATEGY'] = 'memory'
  const told = async (options: CachePluginOptions): Promise<string[]> => {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg) } } } })
    await app.register(cache, options)
    await app.close()
    return lines
  }
  t.match(await told({ redisUrl: 'redis://127.0.0.1:1', redisRequired: true }), [/^cache: the environment says CACHE_STRATEGY=memory, so the Redis that the program names is not used/])
  t.match(await told({ redis: 'redis://127.0.0.1:1' }), [/is not used/])
  t.same(await told({}), [])
  t.same(await told({ redisRequired: false }), [])
})

t.test('variables of the environment that are misspelt are named', async (t) => {
  const lines: string[] = []
  const { log } = Fastify({ logger: { stream: { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg) } } } })
  sayIfMisspelt(log, { CACHE_STRATGEY: 'redis', CACHE_REDISURL: 'redis://h', CACHE_STRATEGY: 'memory', CACHE_ADMIN_TOKEN: 'x', CACHE_DIR: '/tmp', STRATGEY: 'x' })
  t.same(lines, [
    'cache: the environment has CACHE_STRATGEY, which is not read. Did you mean CACHE_STRATEGY?',
    'cache: the environment has CACHE_REDISURL, which is not read. Did you mean CACHE_REDIS_URL?'
  ])
})

t.test('who has named a Redis in one way is told to name another in the same', async (t) => {
  const told = async (options: CachePluginOptions): Promise<string[]> => {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push((JSON.parse(line) as { msg: string }).msg) } } } })
    await app.register(cache, { strategy: 'hybrid', ...options })
    await app.close()
    return lines
  }
  t.match(await told({ redis: 'redis://127.0.0.1:1' }), [/^cache: no Redis at 127\.0\.0\.1:1 .* name another with redis, or/])
  t.match(await told({ redisUrl: 'redis://127.0.0.1:1' }), [/ name another with redisUrl, or/])
})
