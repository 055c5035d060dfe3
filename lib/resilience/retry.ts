import type { Clock } from '../clock.ts'
import { backoffMs, type BackoffOptions } from './backoff.ts'

export interface RetryOptions extends BackoffOptions {
  readonly clock: Clock
  /** Further attempts after the first. */
  readonly attempts: number
  /** Whether this failure may pass by itself. @default every one */
  readonly transient?: (error: unknown) => boolean
}

/** Runs `task` until it succeeds, fails for good or has used up its attempts; then rejects with the last failure. */
export async function retry<T> (task: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, attempts, transient = () => true } = options
  for (let attempt = 1; ; attempt++) {
    try {
      return await task()
    } catch (error) {
      if (attempt > attempts || !transient(error)) throw error
      await new Promise<void>((resolve) => { clock.after(backoffMs(attempt, options), resolve, { keepAlive: true }) })
    }
  }
}
