import type { Clock, Milliseconds } from '../clock.ts'

/**
 * The promise, or a rejection once `ms` have passed. What the promise does later is nobody's business any more; its
 * rejection is swallowed, so that nothing ends up unhandled.
 *
 * @param late makes the error for a promise that took too long
 * @param waiting where a way to give up sooner is held while the promise is waited for
 */
export function deadline<T> (promise: Promise<T>, ms: Milliseconds, clock: Clock, late: () => Error, waiting?: Set<(error: Error) => void>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.after(ms, () => {
      waiting?.delete(giveUp)
      reject(late())
    }, { keepAlive: true })
    const giveUp = (error: Error): void => {
      timer.cancel()
      reject(error)
    }
    waiting?.add(giveUp)
    promise.then(
      (value) => {
        timer.cancel()
        waiting?.delete(giveUp)
        resolve(value)
      },
      (error: unknown) => {
        timer.cancel()
        waiting?.delete(giveUp)
        reject(error)
      }
    )
  })
}
