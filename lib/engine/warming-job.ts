import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Clock, EpochMs, Milliseconds } from '../clock.ts'

/**
 * How a warming ended. `disabled`: the configuration forbids it; `elsewhere`: another instance is warming the same, or
 * has just done so;
 * `out-of-time`: its time budget was spent; `failed`: the source could not be read to its end.
 */
export type WarmingOutcome = 'completed' | 'cancelled' | 'out-of-time' | 'failed' | 'disabled' | 'elsewhere'

/** How far a warming has come. */
export interface WarmingProgress {
  readonly id: string
  readonly name: string
  readonly startedAtMs: EpochMs
  /** Rows or paths seen so far. */
  readonly total: number
  /** How many there are, where that is known. */
  readonly expected: number | undefined
  readonly stored: number
  /** Those that could not be stored or fetched. */
  readonly failed: number
  /** Those that need not, or must not, be stored: nothing there, or a purge came in between. */
  readonly skipped: number
  readonly durationMs: Milliseconds
}

export interface WarmingReport extends WarmingProgress {
  readonly outcome: WarmingOutcome
  /** Why it failed. */
  readonly error?: unknown
  /** The first faults of single rows or paths. */
  readonly faults: ReadonlyArray<{ readonly key: string, readonly error: unknown }>
  /** Of routes: how many responses had which status. */
  readonly statuses: Readonly<Record<string, number>>
}

export type WarmingListener = (progress: WarmingProgress) => void

const MAX_FAULTS = 10

/** A warming under way: to watch, to cancel, to wait for. */
export class WarmingJob {
  readonly id: string = randomUUID()
  readonly name: string
  readonly startedAtMs: EpochMs
  /** Resolves with the report; never rejects. */
  readonly report: Promise<WarmingReport>
  readonly #clock: Clock
  readonly #controller = new AbortController()
  readonly #listeners = new Set<WarmingListener>()
  readonly #counts = { total: 0, stored: 0, failed: 0, skipped: 0 }
  readonly #faults: Array<{ key: string, error: unknown }> = []
  readonly #statuses: Record<string, number> = {}
  #expected: number | undefined
  #endedAtMs: EpochMs | undefined
  #result: WarmingReport | undefined
  #cut: 'cancelled' | 'out-of-time' | undefined

  /** @param run does the work; may reject, which makes the outcome `failed` */
  constructor (name: string, clock: Clock, signal: AbortSignal | undefined, run: (job: WarmingJob) => Promise<WarmingOutcome>) {
    this.name = name
    this.#clock = clock
    this.startedAtMs = clock.now()
    // As many listen as requests are under way, and each of them leaves: none is a leak.
    setMaxListeners(0, this.signal)
    const cancel = (): void => { this.cancel() }
    if (signal?.aborted === true) cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    this.report = Promise.resolve().then(async () => await run(this)).then((outcome) => ({ outcome }), (error: unknown) => ({ outcome: 'failed' as const, error })).then((end) => {
      signal?.removeEventListener('abort', cancel)
      this.#endedAtMs = clock.now()
      this.#result = Object.freeze({ ...this.progress, ...end, faults: this.#faults, statuses: this.#statuses })
      this.tell()
      this.#listeners.clear()
      return this.#result
    })
  }

  /** Aborts when the job is cancelled. */
  get signal (): AbortSignal {
    return this.#controller.signal
  }

  get ended (): boolean {
    return this.#endedAtMs !== undefined
  }

  /** The report, once the job has ended. */
  get result (): WarmingReport | undefined {
    return this.#result
  }

  get progress (): WarmingProgress {
    return { id: this.id, name: this.name, startedAtMs: this.startedAtMs, ...this.#counts, expected: this.#expected, durationMs: (this.#endedAtMs ?? this.#clock.now()) - this.startedAtMs }
  }

  /** Ends the job after what is being stored now. */
  cancel (why: 'cancelled' | 'out-of-time' = 'cancelled'): void {
    this.#cut ??= why
    this.#controller.abort()
  }

  /** @internal How a run that came to its end, or was cut short, has ended. */
  get outcome (): WarmingOutcome {
    return this.#cut ?? 'completed'
  }

  /** Listens to the progress, the last one included. @returns ends it */
  onProgress (listener: WarmingListener): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** @internal */
  expect (count: number | undefined): void {
    this.#expected = count
  }

  /** @internal */
  count (what: 'stored' | 'failed' | 'skipped', fault?: { key: string, error: unknown }): void {
    this.#counts.total++
    this.#counts[what]++
    if (fault !== undefined && this.#faults.length < MAX_FAULTS) this.#faults.push(fault)
  }

  /** @internal */
  countStatus (status: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
  }

  /** @internal */
  tell (): void {
    for (const listener of this.#listeners) {
      try {
        listener(this.progress)
      } catch {
        // Whoever looks on has no say in the work.
        this.#listeners.delete(listener)
      }
    }
  }
}
