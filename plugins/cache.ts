import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler, onResponseHookHandler, preSerializationHookHandler, RouteHandlerMethod } from 'fastify'
import fp from 'fastify-plugin'
import { applicationName } from '../lib/application-name.ts'
import { CacheManager } from '../lib/cache-manager.ts'
import { adoptCacheManager } from '../lib/default-manager.ts'
import { ResponseCache } from '../lib/engine/response-cache.ts'
import { ResponseFlights } from '../lib/engine/response-flights.ts'
import { findEntities, type EntityPaths } from '../lib/http/entity-path.ts'
import { errors, shown } from '../lib/errors.ts'
import { isSafeMethod } from '../lib/http/method.ts'
import { addCacheRoutes } from '../routes/index.ts'
import { isOwnRoute } from '../routes/route-shape.ts'
import { BootAudit } from './audit/boot-audit.ts'
import { Capture } from './capture.ts'
import { Comparisons } from './comparison.ts'
import { addReplyTags, invalidatesOf, missOf, noteSymbols, outcomeOf } from './exchange.ts'
import { nothingBetween } from './route-hooks.ts'
import { groupPolicy } from './http-options.ts'
import { resolvePluginOptions, withinEntries, type CachePluginOptions, type PluginSettings } from './options.ts'
import { Explainer } from './explain.ts'
import { LatePurges } from './late-purges.ts'
import type { Lookup } from './lookup.ts'
import { watchSymbol } from './observed-request.ts'
import { Observer } from './observer.ts'
import { readLogAside } from './log-reads.ts'
import { logConnection, sayIfAlone, sayIfMisspelt, sayIfNameless, sayIfUnused } from './log-connection.ts'
import { Parts } from './parts.ts'
import { Posted } from './posted.ts'
import { Refresher } from './refresh.ts'
import { RouteCache, type RouteCacheParts } from './route-cache.ts'
import { resolveRoutePolicy, type RouteCacheOptions, type RoutePolicy } from './route-options.ts'
import { beginScrape } from './scrape.ts'
import { shareRedis } from './share-redis.ts'
import { invalidateAfter } from './unsafe-methods.ts'
import { addWarmup, type Warmup } from './warmup.ts'
import { Verifier } from './verifier.ts'
import { beginWatch } from './watch.ts'

async function fastifyResponseCache (app: FastifyInstance, options: CachePluginOptions): Promise<void> {
  const settings = withinEntries(resolvePluginOptions(options), options)
  if (app.hasDecorator(settings.name)) throw new errors.FST_ERR_CACHE_OPTION('name', shown(settings.name), 'one that nothing on the app has yet; a second cache needs a name of its own')
  const manager = settings.manager ?? new CacheManager(settings.config, settings.deps)
  const { parts } = manager
  const refresher = new Refresher(app, parts, { credentials: settings.credentials })
  const responses = new ResponseCache(parts, { maxVariants: settings.maxVariants, ignoreLanguageOrder: settings.http.ignoreLanguageOrder === true })
  const flights = new ResponseFlights(parts.clock, { hitForMissMs: settings.hitForMissMs })
  const explainer = new Explainer(app, { parts, responses, flights, settings })
  const shared: RouteCacheParts = { parts, responses, flights, refresher, explainer, settings }
  app.decorate(settings.name, manager)
  const release = settings.name === 'cache' ? adoptCacheManager(manager) : undefined
  decorateExchanges(app)
  readLogAside(app.log)
  const monitor = beginWatch(app, manager, settings)
  const audit = settings.audit === false ? undefined : new BootAudit(app, { name: settings.name, manager, options: settings.audit, credentials: settings.credentials, tell: (findings) => { monitor?.noteFindings(findings) } })
  connectRoutes(app, settings, shared, audit)
  if (settings.admin !== undefined) explainer.addHook(app)
  const scrape = beginScrape(app, manager, settings)
  const warmup = warmupOf(app, manager, settings)
  addCacheRoutes(app, { prefix: settings.prefix, cache: manager, exposeStats: settings.exposeStats, metrics: scrape?.route, admin: settings.admin, explain: async (url, asker) => await explainer.explain(url, asker), warming: warmup && { service: warmup.service, hot: warmup.hot, enabled: manager.config.enableWarming }, report: monitor && (() => monitor.getPerformanceReport()) })
  const close = async (): Promise<void> => {
    // First, while there is still something to save to.
    await warmup?.close()
    release?.()
    await refresher.close()
    scrape?.metrics.close()
    await monitor?.stop()
    if (settings.manager === undefined) await manager.close()
  }
  app.addHook('onClose', close)
  logConnection(app.log, manager)
  try {
    await manager.initialize()
  } catch (error) {
    await close()
    throw error
  }
  if (options.admin !== undefined && settings.admin === undefined) app.log.info('cache: admin has neither a token nor onRequest, so there are no admin routes')
  sayIfAlone(app.log, manager, settings.deps.redis === undefined ? 'redisUrl' : 'redis')
  sayIfUnused(app.log, manager, settings.config.strategy === undefined && [settings.deps.redis, settings.config.redisUrl, settings.config.redisRequired].some((given) => given !== undefined && given !== false))
  sayIfMisspelt(app.log, process.env)
  if (!settings.credentials.includes('cookie')) app.addHook('onReady', async () => { sayIfCookiesPass(app) })
  sayIfNameless(app.log, manager, applicationName(process.argv[1], process.cwd()))
  if (settings.redisNamespace !== undefined) await shareRedis(app, parts, settings.redisNamespace)
}

/** Whoever adds a header to `credentials` may not have meant to take the cookies out. */
function sayIfCookiesPass (app: FastifyInstance): void {
  const reader = ['session', 'cookies'].find((name) => app.hasRequestDecorator(name))
  if (reader !== undefined) app.log.warn(`cache: credentials has no cookie in it, and requests of this app have ${reader}: what a route makes of them is stored for everybody. Add 'cookie', unless no cached route looks at cookies`)
}

/** Asked for by its option; without that there is only what the guarded routes start. */
function warmupOf (app: FastifyInstance, manager: CacheManager, { name, warmup: options, admin }: PluginSettings): Warmup | undefined {
  if (options === undefined && admin === undefined) return undefined
  const warmup = addWarmup(app, manager, options ?? { learn: false }, { name })
  if (options !== undefined) app.decorate(`${name}Warmup`, warmup)
  return warmup
}

/** What requests and replies carry; a second registration finds it there. */
function decorateExchanges (app: FastifyInstance): void {
  if (app.hasRequestDecorator(noteSymbols.outcome)) return
  app.decorateRequest(noteSymbols.outcome, null)
  app.decorateRequest(noteSymbols.miss, null)
  app.decorateRequest(noteSymbols.arrival, null)
  app.decorateRequest(watchSymbol, null)
  app.decorateReply(noteSymbols.tags, null)
  app.decorateRequest('cache', { getter (this: FastifyRequest) { return outcomeOf(this) } })
  app.decorateReply('cacheTags', function (this: FastifyReply, ...tags: string[]) {
    addReplyTags(this, tags)
    return this
  })
}

function connectRoutes (app: FastifyInstance, settings: PluginSettings, shared: RouteCacheParts, audit: BootAudit | undefined): void {
  const { parts } = shared
  const cache = new RouteCache(shared)
  const comparisons = new Comparisons(parts)
  const observer = new Observer(shared, cache, comparisons)
  const verifier = new Verifier(app, shared, cache, comparisons)
  app.addHook('onClose', async () => { verifier.close() })
  const capture = new Capture(shared)
  const posted = new Posted(shared, cache, capture)
  const partial = new Parts(shared, cache)
  const groups = groupPolicy(settings.http.cacheGroups)
  const purgeAfter = async (request: FastifyRequest, reply: FastifyReply, unknown = false): Promise<void> => {
    await invalidateAfter(parts, request, reply, invalidatesOf(request.routeOptions.config, settings.name), groups, unknown)
  }
  const late = new LatePurges(purgeAfter)
  // A route may be made from another, with what stands around its handler and among its hooks: that is ours to put there anew.
  const wrapped = new WeakMap<RouteHandlerMethod, RouteHandlerMethod>()
  const hooked = new WeakSet<object>()
  const own = <H extends object>(hook: H): H => {
    hooked.add(hook)
    return hook
  }
  const others = <H extends object>(hooks: H | H[] = []): H[] => (Array.isArray(hooks) ? hooks : [hooks]).filter((hook) => !hooked.has(hook))

  app.addHook('onRoute', function cacheRoute (this: FastifyInstance, route) {
    const given = (route.config as Record<string, RouteCacheOptions | boolean | undefined> | undefined)?.[settings.name]
    if (given === undefined || given === false || isOwnRoute(route.config)) {
      audit?.note(route, undefined)
      return
    }
    const policy = resolveRoutePolicy(given, route, { ...parts.defaults, harmlessHeaders: settings.harmlessHeaders, http: settings.http, precompress: settings.precompress, mode: settings.mode, verify: settings.verify, ownValidator: this.validatorCompiler !== undefined })
    audit?.note(route, policy)
    const methods = [route.method].flat()
    const keepsPosted = policy.http.storePost && !policy.observed && methods.includes('POST')
    if (!keepsPosted && !methods.includes('GET') && !methods.includes('HEAD')) return
    const reads: Lookup = policy.observed ? observer : policy.verify > 0 ? verifier : cache
    const ranged = policy.http.storeParts && !policy.observed ? partial.before(reads) : reads
    const lookups = keepsPosted ? posted.before(ranged) : ranged
    const handler = wrapped.get(route.handler) ?? route.handler
    const around = cache.around(policy, handler, lookups)
    wrapped.set(around, handler)
    route.handler = around
    route.onResponse = others(route.onResponse)
    if (reads === verifier) route.onResponse.push(own(drawHits(verifier, policy)))
    route.preSerialization = others(route.preSerialization)
    if (policy.entities !== undefined) route.preSerialization.push(own(noteEntities(cache, policy.entities)))
    const hooks = others(route.onRequest)
    const arrivals = own(noteArrivals(cache, route.validatorCompiler ?? this.validatorCompiler, () => route.handler !== around))
    route.onRequest = policy.serveFrom === 'handler' ? [arrivals, ...hooks] : [...hooks.length === 0 ? [] : [arrivals, ...hooks], own(lookupEarly(cache, lookups, policy))]
  })

  // After the other, so that its hook comes first: between an arrival and the handler it would count as somebody's.
  app.addHook('onRoute', (route) => {
    if ([route.method].flat().every(isSafeMethod) || isOwnRoute(route.config)) return
    route.onRequest = [late.hook, ...[route.onRequest ?? []].flat()]
    route.handler = late.watch(route.handler)
  })

  // Registered with the plugin, so that it runs before the onSend hooks of whatever is registered later.
  app.addHook('onSend', function cacheCapture (request, reply, payload, done) {
    const miss = missOf(request)
    if (miss !== null && miss.owner === cache) {
      if (miss.forward === 'method') {
        late.note(request, reply, payload, miss)
        const goOn = holdBack(reply, done)
        posted.take(miss, request, reply, payload, async () => { await purgeAfter(request, reply) }).then((kept) => { goOn(null, kept) }, goOn)
      } else cache.handlers.leave(miss, done, capture.take(miss, request, reply, payload))
      return
    }
    cache.status.restate(request, reply)
    if (isSafeMethod(request.method) || isOwnRoute(request.routeOptions.config)) {
      done(null, payload)
      return
    }
    late.note(request, reply, payload)
    const goOn = holdBack(reply, done)
    purgeAfter(request, reply).then(() => { goOn(null, payload) }, goOn)
  })
}

/**
 * A reply that waits for its purge has been sent, though nothing is written yet: otherwise Fastify would run the handler behind an
 * async guard that has refused the request, or send once more what an async handler has sent without returning the reply.
 */
function holdBack<Next extends (...args: never[]) => void> (reply: FastifyReply, next: Next): Next {
  Object.defineProperty(reply, 'sent', { configurable: true, value: true })
  return ((...args) => {
    Reflect.deleteProperty(reply, 'sent')
    next(...args)
  }) as Next
}

/** The lookup of a public route: after the onRequest hooks of everybody, before parsing and validation. */
function lookupEarly (cache: RouteCache, lookups: Lookup, policy: RoutePolicy): onRequestHookHandler {
  return function cacheLookup (request, reply, done) {
    const answered = lookups.lookup(policy, request, reply)
    if (typeof answered === 'boolean') {
      if (!answered) cache.handlers.goOn(request, done)
      return
    }
    answered.then((served) => { if (!served) cache.handlers.goOn(request, done) }, done)
  }
}

/** A share of the hits of a route is verified, once they are sent. */
function drawHits (verifier: Verifier, policy: RoutePolicy): onResponseHookHandler {
  return function cacheVerify (request, _reply, done) {
    verifier.draw(policy, request)
    done()
  }
}

/**
 * What the hooks of the route load is part of the response too. Where there are none, there is nothing to note.
 * @param isWrapped whether somebody has wrapped our handler since
 */
function noteArrivals (cache: RouteCache, validator: unknown, isWrapped: () => boolean): onRequestHookHandler {
  let unwatched: boolean | undefined
  return function cacheArrival (request, reply, done) {
    unwatched ??= validator === undefined && !isWrapped() && nothingBetween(request, cacheArrival.name)
    if (unwatched) done()
    else cache.handlers.arrive(request, reply, done)
  }
}

/** The last look at the payload before it becomes text. */
function noteEntities (cache: RouteCache, paths: EntityPaths): preSerializationHookHandler<unknown> {
  return function cacheEntities (request, _reply, payload, done) {
    const miss = missOf(request)
    if (miss !== null && miss.owner === cache) miss.entities = findEntities(paths, payload)
    done(null, payload)
  }
}

// Fastify 5.12.3, which the package asks for, calls itself 5.12.2.
export default fp(fastifyResponseCache, { fastify: '>=5.12.2 <6', name: 'fastify-response-cache' })
