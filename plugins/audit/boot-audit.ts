import type { FastifyInstance } from 'fastify'
import type { CacheManager } from '../../lib/cache-manager.ts'
import { FINDING_KINDS, type Finding, type FindingKind } from '../../lib/engine/monitor/findings.ts'
import { errors, shown } from '../../lib/errors.ts'
import { refuseUnknown } from '../../lib/unknown-option.ts'
import { invalidatesOf } from '../exchange.ts'
import type { RoutePolicy } from '../route-options.ts'
import { printedRoutes, routerForm } from './printed-routes.ts'
import { auditApp, beforePlugin, type AuditedRoute } from './rules.ts'

/** What the look at the routes leaves out. */
export interface AuditOptions {
  /** Findings that are known, and meant so. @default none */
  ignore?: readonly FindingKind[]
}

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function checkAudit (given: unknown): AuditOptions | false {
  if (given === false) return false
  if (given === undefined || given === true) return {}
  if (typeof given !== 'object' || given === null) throw new errors.FST_ERR_CACHE_OPTION('audit', shown(given), 'true, false or an object')
  refuseUnknown(given, new Set(['ignore']), 'audit.')
  const { ignore } = given as { ignore?: unknown }
  if (ignore !== undefined && !(Array.isArray(ignore) && ignore.every((kind) => FINDING_KINDS.includes(kind as FindingKind)))) throw new errors.FST_ERR_CACHE_OPTION('audit.ignore', shown(ignore), `an array of ${FINDING_KINDS.join(', ')}`)
  return given as AuditOptions
}

/** Findings that may harm somebody else than the hit rate. */
const GRAVE: ReadonlySet<FindingKind> = new Set(['guard-passed-by', 'secret-in-key', 'before-plugin', 'pattern-as-name'])

const asksForCaching = (config: object | undefined, cacheName: string): boolean => Boolean((config as Record<string, unknown> | undefined)?.[cacheName])

export interface BootAuditParts {
  readonly name: string
  readonly manager: CacheManager
  readonly options: AuditOptions
  readonly credentials: readonly string[]
  /** Gets all findings, whenever there is a new one. */
  readonly tell: (findings: readonly Finding[]) => void
}

/** Looks at the routes once the app is ready, and writes a line for each finding. */
export class BootAudit {
  readonly #parts: BootAuditParts
  readonly #routes: AuditedRoute[] = []
  #findings: readonly Finding[] = []

  constructor (app: FastifyInstance, parts: BootAuditParts) {
    this.#parts = parts
    const { manager, credentials } = parts
    const audit = this
    app.addHook('onReady', function cacheAudit (done) {
      audit.#found(app, auditApp({ routes: audit.#routes, printed: printedRoutes(app), hearsOthers: manager.config.strategy !== 'memory', memoryTtl: manager.config.memoryTtl, credentials }))
      done()
    })
    this.#watchForEarlyRoutes(app)
  }

  /** Notes a route as it is registered. */
  note ({ method, url, config }: { method: string | string[], url: string, config?: object | undefined }, policy: RoutePolicy | undefined): void {
    const invalidates = invalidatesOf(config ?? {}, this.#parts.name)
    for (const each of [method].flat()) this.#routes.push({ method: each, url, policy, invalidates })
  }

  /** Costs nothing where all routes come after the plugin, as they should. */
  #watchForEarlyRoutes (app: FastifyInstance): void {
    const early = new Set(printedRoutes(app).map(({ url }) => routerForm(url)))
    if (early.size === 0) return
    const audit = this
    app.addHook('onResponse', function cacheTooLate (request, _reply, done) {
      const { url = '', config } = request.routeOptions
      if (request.method === 'GET' && asksForCaching(config, audit.#parts.name) && early.delete(routerForm(url)) && !audit.#routes.some((route) => route.url === url)) {
        audit.#found(app, beforePlugin(url))
      }
      done()
    })
  }

  #found ({ log }: FastifyInstance, all: readonly Finding[]): void {
    const { options: { ignore = [] }, tell } = this.#parts
    const findings = all.filter(({ kind }) => !ignore.includes(kind))
    for (const { kind, routes, message, cure } of findings) {
      const line = `cache: ${message}; ${cure}`
      if (GRAVE.has(kind)) log.warn({ finding: kind, routes }, line)
      else log.info({ finding: kind, routes }, line)
    }
    this.#findings = [...this.#findings, ...findings]
    tell(this.#findings)
  }
}
