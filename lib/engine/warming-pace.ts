import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock, Milliseconds } from '../clock.ts'

/** How late the event loop runs what is due; what a request feels. */
export interface LoopMonitor {
  /** The delay since the last call. */
  readonly delayMs: () => Milliseconds
  readonly stop: () => void
}

const RESOLUTION_MS = 10

/** Watches the event loop of this process, by the histogram of Node. */
export function watchLoop (): LoopMonitor {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  return {
    delayMs () {
      const ms = histogram.count === 0 ? 0 : histogram.percentile(99) / 1e6 - RESOLUTION_MS
      histogram.reset()
      return Math.max(0, ms)
    },
    stop: () => { histogram.disable() }
  }
}

export interface PaceOptions {
  readonly clock: Clock
  /** Starts to watch the event loop. @default that of this process */
  readonly watch?: () => LoopMonitor
  /** Delay of the event loop above which warming pauses. @default 30 */
  readonly maxDelayMs?: Milliseconds
}

const FIRST_PAUSE_MS = 20
/** A loop that stays busy slows warming down; it does not stop it. */
const MAX_PAUSES = 6

/** Lets the requests of clients go first. */
export class Pace {
  readonly #clock: Clock
  readonly #monitor: LoopMonitor
  readonly #maxDelayMs: Milliseconds

  constructor ({ clock, watch = watchLoop, maxDelayMs = 30 }: PaceOptions) {
    this.#clock = clock
    this.#maxDelayMs = maxDelayMs
    this.#monitor = watch()
  }

  /** Resolves when there is room for a piece of work, at once when the signal aborts. */
  async breathe (signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => { setImmediate(resolve) })
    for (let pause = 0; pause < MAX_PAUSES && !signal.aborted && this.#monitor.delayMs() > this.#maxDelayMs; pause++) {
      await pauseFor(this.#clock, FIRST_PAUSE_MS * 2 ** pause, signal)
    }
  }

  stop (): void {
    this.#monitor.stop()
  }
}

/** Resolves after `ms`, or as soon as the signal aborts. Whoever awaits a warming with nothing else to do gets its report. */
export async function pauseFor (clock: Clock, ms: Milliseconds, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.after(ms, end, { keepAlive: true })
    signal.addEventListener('abort', end)
  })
}
