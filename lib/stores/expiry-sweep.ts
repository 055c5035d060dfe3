import type { Clock, EpochMs, Milliseconds, Timer } from '../clock.ts'
import type { InvalidationLog } from '../ports/invalidation-log.ts'

/** A pass looks at so many slots in one go, and goes on after the pause. */
const SLICE_SLOTS = 500
const SLICE_PAUSE_MS: Milliseconds = 1
/**
 * A slice ends early when it has taken this long by a clock of whole milliseconds, so after two at most: judging costs more
 * while many patterns are live, and so does a slot that has left the caches of the processor. The garbage of the slice comes on top.
 */
const SLICE_BUDGET_MS: Milliseconds = 1
const SLOTS_PER_LOOK_AT_THE_CLOCK = 32
/** When the log has moved this far since the last pass, the next one does not wait, lest the log forget what it needs. */
const RECORDS_BEFORE_HURRY = 10_000
/** Loads that began this long ago may still be under way; the log keeps what it needs to judge their tickets. */
const LOAD_GRACE_MS: Milliseconds = 60_000

export interface Sweepable {
  /** Slots are numbered from 0 to below `reach`, and what stays keeps its slot. */
  reach: () => number
  /** Frees what is in the slot if it is good for nothing any more; otherwise it is valid now. */
  tidy: (slot: number) => void
  isEmpty: () => boolean
}

export interface SweepParts {
  readonly log: Pick<InvalidationLog, 'tip' | 'forget'>
  readonly clock: Clock
  /** From the end of one pass to the beginning of the next; 0 for no passes but those that are asked for. */
  readonly intervalMs: Milliseconds
}

/**
 * Walks over everything held, a slice at a time, so that expired and purged entries give their memory back without a
 * pause that the event loop can feel. What it leaves is valid, so the log may forget what lies behind a complete pass. There is
 * no timer while nothing is held.
 */
export class ExpirySweep {
  readonly #target: Sweepable
  readonly #log: SweepParts['log']
  readonly #clock: Clock
  readonly #intervalMs: Milliseconds
  #timer: Timer | undefined
  #underWay = false
  #nextSlot = 0
  #begunAt = 0
  #begunAtMs: EpochMs = 0
  #sweptTo: number
  #checkpoint: { readonly tip: number, readonly atMs: EpochMs }

  constructor (target: Sweepable, { log, clock, intervalMs }: SweepParts) {
    this.#target = target
    this.#log = log
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#sweptTo = log.tip
    this.#checkpoint = { tip: log.tip, atMs: clock.now() }
  }

  /** Where the log stood when the last complete pass began: all that is held was found valid there or later. */
  get sweptTo (): number {
    return this.#target.isEmpty() ? this.#log.tip : this.#sweptTo
  }

  /** Something is held: the next pass begins after the interval, or at once if the log has run ahead. */
  wake (): void {
    if (this.#underWay || this.#intervalMs === 0) return
    if (this.#log.tip - this.#sweptTo >= RECORDS_BEFORE_HURRY) this.hurry()
    else if (this.#timer === undefined) this.#sliceAfter(this.#intervalMs)
  }

  /** Begins a pass now, in the background, unless one is under way. */
  hurry (): void {
    if (this.#underWay) return
    this.#timer?.cancel()
    this.#underWay = true
    this.#sliceAfter(SLICE_PAUSE_MS)
  }

  /** Nothing is held any more. */
  stop (): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#underWay = false
    this.#nextSlot = 0
    this.#sweptTo = this.#log.tip
  }

  /** The next slice, at most `slots` long; answers whether it completed a pass. */
  slice (slots: number = SLICE_SLOTS): boolean {
    const startedMs = this.#clock.now()
    if (this.#nextSlot === 0) {
      this.#begunAt = this.#log.tip
      this.#begunAtMs = startedMs
    }
    const end = Math.min(this.#nextSlot + slots, this.#target.reach())
    while (this.#nextSlot < end) {
      this.#target.tidy(this.#nextSlot++)
      if (this.#nextSlot % SLOTS_PER_LOOK_AT_THE_CLOCK === 0 && this.#clock.now() - startedMs >= SLICE_BUDGET_MS) break
    }
    if (this.#nextSlot < this.#target.reach()) return false
    this.#passed()
    return true
  }

  #passed (): void {
    this.#nextSlot = 0
    this.#sweptTo = this.#begunAt
    if (this.#begunAtMs - this.#checkpoint.atMs < LOAD_GRACE_MS) return
    this.#log.forget(this.#checkpoint.tip)
    this.#checkpoint = { tip: this.#begunAt, atMs: this.#begunAtMs }
  }

  #sliceAfter (delayMs: Milliseconds): void {
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined
      this.#underWay = true
      this.#underWay = !this.slice()
      if (this.#underWay) this.#sliceAfter(SLICE_PAUSE_MS)
      else if (!this.#target.isEmpty()) this.wake()
    })
  }
}
