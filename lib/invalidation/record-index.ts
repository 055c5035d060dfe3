import type { EpochMs } from '../clock.ts'
import { globMatches, type Glob } from '../keyspace/glob.ts'
import { keyMark, type Mark } from '../keyspace/mark.ts'
import type { PurgeScope } from './purge-scope.ts'

/** When a record came: its number in the order of the log, and the time on this machine. */
export interface Stamp { readonly n: number, readonly atMs: EpochMs }

export interface RecordIndexOptions { readonly maxRecords: number, readonly maxGlobs: number }

/*
 * Answers "which is the newest record after n that touches this entry?" without knowing any entry: what a purge costs
 * depends on the names it gives, never on how many entries carry them.
 *
 * One map holds the newest stamp of every mark and, under `*` + prefix, of every prefix; no mark begins with `*`. Each
 * distinct prefix length costs a check one slice and one lookup. Other globs form a short list that is matched newest
 * first, down to the number the entry is known to be good for, so an entry meets each glob once.
 *
 * The map is kept in the order of the stamps. When it is full the oldest names are forgotten and the floor rises to the
 * newest of them: about an older moment the index can say nothing, and whoever asks must assume the worst. They go in
 * slices, because the head of a JavaScript Map is slow to find again after each single deletion.
 */
export class RecordIndex {
  readonly #maxRecords: number
  readonly #maxGlobs: number
  readonly #sliceSize: number
  readonly #newest = new Map<string, Stamp>()
  readonly #prefixLengths = new Map<number, { count: number, newest: number }>()
  #globs: Array<{ readonly glob: Glob, readonly stamp: Stamp }> = []
  #everything: Stamp | undefined
  #tip = 0
  #newestPrefix = 0
  #floor = 0

  constructor ({ maxRecords, maxGlobs }: RecordIndexOptions) {
    this.#maxRecords = maxRecords
    this.#maxGlobs = maxGlobs
    this.#sliceSize = Math.max(1, Math.floor(maxRecords / 64))
  }

  /** Whatever was last found valid before this number cannot be judged any more. */
  get floor (): number { return this.#floor }

  /** How many names and patterns are remembered. */
  get size (): number { return this.#newest.size + this.#globs.length + (this.#everything === undefined ? 0 : 1) }

  /** Stamps must come in ascending order. */
  add (scope: PurgeScope, stamp: Stamp): void {
    this.#tip = stamp.n
    if (scope.everything) {
      this.#clear()
      this.#everything = stamp
      return
    }
    for (const mark of scope.marks) this.#remember(mark, stamp)
    for (const prefix of scope.prefixes) this.#rememberPrefix(prefix, stamp)
    for (const glob of scope.globs) this.#rememberGlob(glob, stamp)
    while (this.#newest.size > this.#maxRecords) this.#forgetSlice()
  }

  /** The newest record with a number above `since` that touches the entry. */
  newestTouch (key: string, marks: readonly Mark[], since: number): Stamp | undefined {
    if (this.#tip <= since) return undefined
    let found = this.#everything !== undefined && this.#everything.n > since ? this.#everything : undefined
    found = this.#newestOf(keyMark(key), since, found)
    for (const mark of marks) found = this.#newestOf(mark, since, found)
    return found
  }

  /** Drops every record up to and including `upTo`, and with them the power to judge anything older. */
  forget (upTo: number): void {
    if (upTo <= this.#floor) return
    this.#floor = upTo
    if (upTo >= this.#tip) {
      this.#clear()
      return
    }
    for (const [name, stamp] of this.#newest) {
      if (stamp.n > upTo) break
      this.#drop(name)
    }
    this.#dropBelowFloor()
  }

  #newestOf (mark: Mark, since: number, found: Stamp | undefined): Stamp | undefined {
    const named = this.#newest.get(mark)
    if (named !== undefined && named.n > (found?.n ?? since)) found = named
    if (this.#newestPrefix > (found?.n ?? since)) {
      for (const [length, { newest }] of this.#prefixLengths) {
        if (newest <= (found?.n ?? since) || length > mark.length) continue
        const stamp = this.#newest.get('*' + mark.slice(0, length))
        if (stamp !== undefined && stamp.n > (found?.n ?? since)) found = stamp
      }
    }
    if (mark.startsWith('k:')) {
      for (let i = this.#globs.length - 1; i >= 0; i--) {
        const { glob, stamp } = this.#globs[i] as { glob: Glob, stamp: Stamp }
        if (stamp.n <= (found?.n ?? since)) break
        if (globMatches(glob, mark, 2)) return stamp
      }
    }
    return found
  }

  /** Deleting first moves the name to the end of the map, which keeps the map in order. */
  #remember (name: string, stamp: Stamp): void {
    this.#newest.delete(name)
    this.#newest.set(name, stamp)
  }

  #rememberPrefix (prefix: Mark, stamp: Stamp): void {
    const name = '*' + prefix
    const group = this.#prefixLengths.get(prefix.length)
    if (group === undefined) {
      this.#prefixLengths.set(prefix.length, { count: 1, newest: stamp.n })
    } else {
      if (!this.#newest.has(name)) group.count++
      group.newest = stamp.n
    }
    this.#newestPrefix = stamp.n
    this.#remember(name, stamp)
  }

  #rememberGlob (glob: Glob, stamp: Stamp): void {
    const earlier = this.#globs.findIndex((other) => other.glob.text === glob.text)
    if (earlier !== -1) this.#globs.splice(earlier, 1)
    this.#globs.push({ glob, stamp })
    if (this.#globs.length <= this.#maxGlobs) return
    const oldest = this.#globs.shift()
    if (oldest !== undefined) this.#floor = Math.max(this.#floor, oldest.stamp.n)
  }

  #forgetSlice (): void {
    let left = this.#sliceSize
    for (const [name, stamp] of this.#newest) {
      if (left-- === 0) break
      this.#drop(name)
      this.#floor = Math.max(this.#floor, stamp.n)
    }
    this.#dropBelowFloor()
  }

  #drop (name: string): void {
    this.#newest.delete(name)
    if (!name.startsWith('*')) return
    const group = this.#prefixLengths.get(name.length - 1)
    if (group !== undefined && --group.count === 0) this.#prefixLengths.delete(name.length - 1)
  }

  #dropBelowFloor (): void {
    const live = this.#globs.findIndex(({ stamp }) => stamp.n > this.#floor)
    this.#globs = live === -1 ? [] : this.#globs.slice(live)
    if (this.#everything !== undefined && this.#everything.n <= this.#floor) this.#everything = undefined
  }

  #clear (): void {
    this.#newest.clear()
    this.#prefixLengths.clear()
    this.#globs = []
    this.#everything = undefined
  }
}
