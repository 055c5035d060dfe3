import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import { readEvents } from '../../bin/event-reader.ts'
import { bytes, duration } from '../../bin/figures.ts'
import { progressBar } from '../../bin/progress-bar.ts'
import { run } from '../../bin/run.ts'
import { table } from '../../bin/table.ts'
import cache from '../../plugins/index.ts'
import type { CachePluginOptions } from '../../plugins/index.ts'
import { programArgs } from '../support/program.ts'
import { freePort } from '../support/redis-server.ts'

const token = 'token-of-this-test'
const env = { CACHE_ADMIN_TOKEN: token }

interface Told { readonly code: number, readonly out: string, readonly notes: string, readonly drawn: string[] }

/** Runs a command in this process, and answers what it says. */
async function command (args: readonly string[], { variables = env, watched = false, files = {}, signal = new AbortController().signal, onDraw = () => {} }: { variables?: Record<string, string>, watched?: boolean, files?: Record<string, string>, signal?: AbortSignal, onDraw?: (line: string) => void } = {}): Promise<Told> {
  const out: string[] = []
  const notes: string[] = []
  const drawn: string[] = []
  const code = await run(args, variables, {
    print: (line) => { out.push(line) },
    note: (line) => { notes.push(line) },
    redraw: watched
      ? (line) => {
          drawn.push(line)
          onDraw(line)
        }
      : undefined,
    columns: 80,
    interrupted: signal,
    read: async (file) => {
      const content = files[file]
      if (content === undefined) throw new Error('no such file')
      return content
    }
  })
  return { code, out: out.join('\n'), notes: notes.join('\n'), drawn }
}

async function appOf (t: Test, options: CachePluginOptions = { admin: { token } }): Promise<{ app: FastifyInstance, url: string, release: () => void }> {
  const app = Fastify()
  let release = (): void => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  t.teardown(async () => {
    release()
    await app.close()
  })
  await app.register(cache, options)
  app.get('/products/:id', { config: { cache: { ttl: 60, tags: ['catalog'] } } }, async (request) => ({ url: request.url }))
  app.get('/held', { config: { cache: { ttl: 60 } } }, async () => {
    await held
    return 'held'
  })
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }), release }
}

async function serve (t: Test, answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(answer as never)
  t.teardown(() => { server.close() })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('what is typed', async (t) => {
  t.test('is helped with, and told when it makes no sense', async (t) => {
    t.match(await command(['--help']), { code: 0, out: /^Usage: fastify-response-cache <command>/ })
    t.match(await command(['stats', '-h']), { code: 0, out: /^Usage/ })
    t.match(await command(['--version']), { code: 0, out: /^\d+\.\d+\.\d+/ })
    const senseless: ReadonlyArray<readonly [args: string[], notes: RegExp]> = [
      [[], /no command/], [['purge'], /purge is no command; there are stats, top/], [['stats', '--tags', 'x'], /--tags/], [['stats', '--tag', 'x'], /--tag does not go with stats/],
      [['stats', 'x'], /nothing of x/], [['explain'], /needs a path/], [['explain', '/a', '/b'], /nothing of \/b/], [['stats', '--url', 'localhost:3000'], /--url/], [['stats', '--url', 'http://a:b@127.0.0.1/'], /--url/],
      [['stats', '--prefix', 'cache'], /--prefix/], [['stats', '--timeout', 'soon'], /--timeout/], [['stats', '--token', 'a b'], /visible ASCII/], [['invalidate'], /at least one of --key/], [['invalidate', '--soft'], /at least one/],
      [['entries', '--limit', '0'], /--limit/], [['entries', '--limit', '1.5'], /--limit/], [['warm'], /needs paths/], [['warm', '--learned', '/x'], /without paths/], [['warm', '/x', '--concurrency', 'a'], /--concurrency/], [['warm', '--file', 'none'], /none cannot be read/]
    ]
    for (const [args, notes] of senseless) t.match(await command(args), { code: 2, out: '', notes }, args.join(' '))
  })
})

t.test('what the server says', async (t) => {
  t.test('is shown as tables', async (t) => {
    const { app, url } = await appOf(t)
    await fetch(`${url}/products/1`)
    await fetch(`${url}/products/1`)
    await app.cache.set('product:1', { a: 1 }, { ttl: 60, tags: ['catalog'] })
    const ask = async (...args: string[]): Promise<Told> => await command([...args, '--url', url])
    t.match(await ask('stats'), { code: 0, out: /^hit rate +50\.0 % \(1 hits, 0 of them stale; 1 misses\)[^]*\npurges +0; the log is current, 0 names wait for it\n[^]*\ntier +state +entries +of[^]*\nmemory +up +2 +1 000/ })
    t.match(JSON.parse((await ask('stats', '--json')).out), { hits: 1, tiers: [{ tier: 'memory', state: 'up' }], log: { state: 'current', queued: 0 } })
    t.match(await ask('entries'), { code: 0, out: /^key +kind[^]*response:http:\/\/127[^]*catalog/ })
    t.match(await ask('entries', 'product:*', '--limit', '1'), { code: 0, out: /^key.*\nproduct:1 +data +(?:60|59\.\d) s +\d+ B/ })
    t.match(await ask('entries', 'nothing*'), { code: 0, out: 'Nothing is stored' })
    t.match(await ask('explain', '/products/1'), { code: 0, out: /^verdict +fresh\nwhy +The stored response is fresh[^]*\ntags +catalog/ })
    t.match(await ask('explain', '/nowhere'), { code: 0, out: /^verdict +bypass \(no-route\)/ })
    t.match(await ask('report'), { code: 0, out: /^last +lookups[^]*\n60 s[^]*\nAlerts: none[^]*\nRecommendations/ })
    t.match(await ask('top'), { code: 0, out: /route or namespace[^]*\n\/products\/:id +2 +50\.0 %/ })
    t.match(await ask('invalidate', '--tag', 'catalog', '--dry-run'), { code: 0, out: /^Would touch 2 entries\n {2}\S/ })
    t.match(await ask('invalidate', '--tag', 'catalog', '--soft'), { code: 0, out: 'Purged in all processes that share the cache' })
    t.match(await ask('invalidate', '--key', 'product:1', '--pattern', 'a*', '--path', '/products/*'), { code: 0, out: 'Purged in all processes that share the cache' })
    t.equal(await app.cache.get('product:1'), undefined)
    await app.cache.set('x', 1)
    t.match(await ask('flush'), { code: 0 })
    t.equal(await app.cache.get('x'), undefined)
  })

  t.test('is told with the cure where it is no', async (t) => {
    const { url } = await appOf(t)
    t.match(await command(['entries', '--url', url], { variables: {} }), { code: 1, out: '', notes: /set CACHE_ADMIN_TOKEN, or give --token/ })
    t.match(await command(['entries', '--url', url], { variables: { CACHE_ADMIN_TOKEN: '' } }), { code: 1, out: '', notes: /set CACHE_ADMIN_TOKEN, or give --token/ }, 'an empty variable is none')
    t.match(await command(['stats', '--url', url], { variables: { CACHE_ADMIN_TOKEN: '' } }), { code: 0, notes: '' })
    t.match(await command(['entries', '--url', url, '--token', 'wrong-token-of-length']), { code: 1, notes: /does not accept this token/ })
    t.match(await command(['invalidate', '--pattern', '[', '--url', url]), { code: 1, notes: /Pattern/ })
    t.match(await command(['explain', 'nowhere', '--url', url]), { code: 1, notes: /must be a path/ })
    t.match(await command(['stats', '--url', url, '--prefix', '/elsewhere']), { code: 1, notes: /no \/elsewhere\/stats: the option exposeStats is off, or/ })
    const { url: bare } = await appOf(t, { monitor: false })
    t.match(await command(['flush', '--url', bare]), { code: 1, notes: /the admin routes are off \(register the plugin with admin/ })
    t.match(await command(['report', '--url', bare]), { code: 1, notes: /monitor is false/ })
  })

  t.test('is not trusted', async (t) => {
    const { app, url } = await appOf(t)
    await app.cache.set('evil\u001b[2J\u202e', 1)
    t.match(await command(['entries', 'evil*', '--url', url]), { out: 'evil\\u001b[2J\\u202e' })
    const away = await serve(t, (_request, response) => { response.writeHead(307, { location: 'http://evil.example/\u0085' }).end() })
    t.match(await command(['stats', '--url', away]), { code: 1, notes: /sends elsewhere, to http:\/\/evil\.example\/\\u0085/ }, 'a token does not follow')
    const other = await serve(t, (_request, response) => { response.end('<html>') })
    t.match(await command(['stats', '--url', other]), { code: 1, notes: /is not the cache/ })
    const broken = await serve(t, (_request, response) => { response.writeHead(500).end('oops') })
    t.match(await command(['stats', '--url', broken]), { code: 1, notes: 'The server answers with status 500' })
    const silent = await serve(t, () => {})
    t.match(await command(['stats', '--url', silent, '--timeout', '0.05']), { code: 1, notes: /did not answer within 0\.05 s/ })
    t.match(await command(['stats', '--url', `http://127.0.0.1:${await freePort()}`]), { code: 1, notes: /^Nobody listens at http:\/\/127\.0\.0\.1:\d+\. Start the app, or say with --url/ })
    t.match(await command(['stats', '--url', 'http://127.0.0.1:1']), { code: 1, notes: 'http://127.0.0.1:1 cannot be reached: bad port' })
  })
})

t.test('warm', async (t) => {
  t.test('fetches paths, and shows how far it is where somebody looks on', async (t) => {
    const { url, app } = await appOf(t)
    const told = await command(['warm', '/products/1', '--file', 'paths.txt', '--url', url], { watched: true, files: { 'paths.txt': '/products/2\n\n /products/3 \n' } })
    t.match(told, { code: 0, out: /^completed: 3 stored, 0 failed, 0 skipped in / })
    t.match(told.drawn.at(-2), /^\[#+\] 3 of 3/)
    t.equal(told.drawn.at(-1), '', 'the line is cleared for what follows')
    t.match((await fetch(`${url}/products/3`)).headers.get('cache-status'), /;hit/)
    t.match(await command(['warm', '/nowhere', '--url', url]), { code: 1, out: /1 failed[^]*status 404/, notes: /1 of 1 could not be fetched/ })
    t.match(await command(['warm', '//evil.example/', '--url', url]), { code: 1, out: '', notes: /cannot be warmed/ })
    t.match(await command(['warm', '--learned', '--url', url]), { code: 1, notes: /nothing is learned/ })
    t.match(JSON.parse((await command(['warm', '/products/9', '--host', 'shop.example', '--https', '--json', '--url', url])).out), { state: 'ended', stored: 1 })
    t.match((await app.inject({ url: '/cache/entries?pattern=*shop.example*', headers: { authorization: `Bearer ${token}` } })).json(), { entries: [{ key: 'response:https://shop.example/products/9' }] })
    t.match(await command(['warm', '--list', '--url', url]), { code: 0, out: /^id +name +state[^]*routes +completed/ })
  })

  t.test('can be left alone, watched and cancelled', async (t) => {
    const { url, release } = await appOf(t)
    t.match(await command(['warm', '--list', '--url', url]), { out: 'No warming since the start' })
    const { out: id } = await command(['warm', '/held', '--detach', '--url', url])
    t.match(await command(['warm', '/products/1', '--url', url]), { code: 1, notes: /is under way/ })
    t.match(await command(['warm', '--cancel', id, '--url', url]), { code: 0, out: /^cancelled: 0 stored/ })
    const controller = new AbortController()
    t.match(await command(['warm', '/held', '--url', url], { watched: true, signal: controller.signal, onDraw: () => { controller.abort() } }), { code: 1, out: /^cancelled/, notes: /ended as: cancelled/ }, 'Ctrl-C cancels')
    const { out: second } = await command(['warm', '/held', '--detach', '--url', url])
    const watching = command(['warm', '--watch', second, '--url', url])
    release()
    t.match(await watching, { code: 0, out: /^completed: 1 stored/ })
    t.match(await command(['warm', '--watch', 'none', '--url', url]), { code: 1, notes: /no warming/ })
  })

  t.test('asks again when the events are cut off', async (t) => {
    let asked = 0
    const url = await serve(t, (request, response) => {
      if (request.url?.endsWith('/events') === true) response.write('event: progress\ndata: {"total":1,"failed":0,"durationMs":5}\n\n', () => { response.destroy() })
      else response.end(JSON.stringify({ id: 'x', state: ++asked > 1 ? 'ended' : 'running', outcome: 'completed', total: 1, stored: 1, failed: 0, skipped: 0, durationMs: 5 }))
    })
    t.match(await command(['warm', '--watch', 'x', '--url', url]), { code: 0, out: /^completed: 1 stored/ })
    t.equal(asked, 2)
  })
})

t.test('the program runs, and ends with its code', async (t) => {
  const { url } = await appOf(t)
  const start = async (...args: string[]): Promise<{ code: number | null, out: string, notes: string }> => {
    const child = spawn(process.execPath, [...programArgs('bin/fastify-response-cache'), ...args], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    const code = new Promise<number | null>((resolve) => { child.once('close', resolve) })
    const [out, notes] = await Promise.all([text(child.stdout), text(child.stderr)])
    return { code: await code, out, notes }
  }
  const [good, bad] = await Promise.all([start('warm', '/products/1', '--url', url), start('nonsense')])
  t.match(good, { code: 0, out: /^completed: 1 stored/, notes: '' }, 'no bar where nobody looks on')
  t.match(bad, { code: 2, out: '', notes: /no command/ })
})

t.test('figures', async (t) => {
  t.same([bytes(0), bytes(1023), bytes(1024), bytes(5 * 1024 ** 3), bytes(null)], ['0 B', '1023 B', '1.0 KB', '5.0 GB', '–'])
  t.same([duration(null), duration(0.0001234), duration(1.5), duration(600), duration(86_400)], ['–', '0.123 ms', '1.5 s', '10 min', '24 h'])
  t.same(table(['name', 'n'], [['a', '1'], ['bbbbb', '20']]), ['name    n', 'a       1', 'bbbbb  20'])
  t.same(progressBar({ total: 5, expected: 10, failed: 1, durationMs: 1000 }, 80), '[###############               ] 5 of 10, 1 failed, 1 s')
  t.equal(progressBar({ total: 5, failed: 0, durationMs: 1000 }, 80), '5, 1 s')
  t.equal(progressBar({ total: 5, expected: 10, failed: 0, durationMs: 1000 }, 12), '5 of 10, 1 ', 'cut to a narrow terminal')
  const parts = async function * (): AsyncGenerator<Uint8Array> { for (const part of [': \n\nevent: a\nda', 'ta: {"b', '":"ü"}\n\ndata: c\n', '\nevent: cut']) yield Buffer.from(part) }
  const events = []
  for await (const event of readEvents(parts())) events.push(event)
  t.same(events, [{ name: 'a', data: '{"b":"ü"}' }, { name: 'message', data: 'c' }])
  for await (const event of readEvents(null)) t.fail(event.name)
})
