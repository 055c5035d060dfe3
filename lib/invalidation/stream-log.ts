import type { Milliseconds } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { RedisClient } from '../ports/redis-client.ts'
import { formatId, parseId } from './log-id.ts'
import type { LogNames } from './log-names.ts'
import { APPEND, BEAT, READ } from './log-scripts.ts'

export type PlacedRecord = readonly [at: Position, text: string]

/** A look at the log: where it begins and ends, and a page of its records. */
export interface LogPage { readonly head: Position, readonly tail: Position, readonly records: readonly PlacedRecord[] }

export interface StreamLogOptions {
  readonly client: RedisClient
  readonly names: LogNames
  readonly maxRecords: number
  readonly deadlineMs: Milliseconds
}

/** The log as it stands in Redis. Every method rejects when Redis does not answer in time. */
export class StreamLog {
  readonly #options: StreamLogOptions

  constructor (options: StreamLogOptions) {
    this.#options = options
  }

  /** Appends a record, to an epoch not below `least`; `undefined` when Redis could not write it down and dropped the log. */
  async append (text: string, least: number): Promise<Position | undefined> {
    return parseId(String(await this.#append(text, least)))
  }

  /** Begins an epoch not below `least` with this record, unless there is one; `false` when Redis could not write it down. */
  async renew (text: string, least: number): Promise<boolean> {
    return parseId(String(await this.#append(text, least, 'renew'))) !== undefined
  }

  /** Up to `count` records from a position on; `undefined` when there is no log. */
  async read (from: Position, count: number): Promise<LogPage | undefined> {
    const { client, names, deadlineMs } = this.#options
    const reply = await client.script(READ, [names.log], [formatId(from), count], { deadlineMs })
    if (!Array.isArray(reply)) return undefined
    const [tailId, headId, page] = reply as unknown[]
    const tail = parseId(String(tailId))
    const head = parseId(String(headId))
    if (tail === undefined || head === undefined || !Array.isArray(page)) return undefined
    const records: PlacedRecord[] = []
    for (let i = 0; i + 1 < page.length; i += 2) {
      const at = parseId(String(page[i]))
      if (at !== undefined) records.push([at, String(page[i + 1])])
    }
    return { head, tail, records }
  }

  /** Has Redis tell our own channel where the log ends. */
  async beat (): Promise<void> {
    const { client, names, deadlineMs } = this.#options
    await client.script(BEAT, [names.log], [names.echo], { deadlineMs })
  }

  async #append (text: string, least: number, ...mode: string[]): Promise<unknown> {
    const { client, names, maxRecords, deadlineMs } = this.#options
    return await client.script(APPEND, [names.log], [names.bus, maxRecords, least, text, ...mode], { deadlineMs })
  }
}
