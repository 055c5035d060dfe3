/** Milliseconds since the Unix epoch. Every instant inside the library has this unit. */
export type EpochMs = number
/** A length of time in milliseconds. */
export type Milliseconds = number
/** A length of time in seconds: the unit of public options and of HTTP headers. */
export type Seconds = number

export interface TimerOptions {
  /** Somebody waits for the task: the process must not end before it has run. @default false */
  readonly keepAlive?: boolean
}

export interface Timer { cancel: () => void }

/** Where time comes from. Tests hand in a clock that they move by hand. */
export interface Clock {
  /** The current instant. */
  now: () => EpochMs
  /** Runs `task` once after `delayMs`; keeps the process alive only if it is told to. */
  after: (delayMs: Milliseconds, task: () => void, options?: TimerOptions) => Timer
}

/** What is later than this, some 25 days, Node takes for at once. */
const MAX_DELAY_MS = 2 ** 31 - 1

/**
 * A process that stood still wakes up to timers that are due and to answers that have arrived meanwhile. Node runs the
 * timers first; here they let the answers pass, so that a busy moment of our own is not taken for a silent server.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  after (delayMs, task, { keepAlive = false } = {}) {
    let turn: NodeJS.Immediate | undefined
    const handle = setTimeout(() => { turn = setImmediate(task) }, Math.min(delayMs, MAX_DELAY_MS))
    if (!keepAlive) handle.unref()
    return {
      cancel: () => {
        clearTimeout(handle)
        clearImmediate(turn)
      }
    }
  }
}

export function toMs (seconds: Seconds): Milliseconds {
  return Math.round(seconds * 1000)
}
