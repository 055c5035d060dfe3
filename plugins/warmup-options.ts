import type { Seconds } from '../lib/clock.ts'
import { durationMs } from '../lib/engine/load-options.ts'
import type { WarmingTarget } from '../lib/engine/warming-routes.ts'
import { errors, shown } from '../lib/errors.ts'
import { isCleanTarget, validHost } from '../lib/keyspace/request-key.ts'
import type { TextStorage } from '../lib/ports/text-storage.ts'
import { refuseUnknown } from '../lib/unknown-option.ts'

/** What is fetched as soon as the application is ready. */
export interface WarmupOptions {
  /** Paths of this application, the most important first. @default none */
  paths?: ReadonlyArray<string | WarmingTarget>
  /** Remember what is asked for most, and fetch that as well. @default true */
  learn?: boolean
  /** Where that is kept over a restart. @default the cache itself, which is of use where it is in Redis */
  storage?: TextStorage
  /** Seconds after which the warm-up ends, wherever it is. @default 5 */
  timeBudget?: Seconds
  /** Requests at the same time. @default 4 */
  concurrency?: number
}

const NAMES = ['paths', 'learn', 'storage', 'timeBudget', 'concurrency'] as const satisfies ReadonlyArray<keyof WarmupOptions>

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function checkWarmup (given: unknown): WarmupOptions | undefined {
  if (given === undefined) return undefined
  if (typeof given !== 'object' || given === null) throw new errors.FST_ERR_CACHE_OPTION('warmup', shown(given), `an object with ${NAMES.join(', ')}`)
  refuseUnknown(given, new Set<string>(NAMES), 'warmup.')
  const options = given as Readonly<Record<typeof NAMES[number], unknown>>
  const check = (name: keyof WarmupOptions, allowed: string, valid: (value: unknown) => boolean): void => {
    const value = options[name]
    if (value !== undefined && !valid(value)) throw new errors.FST_ERR_CACHE_OPTION(`warmup.${name}`, shown(value), allowed)
  }
  check('paths', 'a list of clean paths of this application, such as "/products?page=1"', (value) => Array.isArray(value) && value.every(isTarget))
  check('learn', 'true or false', (value) => typeof value === 'boolean')
  check('storage', 'an object with read() and write(text)', (value) => isStorage(value))
  check('concurrency', 'a whole number, 1 or more', (value) => Number.isSafeInteger(value) && Number(value) >= 1)
  if (options.timeBudget !== undefined) durationMs('warmup.timeBudget', options.timeBudget as Seconds)
  return given
}

function isTarget (value: unknown): boolean {
  if (typeof value === 'string') return isCleanTarget(value)
  const { path, host } = (typeof value === 'object' && value !== null ? value : {}) as Partial<WarmingTarget>
  return typeof path === 'string' && isCleanTarget(path) && (host === undefined || (typeof host === 'string' && validHost(host) !== undefined))
}

function isStorage (value: unknown): boolean {
  const { read, write } = (typeof value === 'object' && value !== null ? value : {}) as Partial<TextStorage>
  return typeof read === 'function' && typeof write === 'function'
}
