import type { FastifyRequest } from 'fastify'
import type { HotList } from '../lib/engine/hot-list.ts'
import type { WarmingJob } from '../lib/engine/warming-job.ts'
import { warmingRequest } from '../lib/engine/warming-routes.ts'
import type { CacheWarmingService } from '../lib/engine/warming-service.ts'
import { errors, shown } from '../lib/errors.ts'
import { fieldsOf, flagIn } from './bad-request.ts'
import { WARM_BODY } from './warm-schema.ts'

/** What starts and knows warmings. */
export interface Warming {
  readonly service: CacheWarmingService
  /** What is asked for most; `undefined` where nothing is learned. */
  readonly hot: HotList | undefined
  /** Whether the configuration allows warming at all. */
  readonly enabled: boolean
}

type Fields = ReturnType<typeof fieldsOf>

/**
 * Starts what a request asks for. Responses are stored as if they had been asked for at the host of this request, since
 * the host is part of their keys, unless the request names another.
 * @throws FST_ERR_CACHE_REQUEST, FST_ERR_CACHE_WARM_PATH, FST_ERR_CACHE_WARM_CONFLICT
 */
export function startWarming (warming: Warming, request: FastifyRequest): WarmingJob {
  const fields = fieldsOf(request.body, 'body', Object.keys(WARM_BODY.properties))
  const learned = flagIn(fields, 'learned')
  const concurrency = numberIn(fields, 'concurrency', (value) => Number.isInteger(value) && value >= 1 && value <= 64, 'a whole number from 1 to 64') ?? 4
  if (learned) {
    const stranger = ['paths', 'host', 'encrypted'].find((name) => fields[name] !== undefined)
    if (stranger !== undefined) throw new errors.FST_ERR_CACHE_REQUEST(stranger, 'given', 'left out where learned is true')
    const timeBudget = numberIn(fields, 'timeBudget', (value) => value > 0 && value <= 3600, 'seconds, above 0, at most 3600') ?? 10
    if (warming.hot === undefined) throw new errors.FST_ERR_CACHE_WARM_CONFLICT('nothing is learned; register the plugin with the option warmup, and without learn: false')
    checkFree(warming, 'learned')
    return warming.service.startWarmLearned(warming.hot, { timeBudget, concurrency })
  }
  if (fields['timeBudget'] !== undefined) throw new errors.FST_ERR_CACHE_REQUEST('timeBudget', 'given', 'left out where learned is not true')
  const paths = pathsIn(fields)
  const host = hostIn(fields) ?? request.host
  const encrypted = fields['encrypted'] === undefined ? request.protocol === 'https' : flagIn(fields, 'encrypted')
  const targets = paths.map((path) => ({ path, host, encrypted }))
  // All or nothing: whoever sends a list wants to know before, not after, that one of it is no path.
  for (const target of targets) warmingRequest(target, {}, NEVER)
  checkFree(warming, 'routes')
  return warming.service.startWarmRoutes(targets, { concurrency })
}

const NEVER = new AbortController().signal

function checkFree ({ service, enabled }: Warming, name: string): void {
  if (!enabled) throw new errors.FST_ERR_CACHE_WARM_CONFLICT('the setting enableWarming is false')
  const running = service.jobs().find((job) => job.name === name && !job.ended)
  if (running !== undefined) throw new errors.FST_ERR_CACHE_WARM_CONFLICT(`${running.id} is under way; wait for its end, or cancel it`)
}

function pathsIn ({ paths }: Fields): readonly string[] {
  if (!Array.isArray(paths) || paths.length === 0) throw new errors.FST_ERR_CACHE_REQUEST('paths', shown(paths), 'a list of at least one path of this app; or send learned: true')
  return paths as readonly string[]
}

function hostIn ({ host }: Fields): string | undefined {
  if (host !== undefined && typeof host !== 'string') throw new errors.FST_ERR_CACHE_REQUEST('host', shown(host), 'the name of a host')
  return host
}

function numberIn (fields: Fields, name: string, valid: (value: number) => boolean, allowed: string): number | undefined {
  const value = fields[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !valid(value)) throw new errors.FST_ERR_CACHE_REQUEST(name, shown(value), allowed)
  return value
}
