import type { Seconds } from '../../clock.ts'
import type { AlertName } from '../../events.ts'
import { errors, shown } from '../../errors.ts'
import { refuseUnknown } from '../../unknown-option.ts'
import type { Alert } from './alerts.ts'

/** From where on something is wrong; `false` watches it no more. */
export interface AlertThresholds {
  /** Alert below this share of lookups that are answered from the cache. @default 0.8 */
  hitRate?: number | false
  /** Alert above this share of failures. @default 0.1 */
  errorRate?: number | false
  /** Alert above this mean time of an answer, in seconds. @default 0.1 */
  responseTime?: Seconds | false
}

/** Where to post alerts to. */
export interface AlertWebhook {
  /** An http or https URL. */
  url: string
  headers?: Readonly<Record<string, string>>
  /** Seconds after which the post is given up. @default 5 */
  timeout?: Seconds
}

export interface MonitorOptions {
  alertThresholds?: AlertThresholds
  /** Lookups in the last five minutes below which nothing is judged. @default 100 */
  minimumSample?: number
  /** Seconds between two looks at the figures. @default 10 */
  interval?: Seconds
  /** Called when an alert is raised, and when it is cleared. */
  onAlert?: (alert: Alert) => void
  /** Alerts are posted here as JSON. @default nowhere */
  webhook?: string | AlertWebhook
  /** Follow a sample of the keys, for the miss-ratio curve and the recommendations. @default true */
  study?: boolean
}

/** The options with their defaults. */
export interface MonitorSettings {
  readonly thresholds: Readonly<Record<AlertName, number | false>>
  readonly minimumSample: number
  readonly intervalMs: number
  readonly onAlert: ((alert: Alert) => void) | undefined
  readonly webhook: { readonly url: string, readonly headers: Readonly<Record<string, string>>, readonly timeoutMs: number } | undefined
  readonly study: boolean
}

const NAMES: ReadonlySet<string> = new Set<keyof MonitorOptions>(['alertThresholds', 'minimumSample', 'interval', 'onAlert', 'webhook', 'study'])
const THRESHOLD_NAMES: ReadonlySet<string> = new Set<AlertName>(['hitRate', 'errorRate', 'responseTime'])
const WEBHOOK_NAMES: ReadonlySet<string> = new Set<keyof AlertWebhook>(['url', 'headers', 'timeout'])
const MAX_SECONDS = 2_000_000

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function resolveMonitorOptions (given: MonitorOptions = {}): MonitorSettings {
  refuseUnknown(given, NAMES, 'monitor.')
  const { alertThresholds = {}, minimumSample = 100, interval = 10, onAlert, webhook, study = true } = given
  refuseUnknown(alertThresholds, THRESHOLD_NAMES, 'monitor.alertThresholds.')
  const { hitRate = 0.8, errorRate = 0.1, responseTime = 0.1 } = alertThresholds
  const isShare = (value: unknown): boolean => value === false || (typeof value === 'number' && value >= 0 && value <= 1)
  check('monitor.alertThresholds.hitRate', hitRate, isShare, 'a number from 0 to 1, or false')
  check('monitor.alertThresholds.errorRate', errorRate, isShare, 'a number from 0 to 1, or false')
  check('monitor.alertThresholds.responseTime', responseTime, (value) => value === false || isSeconds(value), 'a number of seconds above 0, or false')
  check('monitor.minimumSample', minimumSample, (value) => Number.isSafeInteger(value) && (value as number) >= 1, 'a whole number, 1 or more')
  check('monitor.interval', interval, isSeconds, 'a number of seconds above 0')
  check('monitor.onAlert', onAlert, (value) => value === undefined || typeof value === 'function', 'a function')
  check('monitor.study', study, (value) => typeof value === 'boolean', 'true or false')
  return Object.freeze({ thresholds: { hitRate, errorRate, responseTime }, minimumSample, intervalMs: interval * 1000, onAlert, webhook: resolveWebhook(webhook), study })
}

function resolveWebhook (given: string | AlertWebhook | undefined): MonitorSettings['webhook'] {
  if (given === undefined) return undefined
  const { url, headers = {}, timeout = 5 }: AlertWebhook = typeof given === 'string' ? { url: given } : given
  if (typeof given === 'object') refuseUnknown(given, WEBHOOK_NAMES, 'monitor.webhook.')
  // The URL may hold a secret: it is not repeated in the message.
  if (!isWebUrl(url)) throw new errors.FST_ERR_CACHE_OPTION('monitor.webhook', 'not fit (and not repeated here)', 'an http or https URL without user and password')
  check('monitor.webhook.timeout', timeout, isSeconds, 'a number of seconds above 0')
  return { url, headers, timeoutMs: timeout * 1000 }
}

function isWebUrl (url: unknown): boolean {
  if (typeof url !== 'string' || !URL.canParse(url)) return false
  const { protocol, username, password } = new URL(url)
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === ''
}

function isSeconds (value: unknown): boolean {
  return typeof value === 'number' && value > 0 && value <= MAX_SECONDS
}

function check (option: string, value: unknown, valid: (value: unknown) => boolean, allowed: string): void {
  if (!valid(value)) throw new errors.FST_ERR_CACHE_OPTION(option, shown(value), allowed)
}
