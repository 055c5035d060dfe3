import { context, trace, SpanStatusCode } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-base'
import t from 'tap'
import { traceCache } from '../../../plugins/index.ts'
import { cachedApp, turns } from '../../support/cached-app.ts'

const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
trace.setGlobalTracerProvider(provider)
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())

const tracer = trace.getTracer('test')
const millisecondsOf = ({ duration: [seconds, nanos] }: ReadableSpan): number => seconds * 1000 + nanos / 1e6

t.beforeEach(() => { exporter.reset() })

t.test('the spans of a request stand under its own, in its trace, and tell no key', async (t) => {
  const { app } = await cachedApp()
  t.teardown(async () => { await app.close() })
  // as the instrumentation of an HTTP server does
  app.addHook('onRequest', (request, reply, done) => {
    const span = tracer.startSpan(`${request.method} ${request.url}`)
    reply.raw.once('finish', () => { span.end() })
    context.with(trace.setSpan(context.active(), span), done)
  })
  const stop = traceCache(app.cache, tracer)
  const data = app.cache.namespace('products')
  app.get('/products/:id', { config: { cache: true } }, async () => await data.getOrSet('42', async () => 'trowel'))
  const before = Date.now()
  await app.inject('/products/42')
  await app.inject('/products/42')
  const spans = exporter.getFinishedSpans()
  const [first, second] = spans.filter(({ name }) => name.startsWith('GET '))
  const below = (parent: ReadableSpan | undefined): unknown[] => spans.filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent?.spanContext().spanId).map(({ name, attributes }) => [name, attributes])
  t.same(below(first), [
    ['cache.lookup', { 'cache.result': 'miss', 'cache.reason': 'uri-miss', 'http.route': '/products/:id' }],
    ['cache.load', {}],
    ['cache.lookup', { 'cache.result': 'miss', 'cache.namespace': 'products' }],
    ['cache.load', { 'http.route': '/products/:id' }]
  ])
  t.same(below(second), [['cache.lookup', { 'cache.result': 'hit', 'cache.reason': 'fresh', 'http.route': '/products/:id' }]])
  t.ok(spans.every(({ startTime: [seconds] }) => Math.abs(seconds * 1000 - before) < 60_000), 'at the time of the wall clock')
  stop()
  exporter.reset()
  await app.inject('/products/42')
  t.same(exporter.getFinishedSpans().map(({ name }) => name), ['GET /products/42'], 'and none after that')
})

t.test('a load that fails is an error, and lasts as long as it took', async (t) => {
  const { app } = await cachedApp()
  t.teardown(async () => { await app.close() })
  traceCache(app.cache, tracer)
  const startedAt = performance.now()
  await t.rejects(app.cache.getOrSet('a', async () => {
    await turns()
    throw new Error('no')
  }))
  const atMost = performance.now() - startedAt
  const load = exporter.getFinishedSpans().find(({ name }) => name === 'cache.load')
  t.equal(load?.status.code, SpanStatusCode.ERROR)
  t.ok(load !== undefined && millisecondsOf(load) > 0 && millisecondsOf(load) <= atMost, 'it lasts no longer than the load')
})
