import { Ambient } from '../ambient.ts'
import { keyMark, type Mark } from '../keyspace/mark.ts'

/** More marks than this on one entry, and it is not stored: a purge has to look at each of them. */
export const MAX_MARKS = 1000

const NO_MARKS: ReadonlySet<Mark> = new Set()
const NO_SCOPES: readonly DependencyScope[] = []

/** What was read through the cache while one value or response was being built. */
export class DependencyScope {
  #marks: Set<Mark> | undefined
  /** Something that was read was already stale, so what is built from it must not be kept as if it were fresh. */
  stale = false

  /** Whether asynchronous context leads what is read to it; if not, all that is read while it is held is taken for its own. */
  followed = true

  #holders = 0
  #ended = false

  /** Nobody holds it any more: what is read from now on does not come to its notice. */
  get ended (): boolean {
    return this.#ended
  }

  hold (): void {
    this.#holders++
  }

  release (): void {
    if (--this.#holders === 0) this.#ended = true
  }

  get marks (): ReadonlySet<Mark> {
    return this.#marks ?? NO_MARKS
  }

  get tooMany (): boolean {
    return this.marks.size > MAX_MARKS
  }

  add (mark: Mark): void {
    // Most of what is built reads nothing through the cache.
    this.#marks ??= new Set()
    if (this.#marks.size <= MAX_MARKS) this.#marks.add(mark)
  }

  /** What else was read, by its marks. */
  take (marks: Iterable<Mark>, stale: boolean): void {
    for (const mark of marks) this.add(mark)
    if (stale) this.stale = true
  }
}

/**
 * Ties what is built to what it was built from. A load runs inside a scope; every read through the cache during it
 * (in whatever function, however deep) leaves the key and the marks of what it read there. So a purge of `product:42`
 * reaches the page that shows product 42, though nobody ever listed that page.
 *
 * Until something is read in such a scope for the first time, scopes that are held are not followed: an application that
 * never reads through the cache while it answers pays nothing. Which of those then held has read cannot be told, so all have.
 */
export class DependencyTracker {
  readonly #scopes = new Ambient<DependencyScope>()
  readonly #enabled: boolean
  #unfollowed = new Set<DependencyScope>()
  #follows = false

  constructor (enabled: boolean) {
    this.#enabled = enabled
  }

  /** Runs `build` inside `scope`, until what it answers has settled. */
  async track<R> (scope: DependencyScope, build: () => R): Promise<Awaited<R>> {
    if (!this.#enabled) return await build()
    return await this.#scopes.during(scope, async () => await build())
  }

  /** Runs `task` inside `scope`, which somebody holds open. */
  enter<R> (scope: DependencyScope, task: () => R): R {
    return this.#enabled && scope.followed ? this.#scopes.run(scope, task) : task()
  }

  /** Makes scopes tell apart who runs, also where nothing is tracked. @returns what ends that */
  tellApart (): () => void {
    this.#scopes.open()
    return () => { this.#scopes.close() }
  }

  /** Runs `task` inside `scope`, also where nothing is tracked. */
  inside<R> (scope: DependencyScope, task: () => R): R {
    return this.#scopes.run(scope, task)
  }

  /** Whether what runs now was set off inside `scope`. */
  isInside (scope: DependencyScope): boolean {
    return this.#scopes.current === scope
  }

  /** Holds a scope open for work whose end is no promise. @returns what ends that, to be called once; nothing where nothing is tracked */
  hold (scope: DependencyScope): (() => void) | undefined {
    if (!this.#enabled) return undefined
    scope.hold()
    if (!this.#follows) this.#holdUnfollowed(scope)
    if (!scope.followed) {
      return () => {
        scope.release()
        if (scope.ended) this.#unfollowed.delete(scope)
      }
    }
    this.#scopes.open()
    return () => {
      scope.release()
      this.#scopes.close()
    }
  }

  /** Notes a key at once, before it is known what it was made of: who asks in a hook may wait for the answer in the handler. */
  asked (key: string): string {
    this.note(key)
    return key
  }

  /** A read of `key`, found or not: its absence is something to depend on, too. */
  note (key: string, marks: Iterable<Mark> = [], stale = false): void {
    for (const scope of this.#readers()) {
      scope.add(keyMark(key))
      scope.take(marks, stale)
    }
  }

  /** What was read in another scope is what the present one is built from, too. */
  share (other: DependencyScope): void {
    for (const scope of this.#readers()) scope.take(other.marks, other.stale)
  }

  /** Runs `task` as if nothing were being built: for work that outlives the caller. */
  apart<R> (task: () => R): R {
    return this.#scopes.apart(task)
  }

  /** The scopes in which something is read now. */
  #readers (): readonly DependencyScope[] {
    const { current } = this.#scopes
    if (this.#unfollowed.size === 0) return current === undefined ? NO_SCOPES : [current]
    this.#follows = true
    return current === undefined ? [...this.#unfollowed] : [current, ...this.#unfollowed]
  }

  #holdUnfollowed (scope: DependencyScope): void {
    // For the garbage of Sets that grow and shrink, see the flights of responses.
    if (this.#unfollowed.size === 0) this.#unfollowed = new Set()
    scope.followed = false
    this.#unfollowed.add(scope)
  }
}
