import type { Clock, EpochMs } from '../clock.ts'

/** What the promise answers until then; `late` from then on, and when it fails. Never rejects. */
export async function within<T, L> (answer: Promise<T>, untilMs: EpochMs, clock: Clock, late: L): Promise<T | L> {
  let timer = { cancel: (): void => {} }
  const tooLate = new Promise<L>((resolve) => { timer = clock.after(Math.max(0, untilMs - clock.now()), () => { resolve(late) }, { keepAlive: true }) })
  try {
    return await Promise.race([answer.catch(() => late), tooLate])
  } finally {
    timer.cancel()
  }
}
