import type { Clock } from '../clock.ts'
import type { InvalidationLog, Ticket } from '../ports/invalidation-log.ts'
import { refuseUnknown } from '../unknown-option.ts'
import { InvalidationIndex } from './invalidation-index.ts'
import { isEmptyScope, scopeOf } from './purge-scope.ts'

export interface LocalLogOptions {
  readonly clock: Clock
  /** How many names are remembered exactly. Older ones are remembered roughly: a few entries are missed without need. @default 100_000 */
  readonly maxRecords?: number
  /** How many globs that are not mere prefixes are remembered. @default 1_000 */
  readonly maxGlobs?: number
}

const KNOWN: ReadonlySet<string> = new Set<keyof LocalLogOptions>(['clock', 'maxRecords', 'maxGlobs'])

/**
 * The log of a single process: a purge reaches everywhere as soon as the call returns.
 * @throws FST_ERR_CACHE_OPTION_UNKNOWN
 */
export function createLocalLog (options: LocalLogOptions): InvalidationLog {
  refuseUnknown(options, KNOWN)
  const { clock, ...limits } = options
  const index = new InvalidationIndex(limits)
  // Every entry keeps the place of its own: one for all that began between two purges.
  let ticket: Ticket = { at: 0, asOf: { epoch: 0, seq: 0 } }
  return {
    state: 'current',
    queued: 0,
    get tip () { return index.tip },
    ticket () {
      const { tip } = index
      if (ticket.at !== tip) ticket = { at: tip, asOf: { epoch: 0, seq: tip } }
      return ticket
    },
    judge: (key, marks, since) => index.judge(key, marks, since),
    judgeShared: (key, marks, asOf) => asOf.epoch === 0 && asOf.seq <= index.tip ? index.judge(key, marks, asOf.seq) : 'purged',
    softPurgedAtMs: (key, marks, since) => index.softPurgedAtMs(key, marks, since),
    append (record) {
      const scope = scopeOf(record)
      if (!isEmptyScope(scope)) index.add(scope, index.tip + 1, clock.now())
      return 'everywhere'
    },
    sync: () => true,
    forget: (upTo) => { index.forget(upTo) },
    close () {}
  }
}
