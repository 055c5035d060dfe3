import type { Clock } from '../../lib/clock.ts'

const TICK_MS = 10

const startedAt = Date.now()
const due = new Set<{ readonly atMs: number, readonly task: () => void }>()
let ms = 0

setInterval(() => {
  ms += TICK_MS
  for (const timer of [...due].sort((a, b) => a.atMs - b.atMs)) {
    if (timer.atMs <= ms && due.delete(timer)) timer.task()
  }
}, TICK_MS).unref()

/**
 * How long this process has been at work or at rest, in milliseconds. A process that gets no CPU for a second is not a
 * second older: its timers are as late as this one, so what waited for one of them has not waited longer for that.
 * Whatever is really waited for is seen as on a clock.
 */
export function loopMs (): number {
  return ms
}

/**
 * The time of this process as a clock, for deadlines that a real Redis has to keep: on the one of the system, an answer that
 * came in time is late when the process was not there to read it.
 */
export const loopClock: Clock = {
  now: () => startedAt + ms,
  after (delayMs, task) {
    const timer = { atMs: ms + delayMs, task }
    due.add(timer)
    return { cancel: () => { due.delete(timer) } }
  }
}
