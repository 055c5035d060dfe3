import type { Clock, EpochMs } from '../../clock.ts'

/** A clock of which a test is the hand. */
export interface FakeClock extends Clock {
  /** Moves time forward, running what falls due, in order. */
  advance: (ms: number) => void
}

/** Time that moves only by hand. It starts well above zero, so that "0" and "never" cannot be mistaken for an instant. */
export function fakeClock (startMs: EpochMs = Date.UTC(2030, 0, 1)): FakeClock {
  let nowMs = startMs
  let pending: Array<{ atMs: EpochMs, task: () => void }> = []
  return {
    now: () => nowMs,
    after (delayMs, task) {
      const job = { atMs: nowMs + delayMs, task }
      pending.push(job)
      return { cancel: () => { pending = pending.filter((other) => other !== job) } }
    },
    advance (ms) {
      const untilMs = nowMs + ms
      for (;;) {
        const next = pending.filter((job) => job.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
        if (next === undefined) break
        pending = pending.filter((job) => job !== next)
        nowMs = Math.max(nowMs, next.atMs)
        next.task()
      }
      nowMs = untilMs
    }
  }
}
