import { globMatches, type Glob } from '../keyspace/glob.ts'
import { keyMark, type Mark } from '../keyspace/mark.ts'
import { PrefixIndex } from './prefix-index.ts'
import type { PurgeScope } from './purge-scope.ts'
import { PurgeSketch } from './purge-sketch.ts'
import type { Stamp } from './stamp.ts'

export interface RecordIndexOptions {
  /** How many marks, and how many prefixes. */
  readonly maxRecords: number
  readonly maxGlobs: number
  /** What becomes of the marks for which there is no room: remembered roughly, or not at all. */
  readonly older: 'sketched' | 'forgotten'
}

/** Slots of the sketch for each mark that is remembered exactly. */
const SKETCH_FACTOR = 32

/*
 * Answers "which is the newest record after n that touches this entry?" without knowing any entry: what a purge costs
 * depends on the names it gives, never on how many entries carry them.
 *
 * A map holds the newest stamp of every mark, another one that of every prefix. Other globs form a short list that is
 * matched newest first, down to the number the entry is known to be good for, so an entry meets each glob once.
 *
 * All three are kept in the order of the stamps. When one is full its oldest names are forgotten and the floor rises:
 * about an older moment the index can say nothing, and whoever asks must assume the worst. Marks may move into a sketch of
 * fixed size instead, which may take an entry for purged that is not: a store that is filled with more entries than there
 * are marks remembered would lose them all otherwise, because each write is a purge of its key. Names leave in slices,
 * since the head of a JavaScript Map is slow to find again after each single deletion.
 */
export class RecordIndex {
  readonly #options: RecordIndexOptions
  readonly #sliceSize: number
  readonly #marks = new Map<Mark, Stamp>()
  readonly #prefixes = new PrefixIndex()
  #globs: Array<{ readonly glob: Glob, readonly stamp: Stamp }> = []
  #sketch: PurgeSketch | undefined
  #everything: Stamp | undefined
  #tip = 0
  #floor = 0

  constructor (options: RecordIndexOptions) {
    this.#options = options
    this.#sliceSize = Math.max(1, Math.floor(options.maxRecords / 64))
  }

  /** Whatever was last found valid before this number cannot be judged any more. */
  get floor (): number { return this.#floor }

  /** How many names and patterns are remembered exactly. */
  get size (): number { return this.#marks.size + this.#prefixes.size + this.#globs.length + (this.#everything === undefined ? 0 : 1) }

  /** Stamps must come in ascending order. */
  add (scope: PurgeScope, stamp: Stamp): void {
    const { maxRecords, maxGlobs } = this.#options
    this.#tip = stamp.n
    if (scope.everything) {
      this.#clear()
      this.#everything = stamp
      return
    }
    for (const mark of scope.marks) {
      // Deleting first moves it to the end, which keeps the map in order.
      this.#marks.delete(mark)
      this.#marks.set(mark, stamp)
    }
    for (const prefix of scope.prefixes) this.#prefixes.add(prefix, stamp)
    for (const glob of scope.globs) {
      this.#globs = this.#globs.filter((other) => other.glob.text !== glob.text)
      this.#globs.push({ glob, stamp })
    }
    while (this.#marks.size > maxRecords) this.#dropOldestMarks()
    while (this.#prefixes.size > maxRecords) this.#raiseFloor(this.#prefixes.forgetOldest(this.#sliceSize))
    while (this.#globs.length > maxGlobs) this.#raiseFloor(this.#globs.shift()?.stamp.n ?? 0)
  }

  /** The newest record with a number above `since` that touches the entry. A sketched one has no time. */
  newestTouch (key: string, marks: readonly Mark[], since: number): Stamp | undefined {
    if (this.#tip <= since) return undefined
    let found = this.#everything !== undefined && this.#everything.n > since ? this.#everything : undefined
    found = this.#newestOf(keyMark(key), found?.n ?? since) ?? found
    for (const mark of marks) found = this.#newestOf(mark, found?.n ?? since) ?? found
    return found
  }

  /** Drops every record up to and including `upTo`, and with them the power to judge anything older. */
  forget (upTo: number): void {
    if (upTo <= this.#floor) return
    this.#raiseFloor(upTo)
    if (upTo >= this.#tip) {
      this.#clear()
      return
    }
    for (const [mark, { n }] of this.#marks) {
      if (n > upTo) break
      this.#marks.delete(mark)
    }
    this.#prefixes.forgetUpTo(upTo)
  }

  #newestOf (mark: Mark, least: number): Stamp | undefined {
    let found = this.#stampOf(mark, least)
    found = this.#prefixes.newestOf(mark, found?.n ?? least) ?? found
    if (!mark.startsWith('k:')) return found
    for (let i = this.#globs.length - 1; i >= 0; i--) {
      const { glob, stamp } = this.#globs[i] as { glob: Glob, stamp: Stamp }
      if (stamp.n <= (found?.n ?? least)) break
      if (globMatches(glob, mark, 2)) return stamp
    }
    return found
  }

  #stampOf (mark: Mark, least: number): Stamp | undefined {
    const stamp = this.#marks.get(mark)
    if (stamp !== undefined) return stamp.n > least ? stamp : undefined
    if (this.#sketch === undefined || this.#sketch.newest <= least) return undefined
    const n = this.#sketch.numberOf(mark)
    return n > least ? { n, atMs: NaN } : undefined
  }

  #dropOldestMarks (): void {
    let left = this.#sliceSize
    for (const [mark, { n }] of this.#marks) {
      if (left-- === 0) break
      this.#marks.delete(mark)
      if (this.#options.older === 'forgotten' || !this.#addToSketch(mark, n)) this.#raiseFloor(n)
    }
  }

  #addToSketch (mark: Mark, n: number): boolean {
    this.#sketch ??= new PurgeSketch(this.#options.maxRecords * SKETCH_FACTOR, n - 1, Math.floor(Math.random() * 2 ** 32))
    if (this.#sketch.add(mark, n)) return true
    this.#sketch = undefined
    return false
  }

  #raiseFloor (n: number): void {
    this.#floor = Math.max(this.#floor, n)
    const live = this.#globs.findIndex(({ stamp }) => stamp.n > this.#floor)
    this.#globs = live === -1 ? [] : this.#globs.slice(live)
    if (this.#everything !== undefined && this.#everything.n <= this.#floor) this.#everything = undefined
  }

  #clear (): void {
    this.#marks.clear()
    this.#prefixes.clear()
    this.#globs = []
    this.#sketch = undefined
    this.#everything = undefined
  }
}
