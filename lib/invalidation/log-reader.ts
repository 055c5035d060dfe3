import type { Clock, Milliseconds } from '../clock.ts'
import type { Position } from '../entry.ts'
import type { LogState } from '../ports/invalidation-log.ts'
import type { RedisClient, RedisSubscriber } from '../ports/redis-client.ts'
import { deadline } from '../resilience/deadline.ts'
import { catchUp } from './catch-up.ts'
import { EarlyNews } from './early-news.ts'
import { Heartbeat } from './heartbeat.ts'
import type { ReaderCounts } from './log-health.ts'
import { parseId } from './log-id.ts'
import type { LogNames } from './log-names.ts'
import { readNews } from './news.ts'
import type { PurgeScope } from './purge-scope.ts'
import type { Rights } from './rights.ts'
import type { SharedHistory } from './shared-history.ts'
import type { PlacedRecord, StreamLog } from './stream-log.ts'
import { successiveRuns } from './successive-runs.ts'
import { decodeRecord, encodeRecord, everythingScope } from './wire-record.ts'

export interface LogReaderParts {
  readonly client: RedisClient
  readonly clock: Clock
  readonly names: LogNames
  readonly sender: string
  readonly log: StreamLog
  readonly deadlineMs: Milliseconds
  readonly heartbeatMs: Milliseconds
  readonly patienceMs: Milliseconds
  readonly rights: Rights
  readonly history: SharedHistory
  /** Somebody else has purged this. */
  readonly onScope: (scope: PurgeScope) => void
  /** The history has moved. */
  readonly onAdvance: (position: Position) => void
  /** Time to try again what failed before. */
  readonly onBeat: () => void
  readonly onState: (state: LogState) => void
}

/**
 * Follows the shared log. News of a record is believed as long as it is the exact continuation of what is known. A
 * hole, a new connection, silence, a process that stood still, a message that contradicts: all these are the same event,
 * a doubt, and the log itself settles it (`catch-up.ts`). Until then the state is `behind`. So it is for as long as Redis does
 * not let us listen, or not send the messages by which we know that we hear.
 */
export class LogReader {
  readonly #parts: LogReaderParts
  readonly #heartbeat: Heartbeat
  readonly #subscriber: RedisSubscriber
  readonly #stopListening: () => void
  readonly #run = successiveRuns(async () => await this.#catchUp())
  readonly #counts: ReaderCounts = { applied: 0, doubts: 0, distrusts: 0, duplicates: 0, malformed: 0, unknownVersion: 0, tooLarge: 0 }
  readonly #early = new EarlyNews()
  #catchingUp = false
  #pursuit: Promise<unknown> = Promise.resolve()
  #subscribed = false
  #settledDoubts = -1
  #reachable = true
  #toldState: LogState | undefined
  #number = 0
  #beatAt: Position = { epoch: 0, seq: 0 }
  #thawedAtMs = -Infinity
  /** At the last beat, and since. */
  #wasAlone = true
  #closed = false

  constructor (parts: LogReaderParts) {
    const { client, clock, heartbeatMs, patienceMs, names, rights } = parts
    this.#parts = parts
    this.#heartbeat = new Heartbeat({
      clock,
      intervalMs: heartbeatMs,
      patienceMs,
      beat: () => {
        this.#wasAlone = this.#stateNow() === 'alone'
        this.#beat()
      },
      onThaw: () => {
        // Whoever was alone before has missed no more than without it.
        if (!this.#wasAlone) this.#thawedAtMs = clock.now()
        this.doubt()
      },
      onSilence: () => {
        // Nobody has said anything.
        if (!rights.has('echo')) return
        if (this.#subscribed) this.#subscriber.reconnect()
        this.doubt()
      }
    })
    this.#stopListening = client.onChange((ready) => {
      rights.tryAll()
      if (ready) this.#beat()
      this.#tellState()
    })
    this.#subscriber = client.subscriber()
    this.#subscriber.start([names.bus, names.echo], {
      message: (channel, message) => { this.#message(channel, message) },
      subscribed: () => {
        this.#subscribed = true
        this.#hearAgain()
        rights.granted('listen')
      },
      lost: () => {
        this.#subscribed = false
        this.#tellState()
      },
      refused: ({ message }) => { rights.refused('listen', message) }
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
    const { client, clock, deadlineMs, rights } = this.#parts
    if (this.#closed || !client.ready || !rights.mayTry('read')) return false
    return await deadline(this.#run(), deadlineMs, clock, () => new Error('late')).catch(() => false)
  }

  /** Something may have been missed. */
  doubt (): void {
    this.#counts.doubts++
    this.#tellState()
    this.#pursue()
  }

  /** Records from the log itself. They may be ahead of us, but then nothing was lost: they are only too many at once. */
  written (records: readonly PlacedRecord[]): void {
    const { history } = this.#parts
    for (const [at, text] of records) {
      const succession = history.succession(at, text)
      if (succession === 'next') this.#apply(text)
      else if (succession === 'conflict') this.doubt()
      else if (succession === 'gap') this.#pursue()
    }
  }

  async close (): Promise<void> {
    this.#closed = true
    this.#heartbeat.stop()
    this.#stopListening()
    await Promise.all([this.#subscriber.close(), this.#pursuit])
  }

  #stateNow (): LogState {
    const { client, clock, patienceMs, rights } = this.#parts
    if (this.#subscribed && rights.has('echo') && this.#settledDoubts === this.#counts.doubts) return 'current'
    // Whoever wakes up finds its connections broken, and is not cut off before it could have had new ones.
    return (client.ready && this.#reachable) || clock.now() - this.#thawedAtMs < patienceMs ? 'behind' : 'alone'
  }

  #tellState (): void {
    const state = this.#stateNow()
    this.#wasAlone &&= state === 'alone'
    if (state === this.#toldState || this.#closed) return
    this.#toldState = state
    this.#parts.onState(state)
  }

  #beat (): void {
    const { client, log, history, rights, onBeat } = this.#parts
    if (client.ready && !this.#closed) {
      if (this.#stateNow() !== 'current') this.#pursue()
      this.#beatAt = history.position
      const wasRefused = !rights.has('echo')
      if (rights.mayTry('echo')) log.beat().then(() => { if (wasRefused) this.#hearAgain() }, () => { this.#tellState() })
    }
    this.#probe()
    onBeat()
  }

  /** Nobody may purge anything for long, so nothing else would find out that what was refused is allowed now. */
  #probe (): void {
    const { client, log, history, rights } = this.#parts
    const lacking = (['write', 'tell'] as const).filter((right) => !rights.has(right))
    if (lacking.length === 0 || this.#closed || !client.ready || this.#stateNow() !== 'current' || !lacking.every((right) => rights.mayTry(right))) return
    log.probe(this.#nothing(), history.position).catch(() => {})
  }

  /** Numbered apart from the purges of this process, so that no two records look alike. */
  #nothing (): string {
    return encodeRecord(`${this.#parts.sender}_`, ++this.#number, [])
  }

  #hearAgain (): void {
    this.#heartbeat.echo()
    this.doubt()
  }

  #pursue (): void {
    const { client, rights } = this.#parts
    if (!this.#closed && client.ready && rights.mayTry('read')) this.#pursuit = this.#run()
  }

  /** Never rejects. */
  async #catchUp (): Promise<boolean> {
    const { log, history, rights, onAdvance } = this.#parts
    const doubts = this.#counts.doubts
    this.#catchingUp = true
    try {
      this.#reachable = await catchUp({
        history,
        read: async (from, count) => {
          if (this.#closed) throw new Error('closed')
          return await log.read(from, count)
        },
        renew: async (least) => rights.mayTry('write') && await log.renew(this.#nothing(), least),
        apply: (text) => { this.#apply(text) },
        distrust: () => {
          this.#counts.distrusts++
          this.#parts.onScope(everythingScope())
        }
      })
    } catch {
      this.#reachable = false
    }
    this.#catchingUp = false
    for (let text = this.#early.takeAfter(history.position); text !== undefined; text = this.#early.takeAfter(history.position)) this.#apply(text)
    if (this.#early.clear(history.position)) this.#counts.doubts++
    onAdvance(history.position)
    if (this.#reachable) {
      this.#settledDoubts = doubts
      if (doubts !== this.#counts.doubts) this.#pursue()
    }
    this.#tellState()
    return this.#reachable
  }

  #message (channel: string, message: Buffer): void {
    if (channel === this.#parts.names.echo) {
      this.#echoed(message.toString())
      return
    }
    const news = readNews(message)
    if (news.kind === 'record') this.#hear(news.at, news.text)
    else if (news.kind === 'unlogged') this.#applyUnlogged(news.text)
    else this.#counts[news.kind]++
    if (news.kind === 'tooLarge') this.doubt()
  }

  #hear (at: Position, text: string): void {
    const succession = this.#parts.history.succession(at, text)
    if (succession === 'next') this.#apply(text)
    else if (succession === 'known') this.#counts.duplicates++
    else if (succession === 'gap') this.#tooEarly(at, text)
    else this.doubt()
  }

  #tooEarly (at: Position, text: string): void {
    this.#early.keep(at, text)
    if (!this.#catchingUp || this.#stateNow() === 'current') this.doubt()
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
