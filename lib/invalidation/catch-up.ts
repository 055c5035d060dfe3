import type { Position } from '../entry.ts'
import { formatId, parseId } from './log-id.ts'
import type { SharedHistory } from './shared-history.ts'

const PAGE_RECORDS = 1000
/** Renewals and restarts in one go; more of them mean that somebody else writes to our log. */
const MAX_TURNS = 8

export interface CatchUpParts {
  readonly history: SharedHistory
  /** Runs READ. Rejects when Redis cannot be reached. */
  readonly read: (fromId: string, count: number) => Promise<unknown>
  /** Begins a new epoch, numbered `least` or higher, unless there is one already. `false`: Redis cannot write it down. */
  readonly renew: (least: number) => Promise<boolean>
  /** Applies the record that follows. */
  readonly apply: (text: string) => void
  /** Purges everything that this process holds: something was missed that cannot be learnt any more. */
  readonly distrust: () => void
}

interface View { readonly tail: Position, readonly head: Position, readonly records: ReadonlyArray<readonly [at: Position, text: string]> }

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
    const view = readView(await parts.read(formatId(sawTip || position.epoch === 0 ? position : { ...position, seq: position.seq + 1 }), PAGE_RECORDS))
    const verdict = compare(history, position, sawTip, view)
    if (verdict === 'lost' || view === undefined) {
      turns++
      if (await parts.renew(history.epoch + 1)) continue
      parts.distrust()
      history.restart(0, 0)
      return false
    }
    if (verdict === 'elsewhere') {
      turns++
      parts.distrust()
      history.restart(view.tail.epoch, floorOf(view))
      target = undefined
      continue
    }
    for (const [at, text] of view.records) {
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
    target ??= view.tail
    if (history.epoch === target.epoch && history.tip >= target.seq) return true
  }
  return false
}

/** `lost`: it went backwards or is not the one we knew. `elsewhere`: it goes on, but not where we can follow. */
function compare (history: SharedHistory, position: Position, sawTip: boolean, view: View | undefined): 'lost' | 'elsewhere' | 'same' {
  if (view === undefined || view.tail.epoch < position.epoch) return 'lost'
  if (view.tail.epoch > position.epoch) return 'elsewhere'
  if (view.tail.seq < position.seq) return 'lost'
  if (!sawTip) return 'same'
  const first = view.records[0]
  if (first === undefined || first[0].epoch !== position.epoch || first[0].seq !== position.seq) return 'elsewhere'
  return history.succession(...first) === 'known' ? 'same' : 'lost'
}

function floorOf ({ tail, head }: View): number {
  return head.epoch === tail.epoch ? Math.max(0, head.seq - 1) : 0
}

function readView (reply: unknown): View | undefined {
  if (!Array.isArray(reply)) return undefined
  const [tailId, headId, page] = reply as unknown[]
  const tail = parseId(String(tailId))
  const head = parseId(String(headId))
  if (tail === undefined || head === undefined || !Array.isArray(page)) return undefined
  const records: Array<[Position, string]> = []
  for (let i = 0; i + 1 < page.length; i += 2) {
    const at = parseId(String(page[i]))
    if (at !== undefined) records.push([at, String(page[i + 1])])
  }
  return { tail, head, records }
}
