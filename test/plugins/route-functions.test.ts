import t from 'tap'
import type { RouteCacheOptions } from '../../plugins/index.ts'
import { cachedApp, cacheStatus, turns } from '../support/cached-app.ts'

t.test('the number of a user is a partition, the same as its text', async (t) => {
  const { app } = await cachedApp({ admin: { onRequest: async () => {} } })
  t.teardown(() => app.close())
  const users: Record<string, unknown> = { one: 1, text: '1', two: 2, zero: 0, nobody: null }
  app.get('/me', { config: { cache: { partition: ({ headers }) => users[String(headers['x-user'])] as number } } }, async ({ headers }) => `page of ${String(headers['x-user'])}`)
  app.get('/us', { config: { cache: { partition: ({ headers }) => users[String(headers['x-user'])] as number } } }, async () => 'page')
  const ask = async (user: string): Promise<string> => cacheStatus(await app.inject({ url: '/us', headers: { 'x-user': user } }))
  t.match(await ask('one'), /;stored/)
  t.match(await ask('text'), /^hit/)
  t.match(await ask('two'), /;stored/)
  t.match(await ask('zero'), /;stored/)
  t.match(await ask('zero'), /^hit/)
  t.match(await ask('nobody'), /no-partition/)
  t.match(cacheStatus(await app.inject({ url: '/me', headers: { 'x-user': 'one' } })), /unkeyed-input; x-user/, 'though not the header that it was made of')
  const explained = await app.inject({ url: '/cache/explain?url=/us', headers: { 'x-user': 'one' } })
  t.match(explained.json(), { inputs: { partition: '1' } })
})

t.test('names that are made of what is not there are told once for a route, and no partition is made of them', async (t) => {
  const warnings: Array<{ route?: string, option?: string, msg?: string }> = []
  const { app } = await cachedApp({}, { logger: { level: 'warn', stream: { write (line: string) { warnings.push(JSON.parse(line) as object) } } } })
  t.teardown(() => app.close())
  const users: Record<string, unknown> = { anna: { id: 1 }, empty: { id: '' }, undefined: {}, null: { id: null }, object: { id: {} }, 'null-pointer': { id: 'null-pointer' } }
  const userOf = ({ headers }: { headers: Record<string, unknown> }): string => `user:${String((users[String(headers['x-user'])] as { id?: unknown } | undefined)?.id)}`
  app.get('/me', { config: { cache: { partition: userOf, harmlessHeaders: ['x-user'] } } }, async ({ headers }) => `page of ${String(headers['x-user'])}`)
  app.put('/me', { config: { cache: { invalidates: ({ body }) => [`name:${String((body as { name?: string } | null)?.name)}`] } } }, async () => 'done')
  app.delete('/me', { config: { cache: { invalidates: () => ['name:'] } } }, async () => 'done')
  const ask = async (user: string): Promise<string> => cacheStatus(await app.inject({ url: '/me', headers: { 'x-user': user } }))
  t.match(await ask('anna'), /;stored/)
  for (const user of ['undefined', 'null', 'object', 'nobody', 'empty']) {
    t.match(await ask(user), /no-partition/, user)
    t.match(await ask(user), /no-partition/, user)
  }
  t.match(await ask('null-pointer'), /;stored/, 'a word in another is none')
  for (const name of [undefined, undefined, 'n']) t.equal((await app.inject({ method: 'PUT', url: '/me', body: { name } })).statusCode, 200)
  t.same(warnings.map(({ route, option }) => [route, option]), [['/me', 'partition'], ['/me', 'invalidates']])
  t.match(warnings[0]?.msg, 'config.cache.partition of /me has answered a text with undefined in it')

  warnings.length = 0
  t.equal((await app.inject({ method: 'DELETE', url: '/me' })).statusCode, 200)
  t.match(warnings.map(({ msg }) => msg), ['config.cache.invalidates of /me has answered a text that ends where something is missing: a change may not reach what shows it'])
})

t.test('a function of a route that answers what it must not is told what, and of which route', async (t) => {
  const lines: Array<{ err?: { message: string } }> = []
  const { app } = await cachedApp({}, { logger: { level: 'error', stream: { write (line: string) { lines.push(JSON.parse(line) as { err?: { message: string } }) } } } })
  t.teardown(() => app.close())
  const unhandled: unknown[] = []
  const listener = (reason: unknown): void => { unhandled.push(reason) }
  process.on('unhandledRejection', listener)
  t.teardown(() => { process.off('unhandledRejection', listener) })

  const answers: Record<string, [() => unknown, string]> = {
    promise: [async () => 'anna', 'a promise'],
    failing: [async () => { throw new Error('no session') }, 'a promise'],
    object: [() => ({ id: 1, password: 'secret' }), 'an object'],
    nan: [() => Number.NaN, 'NaN'],
    flag: [() => true, 'true']
  }
  for (const [name, [answer]] of Object.entries(answers)) {
    const wrong = answer as () => never
    app.get(`/partition/${name}`, { config: { cache: { partition: wrong } } }, async () => 'page')
    app.get(`/tags/${name}`, { config: { cache: { tags: wrong } } }, async () => 'page')
    app.put(`/invalidates/${name}`, { config: { cache: { invalidates: wrong } satisfies RouteCacheOptions } }, async () => 'done')
  }
  for (const [name, [, shown]] of Object.entries(answers)) {
    const later = shown === 'a promise' ? ', at once: await in a hook before it, such as preHandler, what it takes, and leave that on the request' : ''
    const message = (option: string, allowed: string): string => `Option config.cache.${option} is a function of /${option}/${name} that answered ${shown}, must be a function that answers ${allowed}${later}`

    t.match((await app.inject(`/partition/${name}`)).json(), { code: 'FST_ERR_CACHE_OPTION', message: message('partition', 'a string or a number, or undefined for requests that are not to be cached') })
    t.match((await app.inject({ method: 'PUT', url: `/invalidates/${name}` })).json(), { code: 'FST_ERR_CACHE_OPTION', message: message('invalidates', 'an array of strings') })
    lines.splice(0)
    t.match(cacheStatus(await app.inject(`/tags/${name}`)), /tags-failed/)
    t.match(lines, [{ err: { message: message('tags', 'an array of strings') } }])
  }
  await turns()
  t.same(unhandled, [], 'and a promise that fails takes nothing down')
})

t.test('a partition that throws is told with its route', async (t) => {
  const lines: Array<{ route?: string, msg?: string }> = []
  const { app } = await cachedApp({}, { logger: { level: 'error', stream: { write (line: string) { lines.push(JSON.parse(line) as object) } } } })
  t.teardown(() => app.close())
  app.get('/mine', { config: { cache: { partition: ({ user }: { user?: { id: string } }) => (user as { id: string }).id } as RouteCacheOptions } }, async () => 'page')
  t.equal((await app.inject('/mine')).statusCode, 500)
  t.match(lines[0], { route: '/mine', msg: 'config.cache.partition of /mine has failed' })
})
