import type { Clock, EpochMs, Milliseconds } from '../clock.ts'

export type CircuitState = 'closed' | 'open' | 'half-open'

/** Whether a call may go ahead. One that may not fails at once, without asking anybody. */
export type Admission =
  | { readonly pass: true, readonly probe: boolean }
  | { readonly pass: false, readonly reason: 'open' | 'probing' }

export interface CircuitBreakerOptions {
  readonly clock: Clock
  /** Failures in a row that open the circuit. @default 5 */
  readonly threshold?: number
  /** How long an open circuit waits before it lets one call try. @default 500 */
  readonly cooldownMs?: Milliseconds
  /** The cooldown doubles with each probe that fails, up to this. @default 5000 */
  readonly maxCooldownMs?: Milliseconds
  readonly onChange?: (state: CircuitState) => void
}

const PASS: Admission = Object.freeze({ pass: true, probe: false })
const PROBE: Admission = Object.freeze({ pass: true, probe: true })
const OPEN: Admission = Object.freeze({ pass: false, reason: 'open' })
const PROBING: Admission = Object.freeze({ pass: false, reason: 'probing' })

/**
 * Stops asking a service that does not answer. Closed, everything passes; after `threshold` failures in a row it opens
 * and nothing does; after a pause it is half-open and lets a single call try: success closes it, failure opens it anew
 * for longer. Each admitted call reports back by `succeeded` or `failed`.
 */
export class CircuitBreaker {
  readonly #clock: Clock
  readonly #threshold: number
  readonly #cooldownMs: Milliseconds
  readonly #maxCooldownMs: Milliseconds
  readonly #onChange: (state: CircuitState) => void
  #state: CircuitState = 'closed'
  #failures = 0
  #pauseMs: Milliseconds
  #probeAtMs: EpochMs = 0

  constructor (options: CircuitBreakerOptions) {
    this.#clock = options.clock
    this.#threshold = options.threshold ?? 5
    this.#cooldownMs = options.cooldownMs ?? 500
    this.#maxCooldownMs = options.maxCooldownMs ?? 5000
    this.#onChange = options.onChange ?? (() => {})
    this.#pauseMs = this.#cooldownMs
  }

  get state (): CircuitState {
    return this.#state
  }

  /** Whether the next `admit` would let a call pass. */
  get wouldAdmit (): boolean {
    return this.#state === 'closed' || this.#clock.now() >= this.#probeAtMs
  }

  admit (): Admission {
    if (this.#state === 'closed') return PASS
    if (this.#clock.now() < this.#probeAtMs) return this.#state === 'open' ? OPEN : PROBING
    // A probe whose end nobody reports must not keep the circuit half-open for ever: after a pause the next one may try.
    this.#probeAtMs = this.#clock.now() + this.#maxCooldownMs
    this.#become('half-open')
    return PROBE
  }

  succeeded (): void {
    this.#failures = 0
    if (this.#state === 'open') return
    this.#pauseMs = this.#cooldownMs
    this.#become('closed')
  }

  failed (): void {
    this.#failures++
    if (this.#state === 'open' || (this.#state === 'closed' && this.#failures < this.#threshold)) return
    if (this.#state === 'half-open') this.#pauseMs = Math.min(this.#pauseMs * 2, this.#maxCooldownMs)
    this.#probeAtMs = this.#clock.now() + this.#pauseMs
    this.#become('open')
  }

  /** A failure that says as much as `threshold` of them. */
  tripped (): void {
    this.#failures = this.#threshold
    this.failed()
  }

  /** A sign of life, though too late for a success: the next call may try, before the pause is over. */
  stirred (): void {
    if (this.#state === 'open') this.#probeAtMs = this.#clock.now()
  }

  /** Forgets the failures: the service is known to be back, as after a new connection. */
  reset (): void {
    this.#failures = 0
    this.#pauseMs = this.#cooldownMs
    this.#become('closed')
  }

  #become (state: CircuitState): void {
    if (state === this.#state) return
    this.#state = state
    this.#onChange(state)
  }
}
