import type { EpochMs } from '../../clock.ts'
import type { AlertName } from '../../events.ts'

/** Something that is wrong, or no longer is. */
export interface Alert {
  name: AlertName
  /** `cache`, or the name of a recorded operation. */
  subject: string
  state: 'raised' | 'cleared'
  value: number
  threshold: number
  /** Observations that the value rests on. */
  sample: number
  message: string
  /** When it was raised, or cleared. */
  atMs: EpochMs
}

/** A figure to judge. */
export interface Measurement { readonly name: AlertName, readonly subject: string, readonly value: number, readonly sample: number }

/** How often in a row a figure must be on the other side. One bad moment is none. */
const LOOKS = 2
/** A figure has recovered when it is better than its threshold by a tenth of it; so it does not flutter. */
const MARGIN = 0.1
/** More alerts than this are not kept at a time. */
const MAX_ALERTS = 200

/** On which side of its threshold a figure is; `between` is neither good nor bad. */
export function sideOf (name: AlertName, value: number, threshold: number): 'bad' | 'between' | 'good' {
  if (name === 'hitRate') return value < threshold ? 'bad' : value >= threshold + Math.min(threshold, 1 - threshold) * MARGIN ? 'good' : 'between'
  return value > threshold ? 'bad' : value <= threshold * (1 - MARGIN) ? 'good' : 'between'
}

interface Watch { looks: number, raised: Alert | undefined }

/** Which alerts stand. A figure that rests on too little changes nothing. */
export class Alerts {
  readonly #thresholds: Readonly<Record<AlertName, number | false>>
  readonly #minimumSample: number
  readonly #watches = new Map<string, Watch>()

  constructor (thresholds: Readonly<Record<AlertName, number | false>>, minimumSample: number) {
    this.#thresholds = thresholds
    this.#minimumSample = minimumSample
  }

  /** @returns what was raised or cleared by these figures */
  look (nowMs: EpochMs, measurements: readonly Measurement[]): Alert[] {
    return measurements.flatMap((measurement) => this.#judge(nowMs, measurement) ?? [])
  }

  standing (): Alert[] {
    return [...this.#watches.values()].flatMap(({ raised }) => raised ?? [])
  }

  #judge (nowMs: EpochMs, { name, subject, value, sample }: Measurement): Alert | undefined {
    const threshold = this.#thresholds[name]
    if (threshold === false || sample < this.#minimumSample) return undefined
    const watch = this.#watchOf(`${name} ${subject}`)
    if (watch === undefined) return undefined
    const side = sideOf(name, value, threshold)
    const wanted = watch.raised === undefined ? 'bad' : 'good'
    watch.looks = side === wanted ? watch.looks + 1 : 0
    if (watch.raised !== undefined) Object.assign(watch.raised, { value, sample, message: messageOf(name, subject, value, threshold, 'raised') })
    if (watch.looks < LOOKS) return undefined
    watch.looks = 0
    const state = wanted === 'bad' ? 'raised' : 'cleared'
    const alert: Alert = { name, subject, state, value, threshold, sample, message: messageOf(name, subject, value, threshold, state), atMs: nowMs }
    watch.raised = state === 'raised' ? { ...alert } : undefined
    return alert
  }

  #watchOf (id: string): Watch | undefined {
    const known = this.#watches.get(id)
    if (known !== undefined || this.#watches.size >= MAX_ALERTS) return known
    const watch: Watch = { looks: 0, raised: undefined }
    this.#watches.set(id, watch)
    return watch
  }
}

const WORDS: Readonly<Record<AlertName, string>> = { hitRate: 'hit rate', errorRate: 'error rate', responseTime: 'mean response time' }

function messageOf (name: AlertName, subject: string, value: number, threshold: number, state: Alert['state']): string {
  const figure = (number: number): string => name === 'responseTime' ? `${(number * 1000).toFixed(1)} ms` : `${(number * 100).toFixed(1)} %`
  const side = name === 'hitRate' ? 'below' : 'above'
  return state === 'raised'
    ? `The ${WORDS[name]} of ${subject} is ${figure(value)}, ${side} ${figure(threshold)}`
    : `The ${WORDS[name]} of ${subject} has recovered: ${figure(value)}`
}
