import type { Position } from '../entry.ts'
import type { SharedHistory } from './shared-history.ts'
import type { LogPage } from './stream-log.ts'

const PAGE_RECORDS = 1000
/** Renewals and restarts in one go; more of them mean that somebody else writes to our log. */
const MAX_TURNS = 8

export interface CatchUpParts {
  readonly history: SharedHistory
  /** `undefined` when there is no log. Rejects when Redis cannot be reached. */
  readonly read: (from: Position, count: number) => Promise<LogPage | undefined>
  /** Begins a new epoch, numbered `least` or higher, unless there is one already. `false`: Redis cannot write it down. */
  readonly renew: (least: number) => Promise<boolean>
  /** Applies the record that follows. */
  readonly apply: (text: string) => void
  /** Purges everything that this process holds: something was missed that cannot be learnt any more. */
  readonly distrust: () => void
}

/**
 * Reads the log from the newest record that was applied up to its end. That record is read again: if it is not there,
 * or is another one, then this is not the log we knew (flushed, evicted, trimmed too far, a replica that was behind), and
 * what we know of it is worth nothing: entries held here go, and a log that went backwards gets a new epoch, so that no
 * instance trusts an entry in Redis from before. There is no need to write lost records again, the new epoch says more.
 *
 * Answers whether the history now is what the log was when we began; `false` if no log can be had.
 */
export async function catchUp (parts: CatchUpParts): Promise<boolean> {
  const { history } = parts
  let target: Position | undefined
  for (let turns = 0; turns < MAX_TURNS;) {
    const { position, sawTip } = history
    const before = history.tip
    const page = await parts.read(sawTip ? position : { ...position, seq: position.seq + 1 }, PAGE_RECORDS)
    const verdict = compare(history, position, sawTip, page)
    if (verdict === 'lost' || page === undefined) {
      turns++
      if (await parts.renew(history.epoch + 1)) continue
      parts.distrust()
      history.restart(0, 0)
      return false
    }
    if (verdict === 'elsewhere') {
      turns++
      parts.distrust()
      history.restart(page.tail.epoch, floorOf(page))
      target = undefined
      continue
    }
    for (const [at, text] of page.records) {
      // Meanwhile the same records may have come by the other way.
      const succession = history.succession(at, text)
      if (succession === 'next') parts.apply(text)
      else if (succession !== 'known') turns++
      if (succession === 'conflict') break
      if (succession === 'gap') {
        parts.distrust()
        history.restart(at.epoch, at.seq - 1)
        parts.apply(text)
      }
    }
    if (history.tip === before) turns++
    target ??= page.tail
    if (history.epoch === target.epoch && history.tip >= target.seq) return true
  }
  return false
}

/** `lost`: it went backwards or is not the one we knew. `elsewhere`: it goes on, but not where we can follow. */
function compare (history: SharedHistory, position: Position, sawTip: boolean, page: LogPage | undefined): 'lost' | 'elsewhere' | 'same' {
  if (page === undefined || page.tail.epoch < position.epoch) return 'lost'
  if (page.tail.epoch > position.epoch) return 'elsewhere'
  if (page.tail.seq < position.seq) return 'lost'
  if (!sawTip) return 'same'
  const first = page.records[0]
  if (first === undefined || first[0].epoch !== position.epoch || first[0].seq !== position.seq) return 'elsewhere'
  return history.succession(...first) === 'known' ? 'same' : 'lost'
}

function floorOf ({ tail, head }: LogPage): number {
  return head.epoch === tail.epoch ? Math.max(0, head.seq - 1) : 0
}
