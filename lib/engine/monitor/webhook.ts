import type { Clock } from '../../clock.ts'
import { errors } from '../../errors.ts'
import type { Alert } from './alerts.ts'
import type { MonitorSettings } from './options.ts'

/** Posts waiting for an answer at a time; what comes beyond is told as lost. */
const MAX_POSTS = 10

/** Posts alerts, each within its deadline. It never throws: what goes wrong is told to `failed`. */
export class AlertPost {
  readonly #target: NonNullable<MonitorSettings['webhook']>
  readonly #clock: Clock
  readonly #failed: (error: unknown) => void
  readonly #running = new Map<Promise<void>, AbortController>()

  constructor (target: NonNullable<MonitorSettings['webhook']>, clock: Clock, failed: (error: unknown) => void) {
    this.#target = target
    this.#clock = clock
    this.#failed = failed
  }

  send (alert: Alert): void {
    const controller = new AbortController()
    if (this.#running.size >= MAX_POSTS) {
      this.#failed(new errors.FST_ERR_CACHE_WEBHOOK('too many posts wait for an answer'))
      return
    }
    const post: Promise<void> = this.#post(alert, controller)
      .catch((error: unknown) => { this.#failed(error) })
      .finally(() => { this.#running.delete(post) })
    this.#running.set(post, controller)
  }

  /** Gives up what still waits. */
  async close (): Promise<void> {
    for (const controller of this.#running.values()) controller.abort(new errors.FST_ERR_CACHE_WEBHOOK('the monitor was stopped'))
    await Promise.all(this.#running.keys())
  }

  async #post (alert: Alert, controller: AbortController): Promise<void> {
    const { url, headers, timeoutMs } = this.#target
    const timer = this.#clock.after(timeoutMs, () => { controller.abort(new errors.FST_ERR_CACHE_WEBHOOK(`there was no answer within ${timeoutMs} ms`)) })
    try {
      // Where it leads is the app's to say, not the answer's.
      const response = await fetch(url, { method: 'POST', redirect: 'error', signal: controller.signal, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(alert) })
        .catch((error: unknown) => { throw controller.signal.aborted ? error : new errors.FST_ERR_CACHE_WEBHOOK(reasonOf(error), { cause: error }) })
      await response.body?.cancel()
      if (!response.ok) throw new errors.FST_ERR_CACHE_WEBHOOK(`the answer is ${response.status}`)
    } finally {
      timer.cancel()
    }
  }
}

/** `fetch failed` is all that fetch says itself. */
function reasonOf (error: unknown): string {
  const { message, cause } = error as Error & { cause?: { code?: string, message?: string } }
  return cause?.code ?? cause?.message ?? message
}
