import type { Seconds } from '../../lib/clock.ts'
import type { Finding, FindingKind } from '../../lib/engine/monitor/findings.ts'
import { isSafeMethod } from '../../lib/http/method.ts'
import { looksLike } from '../../lib/nearest.ts'
import type { NamesOf, RoutePolicy } from '../route-options.ts'
import { routerForm, type PrintedRoute } from './printed-routes.ts'
import { namesSecret } from './secret-names.ts'

/** A route of the app, as it was registered. */
export interface AuditedRoute {
  readonly method: string
  readonly url: string
  /** What is cached of it, if anything. */
  readonly policy: RoutePolicy | undefined
  /** What a success of it invalidates, if it says so. */
  readonly invalidates: NamesOf | undefined
}

/** All that the rules look at. */
export interface AuditedApp {
  readonly routes: readonly AuditedRoute[]
  readonly printed: readonly PrintedRoute[]
  /** Whether purges of other instances arrive here. */
  readonly hearsOthers: boolean
  readonly memoryTtl: Seconds
  readonly credentials: readonly string[]
}

type Cached = AuditedRoute & { readonly policy: RoutePolicy }

const SECRET_HEADER = /^(?:proxy-)?authorization$|^cookie$|api-?key|token|secret|session|password/i
const SECRET_COOKIE = /sess|sid$|token|auth|jwt|secret/i

const parametersOf = (url: string): string[] => [...url.matchAll(/:(\w+)/g)].map((found) => found[1] ?? '')
const nameOf = ({ method, url }: { method: string, url: string }): string => `${method} ${url}`
const cachedRoutes = ({ routes }: AuditedApp): Cached[] => routes.filter((route): route is Cached => route.policy !== undefined && route.method === 'GET')

function finding (kind: FindingKind, routes: readonly string[], message: string, cure: string): Finding[] {
  return routes.length === 0 ? [] : [{ kind, routes: [...routes], message: `${listed(routes)} ${message}`, cure }]
}

/** A log line is read by people. */
function listed (routes: readonly string[]): string {
  return routes.length <= 5 ? routes.join(', ') : `${routes.slice(0, 4).join(', ')} and ${routes.length - 4} more`
}

/** What is probably not meant so, the gravest first. It cannot know what handlers do. */
export function auditApp (app: AuditedApp): Finding[] {
  return [guardPassedBy, secretInKey, unpurgedList, namesInVain, patternAsName, misspeltTag, openQuery, purgesUnheard, noEffect].flatMap((rule) => rule(app))
}

/** Hits of a public route come before parsing: no hook behind that runs on them. */
function guardPassedBy (app: AuditedApp): Finding[] {
  return cachedRoutes(app).filter(({ policy }) => policy.serveFrom === 'onRequest').flatMap((route) => {
    const hooks = app.printed.filter(({ url }) => routerForm(url) === routerForm(route.url)).flatMap((printed) => printed.hooks)
    return hooks.length === 0 ? [] : finding('guard-passed-by', [nameOf(route)], `is public: its hits pass ${[...new Set(hooks)].join(', ')} by`, "if one of them is a guard, take public away or say serveFrom: 'handler'")
  })
}

/** Keys are shown to operators, stand in Redis, and tell responses apart: one user, one entry. */
function secretInKey (app: AuditedApp): Finding[] {
  return cachedRoutes(app).flatMap((route) => {
    const { headers, cookies, query = [] } = route.policy
    const inUrl = [...parametersOf(route.url), ...query].filter(namesSecret)
    const secrets = [...headers.filter((name) => SECRET_HEADER.test(name) || app.credentials.includes(name)), ...cookies.filter((name) => SECRET_COOKIE.test(name))]
    const about = (names: readonly string[]): string[] => names.length === 0 ? [] : [nameOf(route)]
    return [
      ...finding('secret-in-key', about(secrets), `has ${secrets.join(', ')} in its key, which operators and Redis can read`, 'give a partition that answers the id of the user instead'),
      ...finding('secret-in-key', about(inUrl), `has ${inUrl.join(', ')} of its URL in its key, which operators and Redis can read`, 'have it sent in a header and give a partition, or do not cache the route')
    ]
  })
}

/** A plugin sees the routes that come after it. What the others ask for is not known before they are asked for themselves. */
export function beforePlugin (url: string): Finding[] {
  return finding('before-plugin', [`GET ${url}`], 'was registered before the cache, so its config.cache has no effect', 'await app.register(cache) before the routes that it is to cache')
}

/** Lists: what a change below them may have made untrue. */
const listsOf = (app: AuditedApp): Cached[] => cachedRoutes(app).filter(({ url }) => !/\*|:[^/]*\/?$/.test(url) && url !== '/')

/** A change purges its own path; that of the list above it only if somebody says so. */
function unpurgedList (app: AuditedApp): Finding[] {
  return listsOf(app).filter((list) => !hasNames(list)).flatMap((list) => {
    const changes = changesBelow(list, app).filter(({ invalidates }) => invalidates === undefined)
    return changes.length === 0 ? [] : finding('unpurged-list', [nameOf(list)], `has neither tags nor entities, and ${listed(changes.map(nameOf))} name${changes.length === 1 ? 's' : ''} nothing to invalidate: a change may not reach it`, 'give the one entities or tags and the other invalidates, unless the handlers read and write through the cache')
  })
}

/** Where nobody says what a change makes untrue, names are of no use. */
function namesInVain (app: AuditedApp): Finding[] {
  if (app.routes.some(({ invalidates }) => invalidates !== undefined)) return []
  const lists = listsOf(app).filter((list) => hasNames(list) && changesBelow(list, app).length > 0)
  return finding('unpurged-list', lists.map(nameOf), `${lists.length === 1 ? 'has' : 'have'} tags or entities, and no route has invalidates: a change may not reach ${lists.length === 1 ? 'it' : 'them'}`, 'give the routes below that change something invalidates, unless their handlers call app.cache.invalidate, or read and write through the cache')
}

const hasNames = ({ policy }: Cached): boolean => policy.tags !== undefined || policy.entities !== undefined

function changesBelow (list: Cached, { routes }: AuditedApp): AuditedRoute[] {
  return routes.filter(({ method, url }) => ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method) && routerForm(url).startsWith(routerForm(list.url) + '/'))
}

/** `invalidates` names tags and keys; what looks like a pattern or a path is one more name. */
function patternAsName (app: AuditedApp): Finding[] {
  const carried = namedBy(cachedRoutes(app), ({ policy }) => policy.tags)
  return [...namedBy(app.routes, ({ invalidates }) => invalidates)].filter(([name]) => /^\/|\*/.test(name) && !carried.has(name)).flatMap(([name, routes]) =>
    finding('pattern-as-name', routes, `invalidate${routes.length === 1 ? 's' : ''} ${name} as a name, which nothing has: neither patterns nor paths belong there`, 'name tags or keys, or call app.cache.invalidate with patterns or paths'))
}

/** A tag that is written in two ways reaches nothing, and nobody hears of it. */
function misspeltTag (app: AuditedApp): Finding[] {
  const carried = namedBy(cachedRoutes(app), ({ policy }) => policy.tags)
  const purged = namedBy(app.routes, ({ invalidates }) => invalidates)
  return [...carried].filter(([tag]) => !purged.has(tag)).flatMap(([tag, carriers]) => {
    const [meant, purgers = []] = [...purged].find(([other]) => !carried.has(other) && looksLike(tag, other)) ?? []
    return meant === undefined ? [] : finding('misspelt-tag', [...carriers, ...purgers], `have tags that look alike: nothing invalidates ${tag}, and no response has ${meant}`, 'spell them in one way, unless functions or other programs name the one and the other')
  })
}

/** The routes that name each tag; those that a function names are not known. */
function namedBy<R extends AuditedRoute> (routes: readonly R[], names: (route: R) => NamesOf | undefined): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const route of routes) {
    const named = names(route)
    for (const tag of Array.isArray(named) ? named as readonly string[] : []) found.set(tag, [...found.get(tag) ?? [], nameOf(route)])
  }
  return found
}

/** Every query string is an entry of its own, also those that a stranger makes up. */
function openQuery (app: AuditedApp): Finding[] {
  const open = cachedRoutes(app).filter(({ policy }) => policy.query === undefined)
  return finding('open-query', open.map(nameOf), `take${open.length === 1 ? 's' : ''} any query string, and each is an entry of its own`, 'close the set with a schema: querystring: { type: "object", properties: {…}, additionalProperties: false }')
}

/** Memory alone hears nothing of what other instances purge. */
function purgesUnheard (app: AuditedApp): Finding[] {
  if (app.hearsOthers) return []
  const long = cachedRoutes(app).filter(({ policy }) => policy.ttlMs > app.memoryTtl * 1000)
  return finding('purges-unheard', long.map(nameOf), `live${long.length === 1 ? 's' : ''} longer than memoryTtl (${app.memoryTtl} s) in this process, where no purge of another instance reaches them`, "with several instances choose strategy: 'hybrid'; with one, raise memoryTtl")
}

/** Routes that share their options are common, so this is no error: what has no effect on one may have one on the other. */
function noEffect ({ routes }: AuditedApp): Finding[] {
  // One registration for several methods has one policy: it is enough that one of them can use it.
  const others = (route: AuditedRoute): AuditedRoute[] => routes.filter(({ policy }) => policy === route.policy)
  const asking = routes.filter(({ policy }) => policy !== undefined)
  const unstored = asking.filter((route) => route.invalidates === undefined && !others(route).some(isStored))
  const safe = asking.filter((route) => route.invalidates !== undefined && route.method !== 'HEAD' && others(route).every(({ method }) => isSafeMethod(method)))
  return [
    ...finding('no-effect', unstored.map(nameOf), `ask${unstored.length === 1 ? 's' : ''} for caching, but only responses to GET and HEAD are stored`, 'take config.cache away, or say what a success invalidates'),
    ...finding('no-effect', safe.map(nameOf), `${safe.length === 1 ? 'has' : 'have'} invalidates, but only the success of an unsafe method invalidates`, 'move it to the routes that change something')
  ]
}

const isStored = ({ method, policy }: AuditedRoute): boolean => method === 'GET' || method === 'HEAD' || (method === 'POST' && policy?.http.storePost === true)
