import { connect as connect2 } from 'node:http2'
import { connect } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import cache from '../../plugins/index.ts'
import { cachedApp, cacheStatus, deferred, turns, type Deferred } from '../support/cached-app.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { abandonedRequest, listening, rawRequest } from '../support/raw-http.ts'
import { until } from '../support/until.ts'

t.test('a thousand requests for one response are one run of the handler', async (t) => {
  const { app } = await cachedApp()
  const gate = deferred()
  let runs = 0
  app.get('/x', { config: { cache: true } }, async () => { runs++; await gate.promise; return 'page' })
  const all = Array.from({ length: 1000 }, async () => await app.inject('/x'))
  await turns()
  gate.resolve()
  const answers = await Promise.all(all)
  t.equal(runs, 1)
  t.ok(answers.every(({ body }) => body === 'page'))
  t.equal(answers.filter((answer) => /^fwd=uri-miss;ttl=\d+;collapsed$/.test(cacheStatus(answer))).length, 999)
  t.equal(app.cache.getStats().coalescedLoads, 999)
  await app.close()
})

t.test('what proves uncacheable is shared with nobody, and nobody queues for it again', async (t) => {
  const { app, clock } = await cachedApp({ hitForMiss: 60 })
  let runs = 0
  let gate = deferred()
  let shareable = false
  app.get('/x', { config: { cache: true } }, async (_request, reply) => {
    const run = ++runs
    if (!shareable) reply.header('cache-control', 'private')
    await gate.promise
    return `for run ${run}`
  })
  const round = async (): Promise<string[]> => {
    const all = Array.from({ length: 20 }, async () => (await app.inject('/x')).body)
    await turns()
    gate.resolve()
    return await Promise.all(all)
  }
  t.equal(new Set(await round()).size, 20)
  runs = 0
  gate = deferred()
  const second = Array.from({ length: 20 }, async () => await app.inject('/x'))
  await turns()
  t.equal(runs, 20, 'nobody waits for anybody')
  gate.resolve()
  await Promise.all(second)
  shareable = true
  await app.inject('/x')
  clock.advance(300_000 + 60_000)
  runs = 0
  gate = deferred()
  await round()
  t.equal(runs, 1, 'what could be stored after all is waited for again')
  await app.close()
})

t.test('requests for the variants of one URL are one run of the handler for each', async (t) => {
  const { app } = await cachedApp()
  const languages = ['ar', 'de', 'en', 'fr', 'it']
  let runs: string[] = []
  app.get('/x', { config: { cache: { tags: ['page'] } } }, async (request, reply) => {
    const language = String(request.headers['accept-language'])
    runs.push(language)
    await turns()
    return await reply.header('vary', 'accept-language').send(language)
  })
  const round = async (waitedInVain: number): Promise<void> => {
    runs = []
    const asked = Array.from({ length: 100 }, (_, index) => String(languages[index % languages.length]))
    const answers = await Promise.all(asked.map(async (language) => await app.inject({ url: '/x', headers: { 'accept-language': language } })))
    t.same(answers.map(({ body }) => body), asked)
    t.same(runs.toSorted(), languages)
    t.equal(answers.filter((answer) => /collapsed=\?0/.test(cacheStatus(answer))).length, waitedInVain)
  }
  await t.test('when nobody knows yet that there are any', async () => { await round(languages.length - 1) })
  await app.cache.invalidate({ tags: ['page'] })
  await t.test('when they are known', async () => { await round(0) })
  await app.close()
})

t.test('what is stale on arrival is shared while it is refreshed', async (t) => {
  const { app } = await cachedApp()
  const gate = deferred()
  let runs = 0
  app.get('/x', { config: { cache: true } }, async (_request, reply) => {
    runs++
    await gate.promise
    return await reply.header('cache-control', 'max-age=0, stale-while-revalidate=9').send('page')
  })
  const all = Array.from({ length: 20 }, async () => await app.inject('/x'))
  await turns()
  gate.resolve()
  const answers = await Promise.all(all)
  t.equal(answers.filter((answer) => /stale-while-revalidate/.test(cacheStatus(answer))).length, 19)
  t.equal(runs, 2, 'the one they waited for, and one refresh')
  await app.close()
})

t.test('a leader that fails, stalls, leaves or hijacks holds nobody up', async (t) => {
  await t.test('an error is for the leader alone', async (t) => {
    const { app } = await cachedApp()
    const gate = deferred()
    let runs = 0
    app.get('/x', { config: { cache: true } }, async () => {
      if (++runs > 1) return 'page'
      await gate.promise
      throw new Error('down')
    })
    const all = Array.from({ length: 10 }, async () => await app.inject('/x'))
    await turns()
    gate.resolve()
    const answers = await Promise.all(all)
    t.equal(answers.filter(({ statusCode }) => statusCode === 500).length, 1)
    t.equal(answers.filter(({ body }) => body === 'page').length, 9)
    await app.close()
  })

  await t.test('a slow one is not waited for longer than the bound', async (t) => {
    const { app, clock } = await cachedApp({ coalesceTimeout: 2 })
    const gate = deferred()
    let runs = 0
    app.get('/x', { config: { cache: true } }, async () => { if (++runs === 1) await gate.promise; return 'page' })
    const leader = app.inject('/x')
    await turns()
    const follower = app.inject('/x')
    await turns()
    clock.advance(1999)
    await turns()
    t.equal(runs, 1)
    clock.advance(1)
    t.match(cacheStatus(await follower), 'collapsed=?0')
    gate.resolve()
    await leader
    await app.close()
  })

  await t.test('several slow ones in a row are not waited for longer than the bound, all together', async (t) => {
    const { app, clock } = await cachedApp({ coalesceTimeout: 5 })
    const begun = deferred()
    const left = deferred()
    const next = deferred()
    const gate = deferred()
    let runs = 0
    app.get('/x', { config: { cache: true } }, async (_request, reply) => {
      const run = ++runs
      if (run === 1) {
        begun.resolve()
        reply.raw.once('close', () => { left.resolve() })
        await new Promise(() => {})
      }
      if (run === 2) {
        next.resolve()
        await gate.promise
      }
      return `run ${run}`
    })
    const port = await listening(app)
    const ask = async (): Promise<string> => (await rawRequest(port, ['GET /x HTTP/1.1', 'Host: a.example'])).body
    let followers: Array<Promise<string>> = []
    await abandonedRequest(port, '/x', begun.promise.then(async () => {
      followers = [ask(), ask(), ask()]
      while (app.cache.getStats().coalescedLoads < 3) await turns(1)
      clock.advance(3000)
    }))
    await left.promise
    await next.promise
    await turns()
    clock.advance(1999)
    await turns()
    t.equal(runs, 2, 'the second leads, the others wait for it')
    clock.advance(1)
    const first = await Promise.race(followers)
    t.match(first, /^run [34]$/, 'five seconds after they came they go alone, though they have waited for the second for two only')
    gate.resolve()
    t.equal((await Promise.all(followers)).length, 3)
    t.equal(runs, 4)
    await app.close()
  })

  await t.test('one whose client leaves is followed by the next, not by all', async (t) => {
    const { app } = await cachedApp()
    const begun = deferred()
    const left = deferred()
    let runs = 0
    app.get('/x', { config: { cache: true } }, async (_request, reply) => {
      if (++runs === 1) {
        begun.resolve()
        reply.raw.once('close', () => { left.resolve() })
        await new Promise(() => {})
      }
      await turns()
      return 'page'
    })
    const port = await listening(app)
    const waiting = begun.promise.then(async () => {
      const all = Array.from({ length: 20 }, async () => await rawRequest(port, ['GET /x HTTP/1.1', 'Host: a.example']))
      while (app.cache.getStats().coalescedLoads < 20) await turns(1)
      return all
    })
    await abandonedRequest(port, '/x', waiting)
    await left.promise
    const answers = await Promise.all(await waiting)
    t.ok(answers.every(({ body }) => body === 'page'))
    t.equal(runs, 2)
    await app.close()
  })

  await t.test('however many leave one after the other, one at a time takes their place', async (t) => {
    const { app } = await cachedApp()
    const leavers = 4
    const begun = Array.from({ length: leavers }, () => deferred())
    const last = deferred()
    const gate = deferred()
    let runs = 0
    app.get('/x', { config: { cache: true } }, async () => {
      (begun[runs++] ?? last).resolve()
      await gate.promise
      return 'page'
    })
    const port = await listening(app)
    const waiting = async (requests: number): Promise<void> => { while (app.cache.getStats().coalescedLoads < requests) await turns(1) }
    const honest = deferred<Array<Promise<string>>>()
    let gone: Promise<unknown> = honest.promise
    for (const [number, { promise }] of begun.entries()) {
      gone = abandonedRequest(port, '/x', Promise.all([gone, promise]))
      await (number === 0 ? promise : waiting(number))
    }
    const answers = Array.from({ length: 20 }, async () => (await rawRequest(port, ['GET /x HTTP/1.1', 'Host: a.example'])).body)
    await waiting(leavers - 1 + answers.length)
    honest.resolve(answers)
    await last.promise
    await turns(20)
    t.equal(runs, leavers + 1)
    gate.resolve()
    t.ok((await Promise.all(answers)).every((body) => body === 'page'))
    t.equal(runs, leavers + 1)
    await app.close()
  })

  await t.test('one that hijacks the reply', async (t) => {
    const { app } = await cachedApp()
    let runs = 0
    app.get('/x', { config: { cache: true } }, (_request, reply) => {
      runs++
      reply.hijack()
      setImmediate(() => { reply.raw.end('raw') })
    })
    const answers = await Promise.all(Array.from({ length: 5 }, async () => (await app.inject('/x')).body))
    t.same(answers, Array(5).fill('raw'))
    t.equal(runs, 5)
    await app.close()
  })

  // The clock of these stands still: nobody is let go by the bound on waiting.
  for (const [name, listen] of Object.entries({
    'a hijacked reply': (reply: FastifyReply): undefined => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      return undefined
    },
    'one that is hijacked later': async (reply: FastifyReply): Promise<void> => {
      await turns()
      reply.hijack()
      reply.raw.write('data: 1\n\n')
    },
    'an async one': async (reply: FastifyReply): Promise<void> => {
      reply.hijack()
      reply.raw.write('data: 1\n\n')
      await new Promise(() => {})
    },
    'a stream': (reply: FastifyReply): FastifyReply => {
      const events = new PassThrough()
      events.write('data: 1\n\n')
      return reply.type('text/event-stream; charset=utf-8').send(events)
    }
  })) {
    await t.test(`events without end, by ${name}`, async (t) => {
      const { app } = await cachedApp()
      t.teardown(() => app.close())
      app.get('/events', { config: { cache: true } }, (_request, reply) => listen(reply))
      const port = await listening(app)
      const sockets = Array.from({ length: 3 }, () => connect(port, '127.0.0.1'))
      await Promise.all(sockets.map(async (socket) => {
        socket.write('GET /events HTTP/1.1\r\nHost: a.example\r\n\r\n')
        let text = ''
        for await (const chunk of socket) {
          text += String(chunk)
          if (text.includes('data: 1')) break
        }
        t.match(text, /data: 1/)
        if (name === 'a stream') t.match(text, /event-stream/)
      }))
    })
  }
})

t.test('clients that leave in the middle of it leave nothing behind', async (t) => {
  const { app } = await cachedApp()
  const leaders = Array.from({ length: 4 }, () => deferred())
  let stay = true
  app.get('/x/:id', { config: { cache: true } }, async (request, reply) => {
    if (!stay) return 'page'
    reply.raw.once('close', () => { leaders[Number((request.params as { id: string }).id)]?.resolve() })
    return await new Promise(() => {})
  })
  const port = await listening(app)
  for (let i = 0; i < 20; i++) {
    const socket = connect(port, '127.0.0.1', () => { socket.write(`GET /x/${i % 4} HTTP/1.1\r\nHost: a.example\r\n\r\n`) })
    await turns(3)
    socket.destroy()
  }
  await Promise.all(leaders.map(async ({ promise }) => { await promise }))
  await turns(10)
  stay = false
  // Time stands still: whoever waited for a leader that is gone would wait for ever.
  for (let i = 0; i < 4; i++) t.match(await rawRequest(port, [`GET /x/${i} HTTP/1.1`, 'Host: a.example']), { status: 200, headers: { 'cache-status': /;stored/ } })
  await app.close()
})

t.test('stale-while-revalidate: one refresh in the background, with every hook and no credentials', async (t) => {
  const { app, clock } = await cachedApp()
  const seen: Array<Record<string, unknown>> = []
  let runs = 0
  let gate = deferred()
  gate.resolve()
  app.addHook('onRequest', async ({ headers }) => { seen.push({ ...headers }) })
  app.get('/x', { config: { cache: { ttl: 10, staleWhileRevalidate: 20, public: true, serveFrom: 'handler' } } }, async () => { await gate.promise; return `run ${++runs}` })
  app.get('/early', { config: { cache: { ttl: 10, staleWhileRevalidate: 20, public: true } } }, async () => { await gate.promise; return `early ${++runs}` })
  for (const path of ['/x', '/early']) {
    runs = 0
    gate = deferred()
    gate.resolve()
    const first = (await app.inject(path)).body
    clock.advance(15_000)
    gate = deferred()
    seen.length = 0
    const stale = await Promise.all(Array.from({ length: 10 }, async () => await app.inject({ url: path, headers: { authorization: 'Bearer me', cookie: 'me=1', 'if-none-match': '"x"', range: 'bytes=0-0', 'x-mine': '1' } })))
    t.ok(stale.every((answer) => /^hit;ttl=-5;detail=stale-while-revalidate/.test(cacheStatus(answer))), path)
    gate.resolve()
    await turns(20)
    t.equal(runs, 2, path)
    const refresh = seen.filter(({ authorization }) => authorization === undefined)
    t.equal(refresh.length, 1)
    t.same([refresh[0]?.cookie, refresh[0]?.['if-none-match'], refresh[0]?.range, refresh[0]?.['x-mine']], [undefined, undefined, undefined, '1'])
    const renewed = await app.inject(path)
    t.equal(cacheStatus(renewed), 'hit;ttl=10')
    t.not(renewed.body, first)
    clock.advance(31_000)
    t.match(cacheStatus(await app.inject(path)), /^fwd/, 'not after the window')
  }
  await app.close()
})

t.test('a refresh keeps to its partition, and a guard that refuses it costs nothing but freshness', async (t) => {
  const { app, clock } = await cachedApp()
  let runs = 0
  app.addHook('preHandler', async (request, reply) => request.url.startsWith('/guarded') && request.headers['x-key'] !== 'open' ? await reply.code(401).send('closed') : undefined)
  const options = { ttl: 10, staleWhileRevalidate: 20 }
  app.get('/mine', { config: { cache: { ...options, partition: ({ headers }) => headers.authorization } } }, async ({ headers }) => `${headers.authorization ?? ''} ${++runs}`)
  app.get('/guarded', { config: { cache: options } }, async () => `guarded ${++runs}`)
  for (const user of ['ann', 'bob']) await app.inject({ url: '/mine', headers: { authorization: user } })
  await app.inject({ url: '/guarded', headers: { 'x-key': 'open' } })
  clock.advance(15_000)
  for (const user of ['ann', 'bob']) {
    t.match((await app.inject({ url: '/mine', headers: { authorization: user } })).body, user)
    await turns(20)
    t.match(await app.inject({ url: '/mine', headers: { authorization: user } }), { body: new RegExp(`^${user}`), headers: { 'cache-status': /hit;ttl=10$/ } })
  }
  t.match(await app.inject({ url: '/guarded', headers: { 'x-key': 'open' } }), { body: /^guarded/ })
  await turns(20)
  t.match(cacheStatus(await app.inject({ url: '/guarded', headers: { 'x-key': 'open' } })), /^hit;ttl=10/, 'the key went along')
  t.equal((await app.inject('/guarded')).statusCode, 401)
  await app.close()
})

t.test('stale-if-error: thrown, sent, and slow; for all who wait; never after a hard purge', async (t) => {
  const { app, clock } = await cachedApp()
  let mode: 'good' | 'throw' | '503' | 'response' | 'hang' = 'good'
  let runs = 0
  const hang = deferred()
  const answer = async (request: FastifyRequest): Promise<unknown> => {
    runs++
    if (mode === 'throw') throw new Error('down')
    if (mode === 'response') return new Response('no', { status: 503 })
    if (mode === 'hang') await hang.promise
    return 'page'
  }
  app.get('/x', { config: { cache: { ttl: 10, staleIfError: 60, tags: ['x'] } } }, async (request, reply) => { if (mode === '503') { reply.header('x-failed', '1'); return await reply.code(503).send('no') } return await answer(request) })
  app.get('/soft', { config: { cache: { ttl: 10, staleIfError: 60, softTimeout: 1 } } }, answer)
  await app.inject('/x')
  await app.inject('/soft')
  clock.advance(20_000)
  for (mode of ['throw', '503', 'response'] as const) {
    const stale = await app.inject('/x')
    t.match(stale, { statusCode: 200, body: 'page', headers: { age: '20' } }, mode)
    t.match(cacheStatus(stale), /^fwd=stale;fwd-status=50[03];ttl=-10;detail=stale-if-error$/, mode)
    t.equal(stale.headers['x-failed'], undefined)
  }
  mode = 'throw'
  runs = 0
  const herd = await Promise.all(Array.from({ length: 50 }, async () => await app.inject('/x')))
  t.ok(herd.every(({ statusCode, body }) => statusCode === 200 && body === 'page'))
  t.equal(runs, 1, 'one failure is enough for all who waited')
  mode = 'hang'
  const slow = app.inject('/soft')
  await turns()
  clock.advance(1000)
  t.match(await slow, { body: 'page', headers: { 'cache-status': /stale|soft-timeout/ } })
  hang.resolve()
  mode = 'throw'
  await app.cache.invalidate({ tags: ['x'], soft: true })
  t.equal((await app.inject('/x')).statusCode, 200, 'a soft purge leaves it for the worst case')
  await app.cache.invalidate({ tags: ['x'] })
  t.equal((await app.inject('/x')).statusCode, 500)
  mode = 'good'
  await app.inject('/x')
  clock.advance(80_000)
  mode = 'throw'
  t.equal((await app.inject('/x')).statusCode, 500, 'not after the window')
  await app.close()
})

t.test('each variant of a URL is renewed for itself', async (t) => {
  const { app, clock } = await cachedApp()
  let broken = ''
  const gates: Record<string, Deferred<void>> = {}
  app.get('/x', { config: { cache: { ttl: 10, staleIfError: 60, softTimeout: 1 } } }, async (request, reply) => {
    const language = String(request.headers['accept-language'])
    reply.header('vary', 'accept-language')
    const gate = gates[language] = deferred()
    if (broken === '') gate.resolve()
    await gate.promise
    if (language === broken) throw new Error('down')
    return broken === '' ? 'old' : 'new'
  })
  const ask = async (language: string): Promise<string> => (await app.inject({ url: '/x', headers: { 'accept-language': language } })).body
  for (const language of ['de', 'en']) t.equal(await ask(language), 'old')
  delete gates['en']
  clock.advance(20_000)
  broken = 'de'
  const answers = [ask('de'), ask('en')]
  await turns(20)
  t.ok(gates['en'], 'nobody waits for the handler of another variant')
  gates['de']?.resolve()
  gates['en']?.resolve()
  t.same(await Promise.all(answers), ['old', 'new'])
  await app.close()
})

t.test('a purge while the handler fails takes the stale response as well', async (t) => {
  const { app, clock } = await cachedApp()
  const gate = deferred()
  let fail = false
  app.get('/x', { config: { cache: { ttl: 10, staleIfError: 60, tags: ['x'] } } }, async () => {
    if (!fail) return 'page'
    await gate.promise
    throw new Error('down')
  })
  await app.inject('/x')
  clock.advance(20_000)
  fail = true
  const answer = app.inject('/x')
  await turns()
  await app.cache.invalidate({ tags: ['x'] })
  gate.resolve()
  t.equal((await answer).statusCode, 500)
  await app.close()
})

t.test('a success of an unsafe method is felt before its client has the answer', async (t) => {
  const { app } = await cachedApp()
  let n = 0
  app.get('/*', { config: { cache: { tags: ({ params }) => ['all', `one:${params['*'] ?? ''}`] } } }, async () => ++n)
  const page = async (url: string, headers = {}): Promise<string> => (await app.inject({ url, headers })).body
  const changed = async (url: string, headers = {}): Promise<boolean> => {
    const known = await page(url, headers)
    return await page(url, headers) === known ? false : t.fail('not cached')
  }
  const effect = async (request: { method: 'PUT' | 'POST' | 'DELETE' | 'PATCH', url: string, headers?: Record<string, string> }, urls: string[]): Promise<string[]> => {
    for (const url of urls) await changed(url)
    const before = await Promise.all(urls.map(async (url) => await page(url)))
    await app.inject(request)
    const after = await Promise.all(urls.map(async (url) => await page(url)))
    return urls.filter((_, i) => before[i] !== after[i])
  }
  app.put('/plain/:id', async () => 'ok')
  app.put('/fails/:id', async (_request, reply) => await reply.code(409).send())
  app.put('/throws/:id', async () => { throw new Error('no') })
  app.delete('/plain/:id', async (_request, reply) => await reply.code(204).send())
  app.post('/created', async (_request, reply) => await reply.code(201).header('location', '/items/7').header('content-location', 'http://localhost:80/other').send())
  app.post('/moved', async (_request, reply) => await reply.redirect('http://evil.example/items/7', 303))
  app.post('/tagged', { config: { cache: { invalidates: () => ['one:items/7'] } } }, async () => 'ok')
  app.post('/failing-tags', { config: { cache: { invalidates: () => { throw new Error('no tags') } } } }, async () => 'ok')
  app.post('/odd', async (_request, reply) => await reply.headers({ 'x-flag': true as unknown as string, 'x-null': null as unknown as string }).send('ok'))
  app.patch('/async', async () => { await turns(); return 'ok' })
  await app.ready()
  t.same(await effect({ method: 'PUT', url: '/plain/1?x' }, ['/plain/1', '/plain/1?a=1', '/plain/%31', '/plain/2', '/plain/1/']), ['/plain/1', '/plain/1?a=1', '/plain/%31'])
  t.same(await effect({ method: 'PUT', url: '/plain/a%2Cb%7B' }, ['/plain/a,b{', '/plain/a%2cb%7b', '/plain/a']), ['/plain/a,b{', '/plain/a%2cb%7b'])
  t.same(await effect({ method: 'DELETE', url: '/plain/1' }, ['/plain/1']), ['/plain/1'])
  t.same(await effect({ method: 'PUT', url: '/fails/1' }, ['/fails/1']), [])
  t.same(await effect({ method: 'PUT', url: '/throws/1' }, ['/throws/1']), [])
  t.same(await effect({ method: 'POST', url: '/created' }, ['/created', '/items/7', '/other', '/items/8']), ['/created', '/items/7', '/other'])
  t.same(await effect({ method: 'POST', url: '/moved' }, ['/moved', '/items/7']), ['/moved'])
  t.same(await effect({ method: 'POST', url: '/tagged' }, ['/tagged', '/items/7', '/items/8']), ['/tagged', '/items/7'])
  t.same(await effect({ method: 'POST', url: '/failing-tags' }, ['/failing-tags']), ['/failing-tags'], 'the path goes even when the tags cannot be made')
  t.same(await effect({ method: 'POST', url: '/odd' }, ['/odd']), ['/odd'], 'whatever the values of its headers are')
  t.same(await effect({ method: 'PATCH', url: '/async' }, ['/async']), ['/async'])
  t.same(await effect({ method: 'PUT', url: '/plain/1', headers: { host: 'other.example' } }, ['/plain/1']), [], 'another origin')
  t.same(await effect({ method: 'PUT', url: '/plain/1', headers: { host: 'localhost' } }, ['/plain/1']), ['/plain/1'], 'the default port is no other origin')
  await app.close()
})

t.test('an unsafe request that is answered past reply.send purges all the same, and only if it succeeds', async (t) => {
  for (const [status, purges] of [[204, true], [409, false]] as const) {
    for (const answer of [(reply: FastifyReply) => { reply.hijack().raw.writeHead(status).end() }, (reply: FastifyReply) => { reply.raw.statusCode = status; reply.raw.end(); return reply }]) {
      const { app } = await cachedApp()
      let n = 0
      app.get('/x', { config: { cache: true } }, async () => `page ${++n}`)
      app.put('/x', (_request, reply) => answer(reply))
      const invalidated = deferred<boolean>()
      app.cache.on('invalidate', () => { invalidated.resolve(true) })
      app.addHook('onResponse', async (request) => { if (request.method === 'PUT') setImmediate(() => { invalidated.resolve(false) }) })
      await app.inject('/x')
      await app.inject({ method: 'PUT', url: '/x' })
      t.equal(await invalidated.promise, purges)
      t.equal((await app.inject('/x')).body, purges ? 'page 2' : 'page 1')
      await app.close()
    }
  }
})

t.test('a change that is made while its answer streams is felt once it has ended', async (t) => {
  const { app } = await cachedApp()
  t.teardown(() => app.close())
  let version = 1
  app.get('/x', { config: { cache: true } }, async () => `page ${version}`)
  const stream = new PassThrough()
  app.put('/x', async (_request, reply) => await reply.send(stream))
  await app.inject('/x')
  const changing = app.inject({ method: 'PUT', url: '/x' })
  stream.write('working')
  await turns(10)
  t.equal((await app.inject('/x')).body, 'page 1', 'stored while the change is on its way')
  t.match(cacheStatus(await app.inject('/x')), /^hit/)
  version = 2
  stream.end('done')
  await changing
  await turns(10)
  t.equal((await app.inject('/x')).body, 'page 2')
})

t.test('a client that leaves keeps no change from being felt, not even one that is made afterwards', async (t) => {
  type Change = (reply: FastifyReply, begun: () => void, change: () => Promise<void>) => unknown
  const changes: Readonly<Record<string, Change>> = {
    'answered by hijack, begun': async (reply, begun, change) => {
      reply.hijack().raw.write('working')
      begun()
      await change()
      reply.raw.end('done')
    },
    'answered by hijack, at the end': async (reply, begun, change) => {
      reply.hijack()
      begun()
      await change()
      reply.raw.end('done')
    },
    'answered by raw.end': async (reply, begun, change) => {
      begun()
      await change()
      reply.raw.end('done')
      return reply
    },
    'sent as a stream that makes it': async (_reply, begun, change) => Readable.from((async function * () {
      yield 'working'
      begun()
      await change()
      yield 'done'
    })()),
    'sent as a stream that is written into': async (_reply, begun, change) => {
      const stream = new PassThrough()
      stream.write('working')
      begun()
      change().then(() => { stream.end('done') }, t.threw)
      return stream
    },
    'sent as a stream when nobody is there any more': async (_reply, begun, change) => {
      begun()
      await change()
      return Readable.from(['done'])
    },
    'sent as text': async (_reply, begun, change) => {
      begun()
      await change()
      return 'done'
    },
    'sent as nothing': async (reply, begun, change) => {
      reply.code(204)
      begun()
      await change()
    }
  }
  for (const [name, answer] of Object.entries(changes)) {
    const { app } = await cachedApp()
    let version = 1
    const [begun, left, go] = [deferred(), deferred(), deferred()]
    app.get('/x', { config: { cache: true } }, async () => `page ${version}`)
    app.put('/x', async (_request, reply) => {
      reply.raw.once('close', left.resolve)
      return await answer(reply, begun.resolve, async () => { await go.promise; version = 2 })
    })
    const port = await listening(app)
    const page = async (): Promise<string> => (await rawRequest(port, ['GET /x HTTP/1.1', 'Host: a.example'])).body
    await abandonedRequest(port, '/x', begun.promise, 'PUT')
    await left.promise
    t.equal(await page(), 'page 1', `${name}: stored after the client has left`)
    t.equal(await page(), 'page 1')
    go.resolve()
    await until(`${name}: the change is felt`, async () => await page() === 'page 2')
    await app.close()
  }
})

t.test('a change that is made after its request was given up is felt, for all that anybody knows of how it went', async (t) => {
  type Change = (reply: FastifyReply, change: () => Promise<void>) => unknown
  const changes: Readonly<Record<string, Change>> = {
    'answered with text': async (_reply, change) => { await change(); return 'done' },
    'answered with nothing': async (_reply, change) => { await change() },
    failed: async (_reply, change) => { await change(); throw new Error('half done') },
    'answered by reply.send': (reply, change) => { change().then(() => reply.send('done'), t.threw) },
    'answered by reply.send, having returned the reply': async (reply, change) => {
      change().then(() => reply.send('done'), t.threw)
      return await reply
    },
    'answered by raw.end': (reply, change) => { change().then(() => { reply.raw.end('done') }, t.threw) }
  }
  for (const [name, answer] of Object.entries(changes)) {
    for (const status of [503, 200]) {
      const { app } = await cachedApp()
      const versions = { target: 1, tagged: 1, created: 1 }
      const go = deferred()
      if (status === 200) app.setErrorHandler(async () => 'later, perhaps')
      app.get('/x', { config: { cache: true } }, async () => versions.target)
      app.get('/tagged', { config: { cache: { tags: ['t'] } } }, async () => versions.tagged)
      app.get('/created', { config: { cache: true } }, async () => versions.created)
      app.put('/x', { handlerTimeout: 20, config: { cache: { invalidates: ['t'] } } }, (_request, reply) => answer(reply, async () => {
        await go.promise
        reply.header('location', '/created')
        for (const page of ['target', 'tagged', 'created'] as const) versions[page] = 2
      }))
      const pages = async (): Promise<string> => (await Promise.all(['/x', '/tagged', '/created'].map(async (url) => (await app.inject(url)).body))).join()
      t.equal((await app.inject({ method: 'PUT', url: '/x' })).statusCode, status, name)
      for (let n = 0; n < 2; n++) t.equal(await pages(), '1,1,1')
      go.resolve()
      await until(`${name}: the change is felt`, async () => await pages() === '2,2,2')
      await app.close()
    }
  }
})

t.test('a change that is made while its request is being given up is felt', async (t) => {
  const { app } = await cachedApp()
  let version = 1
  const [told, go] = [deferred(), deferred()]
  app.addHook('onSend', async ({ method }) => {
    if (method !== 'PUT') return
    told.resolve()
    await go.promise
  })
  app.get('/x', { config: { cache: true } }, async () => version)
  app.put('/x', { handlerTimeout: 20 }, (_request, reply) => {
    told.promise.then(async () => {
      await app.inject('/x')
      version = 2
      reply.send('done')
      t.equal((await app.inject('/x')).body, '2')
      go.resolve()
    }).catch(t.threw)
  })
  t.equal((await app.inject({ method: 'PUT', url: '/x' })).statusCode, 503)
  await app.close()
})

t.test('a client that leaves before it has been let in purges nothing', async (t) => {
  const { app } = await cachedApp()
  let n = 0
  const [asked, left, go, refused] = [deferred(), deferred(), deferred(), deferred()]
  app.get('/x', { config: { cache: true } }, async () => `page ${++n}`)
  app.put('/x', {
    onRequest: async (_request, reply) => {
      reply.raw.once('close', left.resolve)
      asked.resolve()
      await go.promise
      setImmediate(refused.resolve)
      return await reply.code(401).send('who are you?')
    }
  }, async () => 'done')
  const port = await listening(app)
  const page = async (): Promise<string> => (await rawRequest(port, ['GET /x HTTP/1.1', 'Host: a.example'])).body
  await page()
  await abandonedRequest(port, '/x', asked.promise, 'PUT')
  await left.promise
  t.equal(await page(), 'page 1')
  go.resolve()
  await refused.promise
  t.equal(await page(), 'page 1')
  await app.close()
})

t.test('an onResponse hook that fails keeps no change from being felt', async (t) => {
  for (const place of ['app', 'route']) {
    for (const way of ['hijack', 'stream']) {
      const { app } = await cachedApp()
      let version = 1
      const fails = async (request: FastifyRequest): Promise<void> => { if (request.method === 'PUT') throw new Error('the journal is away') }
      if (place === 'app') app.addHook('onResponse', fails)
      app.get('/x', { config: { cache: true } }, async () => `page ${version}`)
      const [begun, go] = [deferred(), deferred()]
      app.put('/x', place === 'app' ? {} : { onResponse: fails }, async (_request, reply) => {
        const stream = new PassThrough()
        go.promise.then(() => { version = 2; (way === 'hijack' ? reply.raw : stream).end('done') }, t.threw)
        begun.resolve()
        return way === 'hijack' ? reply.hijack() : stream
      })
      const changing = app.inject({ method: 'PUT', url: '/x' })
      await begun.promise
      await turns()
      t.equal((await app.inject('/x')).body, 'page 1')
      go.resolve()
      await changing
      t.equal((await app.inject('/x')).body, 'page 2', `${way}, a hook of the ${place}`)
      await app.close()
    }
  }
})

t.test('a purge by key, path or pattern takes all variants, and a soft one leaves them for a while', async (t) => {
  const { app, clock } = await cachedApp()
  let n = 0
  app.get('/x', { config: { cache: { ttl: 60, staleWhileRevalidate: 60, tags: ['x'] } } }, async ({ headers }, reply) => { reply.header('vary', 'Accept-Language'); return `${headers['accept-language'] ?? ''} ${++n}` })
  const page = async (language: string): Promise<{ body: string, status: string }> => {
    const answer = await app.inject({ url: '/x', headers: { 'accept-language': language } })
    return { body: answer.body, status: cacheStatus(answer) }
  }
  for (const purge of [{ keys: ['response:http://localhost:80/x'] }, { paths: ['/x'] }, { paths: ['/*'] }, { patterns: ['response:http://localhost*'] }, { tags: ['x'] }, { everything: true }]) {
    const [en, de] = [await page('en'), await page('de')]
    t.equal((await page('en')).body, en.body)
    await app.cache.invalidate(purge)
    t.not((await page('en')).body, en.body, JSON.stringify(purge))
    t.not((await page('de')).body, de.body, JSON.stringify(purge))
  }
  for (const purge of [{ paths: ['/x'], soft: true }, { tags: ['x'], soft: true }]) {
    const en = await page('en')
    clock.advance(1000)
    await app.cache.invalidate(purge)
    const stale = await page('en')
    t.equal(stale.body, en.body)
    t.match(stale.status, 'stale-while-revalidate', JSON.stringify(purge))
    await turns(20)
    t.not((await page('en')).body, en.body)
  }
  await app.close()
})

t.test('what a response was built from takes it along, however it was read', async (t) => {
  const { app } = await cachedApp()
  let n = 0
  const load = async (id: string): Promise<unknown> => { await turns(1); return await app.cache.getOrSet(`product:${id}`, async () => await Promise.resolve({ id }), { tags: [`brand:${id}`] }) }
  app.get('/page', { config: { cache: true } }, async () => { await turns(2); return { n: ++n, product: await load('1') } })
  app.get('/list', { config: { cache: true } }, async () => ({ n: ++n, all: await app.cache.getMany(['product:1', 'product:2']) }))
  app.get('/ns', { config: { cache: true } }, async () => ({ n: ++n, all: await app.cache.namespace('shop').getOrSet('a', () => 1, { tags: ['t'] }) }))
  app.get('/entities', { config: { cache: { entities: { product: ['items[].id', 'main.id'] } } } }, async () => ({ n: ++n, items: [{ id: 1 }, { id: 2 }], main: { id: 'x' } }))
  app.get('/text', { config: { cache: { entities: { product: '[].id' } } } }, async (_request, reply) => { n++; return await reply.type('application/json').send(JSON.stringify([{ id: 5 }, { n }])) })
  app.get('/reply', { config: { cache: true } }, async (_request, reply) => { reply.cacheTags('a', 'b').cacheTags('c'); return ++n })
  const changes = async (url: string, change: () => unknown): Promise<boolean> => {
    await app.inject(url)
    const before = await app.inject(url)
    t.match(cacheStatus(before), /^hit/, url)
    await change()
    return (await app.inject(url)).body !== before.body
  }
  const { cache: data } = app
  const cases: Array<[string, () => unknown, boolean]> = [
    ['/page', async () => await data.delete('product:1'), true],
    ['/page', async () => await data.invalidate({ tags: ['brand:1'] }), true],
    ['/page', async () => await data.invalidate({ patterns: ['product:*'] }), true],
    ['/page', async () => await data.set('product:1', { id: 'new' }), true],
    ['/page', async () => await data.delete('product:2'), false],
    ['/list', async () => await data.set('product:2', 1), true],
    ['/ns', async () => await data.namespace('shop').delete('a'), true],
    ['/ns', async () => await data.namespace('shop').invalidate({ tags: ['t'] }), true],
    ['/ns', async () => await data.delete('a'), false],
    ['/entities', async () => await data.invalidate({ tags: ['product:2'] }), true],
    ['/entities', async () => await data.invalidate({ tags: ['product:x'] }), true],
    ['/entities', async () => await data.invalidate({ tags: ['product:3'] }), false],
    ['/text', async () => await data.invalidate({ tags: ['product:5'] }), true],
    ['/reply', async () => await data.invalidate({ tags: ['c'] }), true],
    ['/reply', async () => await data.invalidate({ tags: ['d'] }), false]
  ]
  for (const [url, change, expected] of cases) t.equal(await changes(url, change), expected, `${url} ${String(change)}`)
  await app.close()
})

t.test('tags that an onSend hook gives a response count, whoever has added it', async (t) => {
  for (const place of ['route', 'context', 'app'] as const) {
    for (const streams of [false, true]) {
      const { app } = await cachedApp()
      let given: string[] = []
      let n = 0
      const tag = async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => { reply.cacheTags(...given) }
      if (place === 'app') app.addHook('onSend', tag)
      await app.register(async (context) => {
        if (place === 'context') context.addHook('onSend', tag)
        context.get('/x', { config: { cache: true }, ...(place === 'route' && { onSend: tag }) }, async (_request, reply) => {
          reply.cacheTags('early')
          const page = `page ${++n}`
          return streams ? Readable.from([page]) : page
        })
      })
      const page = async (): Promise<string> => (await app.inject('/x')).body
      const what = `${place}${streams ? ', a stream' : ''}`
      given = ['late', 'later']
      for (const purged of ['late', 'early', 'later']) {
        const known = await page()
        t.equal(await page(), known, `${what}: stored`)
        await app.cache.invalidate({ tags: [purged] })
        t.not(await page(), known, `${what}: ${purged}`)
      }
      for (const [why, tags] of [['none', [1 as unknown as string]], ['too many', Array.from({ length: 1000 }, (_, i) => `t${i}`)]] as const) {
        given = [...tags]
        await app.cache.invalidate({ tags: ['early'] })
        const known = await page()
        t.not(await page(), known, `${what}: not stored with ${why}`)
      }
      await app.close()
    }
  }
})

t.test('a response overtaken by a purge reaches its client and is not stored; those who came later get a newer one', async (t) => {
  for (const soft of [false, true]) {
    const { app } = await cachedApp()
    let data = 'old'
    const gates = [deferred(), deferred()]
    let runs = 0
    app.get('/x', { config: { cache: { tags: ['x'] } } }, async () => { const read = data; await gates[runs++]?.promise; return read })
    const early = app.inject('/x')
    await turns()
    data = 'new'
    await app.cache.invalidate({ tags: ['x'], soft })
    const late = Array.from({ length: 10 }, async () => await app.inject('/x'))
    await turns()
    gates[0]?.resolve()
    gates[1]?.resolve()
    t.equal((await early).body, 'old')
    for (const answer of await Promise.all(late)) t.equal(answer.body, 'new', soft ? 'soft' : 'hard')
    t.equal((await app.inject('/x')).body, 'new')
    t.ok(runs <= 2)
    await app.close()
  }
})

t.test('a route\'s own functions that throw: no tags, no storing; the response goes out', async (t) => {
  const lines: string[] = []
  const { app } = await cachedApp({}, { logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } })
  app.get('/throws', { config: { cache: { tags: () => { throw new Error('no') } } } }, async () => 'page')
  app.get('/wrong', { config: { cache: { tags: () => [''] } } }, async () => 'page')
  for (const path of ['/throws', '/wrong']) {
    for (let i = 0; i < 2; i++) {
      const answer = await app.inject(path)
      t.match(answer, { statusCode: 200, body: 'page' })
      t.match(cacheStatus(answer), 'tags-failed')
    }
  }
  t.equal(lines.length, 4)
  await app.close()
})

t.test('over HTTP/2, in the clear', async (t) => {
  const clock = fakeClock()
  const app = Fastify({ http2: true }) as unknown as FastifyInstance
  await app.register(cache, { clock, random: () => 0, metrics: false, exposeStats: false })
  let n = 0
  app.get('/x', { config: { cache: { ttl: 10, staleWhileRevalidate: 20 } } }, async ({ host }) => `${host} ${++n}`)
  app.get('/agent', { config: { cache: true } }, async ({ headers }) => headers['user-agent'] ?? 'none')
  const port = await listening(app)
  const session = connect2(`http://127.0.0.1:${port}`)
  const get = async (path: string): Promise<{ status: string, body: string }> => await new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path })
    let status = ''
    let body = ''
    stream.on('response', (headers) => { status = String(headers['cache-status']) })
    stream.on('data', (chunk) => { body += String(chunk) })
    stream.on('end', () => { resolve({ status, body }) })
    stream.on('error', reject)
  })
  const first = await get('/x')
  t.equal(first.body, `127.0.0.1:${port} 1`)
  t.match(first.status, ';stored')
  t.match(await get('/x'), { status: /;hit/, body: first.body })
  t.match((await get('/agent')).status, 'unkeyed-input')
  clock.advance(15_000)
  t.match(await get('/x'), { status: /stale-while-revalidate/, body: first.body })
  await turns(20)
  t.match(await get('/x'), { status: /;hit;ttl=10/, body: `127.0.0.1:${port} 2` })
  session.close()
  await app.close()
})

t.test('close waits for the refreshes that run, and starts no more', async (t) => {
  const { app, clock } = await cachedApp()
  const gate = deferred()
  let runs = 0
  let ended = 0
  app.get('/x', { config: { cache: { ttl: 10, staleWhileRevalidate: 20 } } }, async () => { if (++runs > 1) await gate.promise; ended++; return 'page' })
  await app.inject('/x')
  clock.advance(15_000)
  await app.inject('/x')
  await turns()
  const closing = app.close()
  await turns()
  t.equal(runs, 2)
  gate.resolve()
  await closing
  t.equal(ended, 2)
  await t.rejects(app.cache.set('x', 1), { code: 'FST_ERR_CACHE_CLOSED' })
})

t.test('a cache that was brought along is not closed', async (t) => {
  const { CacheManager } = await import('../../plugins/index.ts')
  const manager = new CacheManager({ strategy: 'memory' })
  const app = Fastify()
  await app.register(cache, { manager, metrics: false, exposeStats: false })
  t.equal(app.cache, manager)
  await app.close()
  t.equal(await manager.set('x', 1), true)
  await manager.close()
})
