import { errors, shown } from '../errors.ts'
import { backoffMs } from '../resilience/backoff.ts'
import { Fill, type FillOptions, type FillVerdict } from './fill.ts'
import { checkLoadOptions, type StoreOptions } from './load-options.ts'
import type { EngineParts } from './parts.ts'
import type { WarmingJob, WarmingOutcome } from './warming-job.ts'
import { pauseFor, type Pace } from './warming-pace.ts'
import { openRows, type OpenedRows, type WarmingRow, type WarmingSource } from './warming-rows.ts'

/** How rows are stored. */
export interface DataWarming<T> extends StoreOptions<T> {
  readonly batchSize: number
  readonly concurrency: number
  readonly retries: number
  readonly jitter: number
}

const RETRY = { baseMs: 100, maxMs: 2000 }

/** Rows whose store was away are tried again; whatever else went wrong with a row would go wrong again. */
const isTransient = (verdict: FillVerdict): boolean => !verdict.stored && verdict.reason === 'unavailable'

/** @throws FST_ERR_CACHE_OPTION */
export function checkDataWarming<T> (keyPattern: unknown, { batchSize, concurrency, retries, ...options }: DataWarming<T>): void {
  if (typeof keyPattern !== 'string' || keyPattern === '') throw new errors.FST_ERR_CACHE_OPTION('keyPattern', shown(keyPattern), 'a string with at least one character')
  for (const [name, value, min] of [['batchSize', batchSize, 1], ['concurrency', concurrency, 1], ['retries', retries, 0]] as const) {
    if (!Number.isSafeInteger(value) || value < min) throw new errors.FST_ERR_CACHE_OPTION(name, shown(value), `a whole number, ${min} or more`)
  }
  checkLoadOptions(options)
}

/** Stores what a source yields, batch by batch, and holds no more than the batches under way. */
export class DataWarmer<T> {
  readonly #job: WarmingJob
  readonly #parts: EngineParts
  readonly #pace: Pace
  readonly #keyPattern: string
  readonly #options: DataWarming<T>
  readonly #ways: FillOptions<T>
  /** Ends the wait of the moment. */
  #giveUp = (): void => {}

  constructor (job: WarmingJob, parts: EngineParts, pace: Pace, keyPattern: string, options: DataWarming<T>) {
    this.#job = job
    this.#parts = parts
    this.#pace = pace
    this.#keyPattern = keyPattern
    this.#options = options
    const { batchSize, concurrency, retries, ...ways } = options
    this.#ways = ways
    job.signal.addEventListener('abort', () => { this.#giveUp() }, { once: true })
  }

  /**
   * Rejects with what the source throws, when the rows before that are stored.
   * @param atCall began when the source was handed in: what is no function may hold what was read by then
   */
  async run (source: WarmingSource<T>, atCall: Fill): Promise<WarmingOutcome> {
    const opened = await this.#open(source, atCall)
    if (opened === undefined) return this.#job.outcome
    this.#job.expect(opened.rows.expected)
    const storing = new Set<Promise<void>>()
    try {
      for await (const batch of this.#batches(opened.fill, opened.rows)) {
        const stored: Promise<void> = this.#store(opened.fill, batch).finally(() => { storing.delete(stored) })
        storing.add(stored)
        if (storing.size >= this.#options.concurrency) await Promise.race(storing)
        await this.#pace.breathe(this.#job.signal)
      }
    } finally {
      await Promise.all(storing)
    }
    return this.#job.outcome
  }

  async #open (source: WarmingSource<T>, atCall: Fill): Promise<{ fill: Fill, rows: OpenedRows<T> } | undefined> {
    for (let attempt = 1; !this.#job.signal.aborted; attempt++) {
      const fill = typeof source === 'function' ? new Fill(this.#parts) : atCall
      try {
        const rows = typeof source === 'function' ? await this.#unlessAborted(fill.read(() => source({ signal: this.#job.signal }))) : source
        return rows === 'aborted' ? undefined : { fill, rows: openRows(rows) }
      } catch (error) {
        if (attempt > this.#options.retries) throw error
        await this.#pauseAfter(attempt)
      }
    }
    return undefined
  }

  async * #batches (fill: Fill, { rows, read }: OpenedRows<T>): AsyncGenerator<Array<WarmingRow<T>>, void, undefined> {
    let batch: Array<WarmingRow<T>> = []
    let failure: { error: unknown } | undefined
    while (!this.#job.signal.aborted) {
      let row: IteratorResult<unknown, unknown> | 'aborted'
      try {
        row = await this.#unlessAborted(fill.read(() => rows.next()))
      } catch (error) {
        failure = { error }
        break
      }
      if (row === 'aborted' || row.done === true) break
      try {
        batch.push(read(row.value))
      } catch (error) {
        this.#job.count('failed', { key: `row ${this.#job.progress.total + batch.length + 1}`, error })
      }
      if (batch.length === this.#options.batchSize) {
        yield batch
        batch = []
      }
    }
    if (batch.length > 0 && !this.#job.signal.aborted) yield batch
    if (failure !== undefined) throw failure.error
    // A source that hangs is not waited for.
    if (this.#job.signal.aborted) void Promise.resolve(rows.return?.()).catch(() => {})
  }

  /** No race with one promise for the whole warming: that would keep what comes of every race, so every row, until it settles. */
  async #unlessAborted<R> (answer: Promise<R>): Promise<R | 'aborted'> {
    return await new Promise((resolve, reject) => {
      this.#giveUp = () => { resolve('aborted') }
      if (this.#job.signal.aborted) this.#giveUp()
      answer.then(resolve, reject)
    })
  }

  async #store (fill: Fill, rows: ReadonlyArray<WarmingRow<T>>): Promise<void> {
    let items = rows.map(([key, value]) => [`${this.#keyPattern}:${key}`, value] as const)
    for (let attempt = 1; ; attempt++) {
      const verdicts = await this.#tryStore(fill, items)
      const again = attempt <= this.#options.retries && !this.#job.signal.aborted
      for (const [index, [key]] of items.entries()) {
        const verdict = verdicts[index] as FillVerdict
        if (!again || !isTransient(verdict)) this.#count(key, verdict)
      }
      items = again ? items.filter((_item, index) => isTransient(verdicts[index] as FillVerdict)) : []
      if (items.length === 0) break
      await this.#pauseAfter(attempt)
    }
    this.#job.tell()
  }

  /** Stores that break their contract spoil a batch, not the warming. */
  async #tryStore (fill: Fill, items: ReadonlyArray<readonly [key: string, value: T]>): Promise<FillVerdict[]> {
    try {
      return await fill.store(items, this.#ways, true)
    } catch (error) {
      return items.map(() => ({ stored: false, reason: 'invalid', error }))
    }
  }

  #count (key: string, verdict: FillVerdict): void {
    if (verdict.stored) this.#job.count('stored')
    else if (verdict.reason === 'invalid') this.#job.count('failed', { key, error: verdict.error })
    else if (verdict.reason === 'unavailable' || verdict.reason === 'closed' || verdict.reason === 'too-large') this.#job.count('failed', { key, error: verdict.reason })
    else this.#job.count('skipped')
  }

  async #pauseAfter (attempt: number): Promise<void> {
    await pauseFor(this.#parts.clock, backoffMs(attempt, { ...RETRY, random: this.#parts.random }), this.#job.signal)
  }
}
