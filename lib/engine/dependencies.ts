import { Ambient } from '../ambient.ts'
import { keyMark, type Mark } from '../keyspace/mark.ts'

/** More marks than this on one entry, and it is not stored: a purge has to look at each of them. */
export const MAX_MARKS = 1000

const NO_MARKS: ReadonlySet<Mark> = new Set()

/** What was read through the cache while one value or response was being built. */
export class DependencyScope {
  #marks: Set<Mark> | undefined
  #stale = false

  /** Where asynchronous context does not lead to this scope what is read in it: what anybody has read meanwhile. */
  common: DependencyScope | undefined

  /** The key that is being loaded in it, and the load by which that was asked for, as long as they run. */
  loading: { readonly key: string | ReadonlySet<string>, readonly within: DependencyScope | undefined } | undefined

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

  /** Something that was read was already stale, so what is built from it must not be kept as if it were fresh. */
  get stale (): boolean {
    return this.#stale || this.common?.stale === true
  }

  get marks (): ReadonlySet<Mark> {
    const own = this.#marks ?? NO_MARKS
    const others = this.common?.marks ?? NO_MARKS
    return others.size === 0 ? own : new Set([...own, ...others])
  }

  get tooMany (): boolean {
    return this.marks.size > MAX_MARKS
  }

  add (mark: Mark): void {
    // Most of what is built reads nothing through the cache.
    this.#marks ??= new Set()
    if (this.#marks.size <= MAX_MARKS) this.#marks.add(mark)
  }

  /** A key, found or not, and the marks of what was found. */
  read (key: string, marks: Iterable<Mark>, stale: boolean): void {
    this.add(keyMark(key))
    this.take(marks, stale)
  }

  /** What else was read, by its marks. */
  take (marks: Iterable<Mark>, stale: boolean): void {
    for (const mark of marks) this.add(mark)
    if (stale) this.#stale = true
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
  readonly #common = new DependencyScope()
  /** How often scopes are held that are not followed. */
  #unfollowed = 0
  #follows = false

  constructor (enabled: boolean) {
    this.#enabled = enabled
  }

  /** Runs the load of `key`, or of many, inside `scope`, until what it answers has settled. */
  async trackLoad<R> (scope: DependencyScope, key: string | ReadonlySet<string>, load: () => R): Promise<Awaited<R>> {
    const { current } = this.#scopes
    scope.loading = { key, within: current?.loading && current }
    try {
      return await this.track(scope, load)
    } finally {
      scope.loading = undefined
    }
  }

  /** Whether what runs now is part of the load of `key`. */
  isLoading (key: string): boolean {
    for (let load = this.#scopes.current?.loading; load !== undefined; load = load.within?.loading) if (typeof load.key === 'string' ? load.key === key : load.key.has(key)) return true
    return false
  }

  /** Runs `build` inside `scope`, until what it answers has settled. */
  async track<R> (scope: DependencyScope, build: () => R): Promise<Awaited<R>> {
    if (!this.#enabled) return await build()
    return await this.#scopes.during(scope, async () => await build())
  }

  /** Runs `task` inside `scope`, which somebody holds open. */
  enter<R> (scope: DependencyScope, task: () => R): R {
    return this.#enabled && scope.common === undefined ? this.#scopes.run(scope, task) : task()
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
    if (!this.#follows) scope.common = this.#common
    if (scope.common !== undefined) {
      this.#unfollowed++
      return () => {
        scope.release()
        this.#unfollowed--
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
    this.#scopes.current?.read(key, marks, stale)
    this.#everybody?.read(key, marks, stale)
  }

  /** What was read in another scope is what the present one is built from, too. */
  share (other: DependencyScope): void {
    this.#scopes.current?.take(other.marks, other.stale)
    this.#everybody?.take(other.marks, other.stale)
  }

  /** Runs `task` as if nothing were being built: for work that outlives the caller. */
  apart<R> (task: () => R): R {
    return this.#scopes.apart(task)
  }

  /** Stands for all who are under way and not followed. Where somebody reads, whoever comes next is. */
  get #everybody (): DependencyScope | undefined {
    if (this.#unfollowed === 0) return undefined
    this.#follows = true
    return this.#common
  }
}
