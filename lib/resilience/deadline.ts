import type { Clock, Milliseconds } from '../clock.ts'

/**
 * The promise, or a rejection once `ms` have passed. What the promise does later is nobody's business any more; its
 * rejection is swallowed, so that nothing ends up unhandled.
 *
 * @param late makes the error for a promise that took too long
 */
export function deadline<T> (promise: Promise<T>, ms: Milliseconds, clock: Clock, late: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.after(ms, () => { reject(late()) })
    promise.then(
      (value) => {
        timer.cancel()
        resolve(value)
      },
      (error: unknown) => {
        timer.cancel()
        reject(error)
      }
    )
  })
}
