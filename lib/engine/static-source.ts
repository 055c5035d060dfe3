import { toMs, type Clock, type EpochMs, type Milliseconds, type Seconds } from '../clock.ts'
import { errors, shown } from '../errors.ts'
import { backoffMs } from '../resilience/backoff.ts'
import { refuseUnknown } from '../unknown-option.ts'
import { durationMs } from './load-options.ts'

/** Where static data comes from. */
export type StaticSource<T = unknown> = () => T | Promise<T>

export interface StaticSourceOptions {
  /** Seconds for which a value is fresh. @default 86400 */
  ttl?: Seconds
  /** Names by which a purge reaches the value. @default none */
  tags?: readonly string[]
  /** Ask the source again every so many seconds. @default never */
  refreshEvery?: Seconds
  /** When a value of this moment ends, such as the next midnight; the source is asked then. @default never */
  expiresAt?: (now: Date) => Date
}

/** Longest delay that a timer of Node can count. */
const MAX_TIMER_MS = 2 ** 31 - 1
const RETRY = { baseMs: 1000, maxMs: 60_000 }

const KNOWN: ReadonlySet<string> = new Set<keyof StaticSourceOptions>(['ttl', 'tags', 'refreshEvery', 'expiresAt'])

/** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
export function checkSourceOptions (options: StaticSourceOptions): StaticSourceOptions {
  refuseUnknown(options, KNOWN)
  for (const name of ['ttl', 'refreshEvery'] as const) {
    if (options[name] !== undefined && durationMs(name, options[name]) === 0) throw new errors.FST_ERR_CACHE_OPTION(name, '0', 'a number of seconds above 0')
  }
  if (options.expiresAt !== undefined && typeof options.expiresAt !== 'function') throw new errors.FST_ERR_CACHE_OPTION('expiresAt', shown(options.expiresAt), 'a function of the current Date that answers a later one')
  return options
}

/** The instant that `expiresAt` answers. @throws FST_ERR_CACHE_OPTION when that is not later than now */
export function expiryMs (expiresAt: (now: Date) => Date, nowMs: EpochMs): EpochMs {
  const at: unknown = expiresAt(new Date(nowMs))
  if (!(at instanceof Date) || !(at.getTime() > nowMs)) throw new errors.FST_ERR_CACHE_OPTION('expiresAt', shown(at), 'a function of the current Date that answers a later one')
  return at.getTime()
}

/** Asks a source again and again: at its interval, at its expiry, and soon after a failure. */
export class SourceSchedule {
  readonly #clock: Clock
  readonly #options: StaticSourceOptions
  readonly #random: () => number
  readonly #refresh: () => Promise<boolean>
  #timer = { cancel: (): void => {} }
  #running: Promise<void> = Promise.resolve()
  #failures = 0
  #stopped = false

  /** @param refresh whether the source gave a value; never rejects */
  constructor (clock: Clock, random: () => number, options: StaticSourceOptions, refresh: () => Promise<boolean>) {
    this.#clock = clock
    this.#random = random
    this.#options = options
    this.#refresh = refresh
    this.#arm()
  }

  /** Ends the schedule, when what runs has come to its end. */
  async stop (): Promise<void> {
    this.#stopped = true
    this.#timer.cancel()
    await this.#running
  }

  #arm (): void {
    const dueMs = this.#delayMs()
    if (this.#stopped || dueMs === undefined) return
    const untilMs = this.#clock.now() + (this.#failures === 0 ? dueMs : Math.min(dueMs, backoffMs(this.#failures, { ...RETRY, random: this.#random })))
    this.#wait(untilMs)
  }

  #wait (untilMs: EpochMs): void {
    const leftMs = untilMs - this.#clock.now()
    this.#timer = this.#clock.after(Math.min(leftMs, MAX_TIMER_MS), leftMs > MAX_TIMER_MS ? () => { this.#wait(untilMs) } : () => { this.#running = this.#run() })
  }

  async #run (): Promise<void> {
    this.#failures = await this.#refresh() ? 0 : this.#failures + 1
    this.#arm()
  }

  #delayMs (): Milliseconds | undefined {
    const { refreshEvery, expiresAt } = this.#options
    const delays: Milliseconds[] = []
    if (refreshEvery !== undefined) delays.push(toMs(refreshEvery))
    if (expiresAt !== undefined) delays.push(this.#untilExpiryMs(expiresAt))
    return delays.length === 0 ? undefined : Math.min(...delays)
  }

  /** A function that answers nonsense is asked again later; the refresh itself tells what is wrong with it. */
  #untilExpiryMs (expiresAt: (now: Date) => Date): Milliseconds {
    const nowMs = this.#clock.now()
    try {
      return expiryMs(expiresAt, nowMs) - nowMs
    } catch {
      return RETRY.maxMs
    }
  }
}
