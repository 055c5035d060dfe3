import type { Clock, Milliseconds } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { LogState } from '../ports/invalidation-log.ts'
import type { RedisClient, RedisSubscriber } from '../ports/redis-client.ts'
import { deadline } from '../resilience/deadline.ts'
import { catchUp } from './catch-up.ts'
import { Heartbeat } from './heartbeat.ts'
import { parseId } from './log-id.ts'
import type { LogNames } from './log-names.ts'
import { APPEND, BEAT, READ } from './log-scripts.ts'
import type { PurgeScope } from './purge-scope.ts'
import type { SharedHistory } from './shared-history.ts'
import { successiveRuns } from './successive-runs.ts'
import { decodeRecord, encodeRecord, everythingScope } from './wire-record.ts'

/** A longer message is not even looked at; the log tells what it was. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024

export interface LogReaderParts {
  readonly client: RedisClient
  readonly clock: Clock
  readonly names: LogNames
  readonly sender: string
  readonly maxRecords: number
  readonly deadlineMs: Milliseconds
  readonly heartbeatMs: Milliseconds
  readonly patienceMs: Milliseconds
  readonly history: SharedHistory
  /** Somebody else has purged this. */
  readonly onScope: (scope: PurgeScope) => void
  /** The history has moved. */
  readonly onAdvance: (position: Position) => void
  /** Time to try again what failed before. */
  readonly onBeat: () => void
  readonly onState: (state: LogState) => void
}

/** What the reader has been through. Counters only grow. */
export interface ReaderCounts {
  /** Records that were applied. */
  applied: number
  /** Times when something was, or may have been, missed. */
  doubts: number
  /** Times when everything held here had to go. */
  distrusts: number
  /** Records that came once more; our own do, as an answer and as a message. */
  duplicates: number
  /** Messages that were no record, and records that could not be read, of another version, or too large. */
  malformed: number
  unknownVersion: number
  tooLarge: number
}

/**
 * Follows the shared log. News of a record is believed as long as it is the exact continuation of what is known. A
 * hole, a new connection, silence, a process that stood still, a message that contradicts: all these are the same event,
 * a doubt, and the log itself settles it (`catch-up.ts`). Until then the state is `behind`.
 */
export class LogReader {
  readonly #parts: LogReaderParts
  readonly #heartbeat: Heartbeat
  readonly #subscriber: RedisSubscriber
  readonly #stopListening: () => void
  readonly #run = successiveRuns(async () => await this.#catchUp())
  readonly #counts: ReaderCounts = { applied: 0, doubts: 0, distrusts: 0, duplicates: 0, malformed: 0, unknownVersion: 0, tooLarge: 0 }
  #pursuit: Promise<unknown> = Promise.resolve()
  #subscribed = false
  #settledDoubts = -1
  #reachable = true
  #toldState: LogState | undefined
  #number = 0
  #beatAt: Position = { epoch: 0, seq: 0 }
  #closed = false

  constructor (parts: LogReaderParts) {
    const { client, clock, heartbeatMs, patienceMs, names } = parts
    this.#parts = parts
    this.#heartbeat = new Heartbeat({
      clock,
      intervalMs: heartbeatMs,
      patienceMs,
      beat: () => { this.#beat() },
      onThaw: () => { this.doubt() },
      onSilence: () => {
        if (this.#subscribed) this.#subscriber.reconnect()
        this.doubt()
      }
    })
    this.#stopListening = client.onChange((ready) => {
      if (ready) this.#beat()
      this.#tellState()
    })
    this.#subscriber = client.subscriber()
    this.#subscriber.start([names.bus, names.echo], {
      message: (channel, message) => { this.#message(channel, message) },
      subscribed: () => {
        this.#subscribed = true
        this.#heartbeat.echo()
        this.doubt()
      },
      lost: () => {
        this.#subscribed = false
        this.#tellState()
      }
    })
    this.#heartbeat.start()
    this.#beat()
  }

  get counts (): Readonly<ReaderCounts> { return this.#counts }

  get state (): LogState {
    this.#heartbeat.checkFrozen()
    return this.#stateNow()
  }

  /** Applies whatever stands in the log now. */
  async sync (): Promise<boolean> {
    const { client, clock, deadlineMs } = this.#parts
    if (this.#closed || !client.ready) return false
    return await deadline(this.#run(), deadlineMs, clock, () => new Error('late')).catch(() => false)
  }

  /** Something may have been missed. */
  doubt (): void {
    this.#counts.doubts++
    this.#tellState()
    this.#pursue()
  }

  /** A record of our own has its place. Those before it may still be on their way, so a gap is no reason to doubt. */
  written (at: Position, text: string): void {
    const succession = this.#parts.history.succession(at, text)
    if (succession === 'next') this.#apply(text)
    else if (succession === 'conflict') this.doubt()
  }

  async close (): Promise<void> {
    this.#closed = true
    this.#heartbeat.stop()
    this.#stopListening()
    await Promise.all([this.#subscriber.close(), this.#pursuit])
  }

  #stateNow (): LogState {
    if (this.#subscribed && this.#settledDoubts === this.#counts.doubts) return 'current'
    return this.#parts.client.ready && this.#reachable ? 'behind' : 'alone'
  }

  #tellState (): void {
    const state = this.#stateNow()
    if (state === this.#toldState || this.#closed) return
    this.#toldState = state
    this.#parts.onState(state)
  }

  #beat (): void {
    const { client, names, history, onBeat } = this.#parts
    if (client.ready && !this.#closed) {
      if (this.#stateNow() !== 'current') this.#pursue()
      this.#beatAt = history.position
      client.script(BEAT, [names.log], [names.echo]).catch(() => {})
    }
    onBeat()
  }

  #pursue (): void {
    if (!this.#closed && this.#parts.client.ready) this.#pursuit = this.#run()
  }

  /** Never rejects. */
  async #catchUp (): Promise<boolean> {
    const { client, names, maxRecords, deadlineMs, history, sender, onAdvance } = this.#parts
    const doubts = this.#counts.doubts
    try {
      this.#reachable = await catchUp({
        history,
        read: async (fromId, count) => {
          if (this.#closed) throw new Error('closed')
          return await client.script(READ, [names.log], [fromId, count], { deadlineMs })
        },
        renew: async (least) => {
          // Numbered apart from the purges of this process, so that no two records look alike.
          const epochStart = encodeRecord(`${sender}_`, ++this.#number, [])
          return await client.script(APPEND, [names.log], [names.bus, maxRecords, least, epochStart, 'renew'], { deadlineMs }) !== '-'
        },
        apply: (text) => { this.#apply(text) },
        distrust: () => {
          this.#counts.distrusts++
          this.#parts.onScope(everythingScope())
        }
      })
    } catch {
      this.#reachable = false
    }
    onAdvance(history.position)
    if (this.#reachable) {
      this.#settledDoubts = doubts
      if (doubts !== this.#counts.doubts) this.#pursue()
    }
    this.#tellState()
    return this.#reachable
  }

  #message (channel: string, message: Buffer): void {
    const { names } = this.#parts
    if (message.length > MAX_MESSAGE_BYTES) {
      this.#counts.tooLarge++
      this.doubt()
      return
    }
    const text = message.toString()
    if (channel === names.echo) {
      this.#echoed(text)
      return
    }
    const space = text.indexOf(' ')
    const id = text.slice(0, Math.max(space, 0))
    const record = text.slice(space + 1)
    const at = parseId(id)
    if (at !== undefined) this.#hear(at, record)
    else if (id === '-') this.#applyUnlogged(record)
    else this.#counts.malformed++
  }

  #hear (at: Position, text: string): void {
    const succession = this.#parts.history.succession(at, text)
    if (succession === 'next') this.#apply(text)
    else if (succession === 'known') this.#counts.duplicates++
    else this.doubt()
  }

  /** Our own message: the connection lives, and the log stood there when it was sent. */
  #echoed (text: string): void {
    const { history } = this.#parts
    const at = parseId(text)
    this.#heartbeat.echo()
    const missed = at?.epoch !== history.epoch || at.seq > history.tip
    const backwards = at !== undefined && at.epoch === this.#beatAt.epoch && at.seq < this.#beatAt.seq
    if (missed || backwards) this.doubt()
  }

  #apply (text: string): void {
    const { history, clock, onAdvance } = this.#parts
    const { scopes, isOwn } = this.#decode(text)
    this.#counts.applied++
    history.add(text, scopes, clock.now())
    if (!isOwn) for (const scope of scopes) this.#parts.onScope(scope)
    onAdvance(history.position)
  }

  /** Redis could not write the record down. It holds all the same; that the log is gone, the log must show. */
  #applyUnlogged (text: string): void {
    const { scopes, isOwn } = this.#decode(text)
    if (!isOwn) for (const scope of scopes) this.#parts.onScope(scope)
    this.doubt()
  }

  #decode (text: string): { readonly scopes: readonly PurgeScope[], readonly isOwn: boolean } {
    const record = decodeRecord(text)
    if (record.understood) return { scopes: record.scopes, isOwn: record.sender === this.#parts.sender }
    this.#counts[record.why]++
    return { scopes: record.scopes, isOwn: false }
  }
}
