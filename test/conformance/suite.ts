import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, request, type Server } from 'node:http'
import { setBaseUrl, setFetch, type SuiteRequest, type SuiteResponse } from 'http-cache-tests/client/config.mjs'
import { makeCacheTest, testResults } from 'http-cache-tests/client/test.mjs'
import handleConfig from 'http-cache-tests/server/handle-config.mjs'
import handleState from 'http-cache-tests/server/handle-state.mjs'
import handleTest from 'http-cache-tests/server/handle-test.mjs'
import groups, { type SuiteGroup } from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'
import type { FakeClock } from '../support/fake-clock.ts'
import { outcomesOf, type Outcome } from './outcome.ts'

/** The origin of the suite: it answers each request as the configuration of its test says, and lives by `clock`. */
export function createOrigin (clock: FakeClock): Server {
  return createServer((incoming, response) => {
    // The Date that Node would add is that of another clock; it is added when the test has not said any.
    const end = response.end.bind(response) as (body?: unknown) => typeof response
    response.end = (body?: unknown) => {
      if (!response.headersSent && !response.hasHeader('date')) response.setHeader('date', new Date(clock.now()).toUTCString())
      return end(body)
    }
    const [kind, ...segments] = new URL(incoming.url ?? '/', 'http://origin').pathname.slice(1).split('/')
    const handle = kind === 'config' ? handleConfig : kind === 'state' ? handleState : handleTest
    handle(segments, incoming, response)
  })
}

/** The runner of the suite keeps one base URL for all; several caches at a time each have theirs in here. */
const base = new AsyncLocalStorage<string>()

/**
 * The suite is older than targeted fields (RFC 9213), but tests their forerunner: these are the same tests of the field's
 * successor. The words by which a cache names itself have none.
 */
const targeted = JSON.parse(JSON.stringify(surrogate).replaceAll('Surrogate-Control', 'CDN-Cache-Control').replaceAll(';CAPABILITY_TARGET', '')) as SuiteGroup

/** Five bytes that say they are six are no part to keep; said of a representation that is one byte shorter, all that these tests expect is true. */
const truthful = JSON.parse(JSON.stringify(groups).replaceAll('bytes 4-9/10', 'bytes 4-8/9')) as SuiteGroup[]

const tests = [...truthful, targeted].flatMap((group) => group.tests.filter((test) => test.browser_only !== true))

/** How long the suite pauses where it wants something to become stale. */
const PAUSE_MS = 3000

/**
 * Runs every test of the suite for shared caches against the caches of those names, all at once. The suite takes the time
 * from `Date.now` and pauses by `setTimeout`: both are replaced meanwhile by `clock`, which moves on by a pause whenever
 * no test has anything else to do. So nothing is ever too slow, and nobody waits.
 */
export async function runSuite (urls: ReadonlyMap<string, string>, clock: FakeClock): Promise<ReadonlyMap<string, Outcome[]>> {
  setBaseUrl('')
  setFetch(exchange)
  const { setTimeout: wait } = globalThis
  const { now } = Date
  const paused: Array<() => void> = []
  let running = urls.size * tests.length
  const moveOn = (): void => {
    if (paused.length < running) return
    clock.advance(PAUSE_MS)
    for (const goOn of paused.splice(0)) goOn()
  }
  Date.now = () => clock.now()
  globalThis.setTimeout = Object.assign((callback: () => void, ms?: number) => {
    if (ms !== PAUSE_MS) return wait(callback, ms)
    paused.push(callback)
    moveOn()
    return undefined
  }, wait) as typeof setTimeout
  try {
    await Promise.all([...urls].map(async ([name, url]) => {
      // The runner writes into its tests, and knows results by their ids.
      await base.run(url, async () => await Promise.all(tests.map(async (test) => {
        await makeCacheTest({ ...structuredClone(test), id: ownId(name, test.id) })
        running--
        moveOn()
      })))
    }))
  } finally {
    Date.now = now
    globalThis.setTimeout = wait
  }
  return new Map([...urls.keys()].map((name) => [name, outcomesOf(tests, (id) => testResults[ownId(name, id)])]))
}

const ownId = (name: string, id: string): string => `${name} ${id}`

/** A request with exactly the fields that the test asks for. */
function exchange (path: string, { method = 'GET', headers = [], body }: SuiteRequest = {}): Promise<SuiteResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${base.getStore() ?? ''}${path}`, { method }, (incoming) => {
      const fields = new Headers()
      for (let at = 0; at < incoming.rawHeaders.length; at += 2) fields.append(incoming.rawHeaders[at] ?? '', incoming.rawHeaders[at + 1] ?? '')
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => { resolve({ status: incoming.statusCode ?? 0, statusText: incoming.statusMessage ?? '', headers: fields, text: async () => await Promise.resolve(Buffer.concat(chunks).toString()) }) })
    })
    outgoing.on('error', reject)
    for (const [name, value] of headers) outgoing.appendHeader(name, value)
    // Node announces no body for methods that rarely have one.
    if (body !== undefined) outgoing.setHeader('content-length', Buffer.byteLength(body))
    outgoing.end(body)
  })
}
