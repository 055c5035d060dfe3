import { randomBytes } from 'node:crypto'
import { systemClock, type Clock, type Milliseconds } from '../clock.ts'
import type { InvalidationLog, LogState } from '../ports/invalidation-log.ts'
import type { RedisClient } from '../ports/redis-client.ts'
import { InvalidationIndex } from './invalidation-index.ts'
import type { RedisLogHealth } from './log-health.ts'
import { logNames } from './log-names.ts'
import { LogReader } from './log-reader.ts'
import { LogWriter } from './log-writer.ts'
import { Outbox } from './outbox.ts'
import { isEmptyScope, scopeOf, type PurgeScope } from './purge-scope.ts'
import { Rights } from './rights.ts'
import { SharedHistory } from './shared-history.ts'
import { StreamLog } from './stream-log.ts'

export interface RedisLogOptions {
  readonly client: RedisClient
  /** @default the system's */
  readonly clock?: Clock
  /** Stands in front of the name of the log and of its channels. */
  readonly prefix: string
  /** About how many records the log keeps, and how many names each process remembers exactly. @default 100_000 */
  readonly maxRecords?: number
  /** How many globs that are not mere prefixes are remembered. @default 1_000 */
  readonly maxGlobs?: number
  /** How many names wait for Redis to come back before they become "everything". @default 100_000 */
  readonly maxQueued?: number
  /** How long `append` and `sync` wait for Redis, in milliseconds. @default 200 */
  readonly deadlineMs?: Milliseconds
  /** How often each process sends itself a message, in milliseconds. @default 1_000 */
  readonly heartbeatMs?: Milliseconds
  /** After how long a silence messages are assumed to be lost, in milliseconds. @default 3_000 */
  readonly patienceMs?: Milliseconds
  /** Told of each change of `state`. */
  readonly onState?: (state: LogState) => void
  /**
   * Told what Redis says when its user may not do all that the log needs, or when it has been read-only for `patienceMs`; and
   * `undefined` when all is well.
   */
  readonly onRefusal?: (why: string | undefined) => void
  /** Told at the end, and later of each, what this process has purged of which no other will hear: `2 names, 1 pattern`. */
  readonly onLost?: (purges: string) => void
}

export interface RedisLog extends InvalidationLog {
  readonly health: () => RedisLogHealth
  /**
   * What Redis said to something that its user may not do, or, for long, to every purge as it is read-only; until that ends,
   * purges travel late or not at all.
   */
  readonly refusal: string | undefined
}

/**
 * The log of many processes: a stream in Redis, and the news of it by Pub/Sub.
 *
 * There are two numberings. `tip` counts what was applied in this process in the order in which it came, its own purges
 * at the moment of the call; entries held here and running loads are judged by it. The shared history has the numbers of
 * the stream; entries from Redis are judged by that, and by what Redis has not been told yet.
 *
 * Being cut off is not the same as having missed something. While Redis is away nobody can tell us anything: purges of
 * this process hold at once and are sent later, and what others purge meanwhile is the bounded staleness that the state
 * `alone` stands for. As soon as the log can be read again the state is `behind` until it has been.
 */
export function createRedisLog ({
  client, clock = systemClock, prefix, maxRecords = 100_000, maxGlobs = 1000, maxQueued = 100_000, deadlineMs = 200, heartbeatMs = 1000, patienceMs = 3000, onState = () => {}, onRefusal = () => {}, onLost = () => {}
}: RedisLogOptions): RedisLog {
  // Chosen here and not by the user: two processes of one name would take each other's purges for their own.
  const sender = randomBytes(9).toString('base64url')
  const names = logNames(prefix, sender)
  const here = new InvalidationIndex({ maxRecords, maxGlobs })
  const history = new SharedHistory({ maxRecords, maxGlobs })
  let closed = false
  /** Of a change that a handler made when the cache was closed already. */
  const tellLost = (scope: PurgeScope): void => {
    const late = new Outbox(maxQueued)
    late.add(scope, clock.now())
    onLost(late.words)
  }
  const applyHere = (scope: PurgeScope): void => { here.add(scope, here.tip + 1, clock.now()) }
  const rights = new Rights({ clock, pauseMs: heartbeatMs, onRefusal: (why) => { onRefusal(why ?? refusal()) } })
  const log = new StreamLog({ client, names, maxRecords, deadlineMs, rights })
  const common = { client, clock, sender, log, deadlineMs, rights }
  const writer: LogWriter = new LogWriter({
    ...common,
    maxQueued,
    patienceMs,
    position: () => history.position,
    onWritten: (records) => { reader.written(records) },
    onUnlogged: () => { reader.doubt() },
    onReadOnly: () => { onRefusal(refusal()) }
  })
  const refusal = (): string | undefined => rights.refusal ?? writer.readOnly
  const reader: LogReader = new LogReader({
    ...common,
    names,
    heartbeatMs,
    patienceMs,
    history,
    onState,
    onScope: applyHere,
    onAdvance: (position) => { writer.confirm(position) },
    onBeat: () => { writer.pump() }
  })

  return {
    get state () { return reader.state },
    get queued () { return writer.queued },
    get tip () { return here.tip },
    get refusal () { return refusal() },
    ticket: () => ({ at: here.tip, asOf: history.position }),
    judge: (key, marks, since) => here.judge(key, marks, since),
    judgeShared (key, marks, asOf) {
      const known = history.judge(key, marks, asOf)
      if (known === 'purged') return known
      const unsent = writer.judge(key, marks)
      return unsent === 'valid' ? known : unsent
    },
    softPurgedAtMs: (key, marks, since) => here.softPurgedAtMs(key, marks, since),
    append (record) {
      const scope = scopeOf(record)
      if (isEmptyScope(scope)) return 'everywhere'
      applyHere(scope)
      if (closed) tellLost(scope)
      return writer.append(scope)
    },
    sync: async () => await reader.sync(),
    forget: (upTo) => { here.forget(upTo) },
    health: () => ({
      ...reader.counts,
      state: reader.state,
      position: history.position,
      floor: history.floor,
      remembered: here.size + history.size,
      queued: writer.queued,
      sent: writer.sent,
      unlogged: writer.unlogged
    }),
    async close () {
      const lost = await writer.close()
      closed = true
      if (lost !== '') onLost(lost)
      await reader.close()
    }
  }
}
