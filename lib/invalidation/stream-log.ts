import type { Milliseconds } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { RedisClient } from '../ports/redis-client.ts'
import { saysRefused } from '../redis/permission.ts'
import { formatId, parseId } from './log-id.ts'
import type { LogNames } from './log-names.ts'
import { APPEND, BEAT, READ } from './log-scripts.ts'
import type { Rights } from './rights.ts'

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
  /** Hears what we may do, and what not. */
  readonly rights: Rights
}

/** The script found a log that need not be begun. */
const UNTRIED = '-'

/** The log as it stands in Redis. Every method rejects when Redis does not answer in time. */
export class StreamLog {
  readonly #options: StreamLogOptions

  constructor (options: StreamLogOptions) {
    this.#options = options
  }

  /** Appends a record, to an epoch not below that of `known`. */
  async append (text: string, known: Position): Promise<Appended> {
    return await this.#append(text, known.epoch, formatId(known))
  }

  /** Begins an epoch not below `least` with this record, unless there is one; `false` when Redis could not write it down. */
  async renew (text: string, least: number): Promise<boolean> {
    return (await this.#append(text, least, 'renew')).at !== undefined
  }

  /** Finds out whether records can be written and told, with this one. */
  async probe (text: string, known: Position): Promise<void> {
    await this.#append(text, known.epoch, 'probe')
  }

  /** Up to `count` records from a position on; `undefined` when there is no log. */
  async read (from: Position, count: number): Promise<LogPage | undefined> {
    const { client, names, deadlineMs, rights } = this.#options
    const reply = await rights.ask('read', async () => await client.script(READ, [names.log], [formatId(from), count], { deadlineMs }))
    if (!Array.isArray(reply)) return undefined
    const [tailId, headId, page] = reply as unknown[]
    const tail = parseId(String(tailId))
    const head = parseId(String(headId))
    if (tail === undefined || head === undefined) return undefined
    return { head, tail, records: readRecords(page) }
  }

  /** Has Redis tell our own channel where the log ends. */
  async beat (): Promise<void> {
    const { client, names, deadlineMs, rights } = this.#options
    await rights.ask('echo', async () => await client.script(BEAT, [names.log], [names.echo], { deadlineMs }))
  }

  async #append (text: string, least: number, mode: string): Promise<Appended> {
    const { client, names, maxRecords, deadlineMs, rights } = this.#options
    const reply = await rights.ask('append', async () => await client.script(APPEND, [names.log], [names.bus, maxRecords, least, text, mode], { deadlineMs }))
    const [id, between, refusal] = Array.isArray(reply) ? reply as unknown[] : []
    const at = parseId(String(id))
    this.#note(at !== undefined, String(refusal))
    return { at, between: readRecords(between) }
  }

  #note (written: boolean, refusal: string): void {
    const { rights } = this.#options
    if (refusal === UNTRIED) return
    if (written) rights.granted('write')
    if (saysRefused(refusal)) rights.refused(written ? 'tell' : 'write', refusal)
    else if (written) rights.granted('tell')
  }
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
