import type { Milliseconds } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { RedisClient } from '../ports/redis-client.ts'
import { formatId, parseId } from './log-id.ts'
import type { LogNames } from './log-names.ts'
import { APPEND, BEAT, READ } from './log-scripts.ts'

export type PlacedRecord = readonly [at: Position, text: string]

/** A look at the log: where it begins and ends, and a page of its records. */
export interface LogPage { readonly head: Position, readonly tail: Position, readonly records: readonly PlacedRecord[] }

export interface Appended {
  /** The place of the record; `undefined` when Redis could not write it down and dropped the log. */
  readonly at: Position | undefined
  /** What stands between the newest record that was known and this one. */
  readonly between: readonly PlacedRecord[]
}

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

  /** Appends a record, to an epoch not below that of `known`. */
  async append (text: string, known: Position): Promise<Appended> {
    return readAppended(await this.#append(text, known.epoch, formatId(known)))
  }

  /** Begins an epoch not below `least` with this record, unless there is one; `false` when Redis could not write it down. */
  async renew (text: string, least: number): Promise<boolean> {
    return readAppended(await this.#append(text, least, 'renew')).at !== undefined
  }

  /** Up to `count` records from a position on; `undefined` when there is no log. */
  async read (from: Position, count: number): Promise<LogPage | undefined> {
    const { client, names, deadlineMs } = this.#options
    const reply = await client.script(READ, [names.log], [formatId(from), count], { deadlineMs })
    if (!Array.isArray(reply)) return undefined
    const [tailId, headId, page] = reply as unknown[]
    const tail = parseId(String(tailId))
    const head = parseId(String(headId))
    if (tail === undefined || head === undefined) return undefined
    return { head, tail, records: readRecords(page) }
  }

  /** Has Redis tell our own channel where the log ends. */
  async beat (): Promise<void> {
    const { client, names, deadlineMs } = this.#options
    await client.script(BEAT, [names.log], [names.echo], { deadlineMs })
  }

  async #append (text: string, least: number, mode: string): Promise<unknown> {
    const { client, names, maxRecords, deadlineMs } = this.#options
    return await client.script(APPEND, [names.log], [names.bus, maxRecords, least, text, mode], { deadlineMs })
  }
}

function readAppended (reply: unknown): Appended {
  const [id, between] = Array.isArray(reply) ? reply as unknown[] : []
  return { at: parseId(String(id)), between: readRecords(between) }
}

function readRecords (flat: unknown): PlacedRecord[] {
  const records: PlacedRecord[] = []
  if (!Array.isArray(flat)) return records
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const at = parseId(String(flat[i]))
    if (at !== undefined) records.push([at, String(flat[i + 1])])
  }
  return records
}
