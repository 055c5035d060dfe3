import type { EpochMs } from '../clock.ts'
import type { Glob } from '../keyspace/glob.ts'
import type { Mark } from '../keyspace/mark.ts'
import type { Validity } from '../ports/invalidation-log.ts'
import { InvalidationIndex } from './invalidation-index.ts'
import type { PurgeScope } from './purge-scope.ts'
import { everythingScope } from './wire-record.ts'

const MAX_BATCH_NAMES = 500
const MAX_BATCH_LENGTH = 64 * 1024
/** A longer name would not fit into a batch; it cannot be a key or tag of ours. */
const MAX_NAME_LENGTH = 32 * 1024

const EVERYTHING_ID = 'heverything '

type Kind = 'marks' | 'prefixes' | 'globs' | 'everything'
interface Item { readonly n: number, readonly soft: boolean, readonly kind: Kind, readonly name: string, readonly glob: Glob | undefined }

/** What a mark names, by its first character. */
const NAMED: Readonly<Record<string, string>> = { t: 'name', k: 'name', p: 'path', u: 'path', m: 'route' }

export interface Batch { readonly scopes: readonly PurgeScope[], readonly upTo: number }

/**
 * What this process has purged and the shared log does not have yet. A name that waits already is not queued twice; too
 * many of them become "everything". Names are numbered in the order of their arrival, and leave in that order.
 *
 * Until its record is part of the shared history, a purge here must already count against entries that other processes
 * stored: `judge` answers for the time in between.
 */
export class Outbox {
  readonly #maxNames: number
  readonly #waiting = new Map<string, Item>()
  readonly #index: InvalidationIndex
  #added = 0
  #taken = 0
  #released = 0

  constructor (maxNames: number) {
    this.#maxNames = maxNames
    this.#index = new InvalidationIndex({ maxRecords: maxNames + 1 })
  }

  get size (): number { return this.#waiting.size }

  /** What waits, in words: `2 names, 1 pattern`. A key and a tag of the same name are one; nothing is an empty text. */
  get words (): string {
    const distinct = new Map<string, Set<string>>()
    for (const { kind, name } of this.#waiting.values()) {
      if (kind === 'everything') return kind
      const what = kind === 'marks' ? NAMED[name.charAt(0)] ?? 'name' : 'pattern'
      distinct.set(what, (distinct.get(what) ?? new Set()).add(kind === 'marks' ? name.slice(2) : name))
    }
    return [...distinct].map(([what, { size }]) => `${size} ${what}${size === 1 ? '' : 's'}`).join(', ')
  }

  /** Answers a number: once everything up to it is sent, the whole scope is. */
  add (scope: PurgeScope, nowMs: EpochMs): number {
    if (!this.#isCovered(EVERYTHING_ID)) {
      const from = this.#added
      if (scope.everything) this.#enqueue('everything', '', scope.soft)
      for (const name of scope.marks) this.#enqueue('marks', name, scope.soft)
      for (const name of scope.prefixes) this.#enqueue('prefixes', name, scope.soft)
      for (const glob of scope.globs) this.#enqueue('globs', glob.text, scope.soft, glob)
      if (this.#waiting.size > this.#maxNames) this.#enqueue('everything', '', false)
      if (this.#added > from) this.#index.add(this.#isCovered(EVERYTHING_ID) ? everythingScope() : scope, this.#added, nowMs)
    }
    return this.#added
  }

  /** The oldest names, as one record. They stay here until `sent`. */
  take (): Batch {
    const items: Item[] = []
    let length = 0
    for (const item of this.#waiting.values()) {
      if (items.length === MAX_BATCH_NAMES || length > MAX_BATCH_LENGTH) break
      items.push(item)
      length += item.name.length
    }
    this.#taken = Math.max(this.#taken, items.at(-1)?.n ?? 0)
    const scopes = [false, true].map((soft) => scopeOfItems(items.filter((item) => item.soft === soft), soft)).filter((scope) => scope !== undefined)
    return { scopes, upTo: items.at(-1)?.n ?? this.#taken }
  }

  /** The names up to this number are in the shared log. */
  sent (upTo: number): void {
    for (const [id, item] of this.#waiting) {
      if (item.n > upTo) break
      this.#waiting.delete(id)
    }
  }

  /** The names up to this number are part of the shared history; it judges from now on. */
  release (upTo: number): void {
    this.#released = Math.max(this.#released, upTo)
    this.#index.forget(upTo)
  }

  judge (key: string, marks: readonly Mark[]): Validity {
    return this.#index.judge(key, marks, this.#released)
  }

  #enqueue (kind: Kind, name: string, soft: boolean, glob?: Glob): void {
    if (name.length > MAX_NAME_LENGTH) {
      this.#enqueue('everything', '', soft)
      return
    }
    const id = `${soft ? 's' : 'h'}${kind} ${name}`
    if (this.#isCovered(id)) return
    if (id === EVERYTHING_ID) this.#waiting.clear()
    // Last in the queue again, when it is on its way already.
    this.#waiting.delete(id)
    this.#waiting.set(id, { n: ++this.#added, soft, kind, name, glob })
  }

  /** Whether it will be sent anyway. What is on its way now may have been written down before this purge happened. */
  #isCovered (id: string): boolean {
    return (this.#waiting.get(id)?.n ?? 0) > this.#taken
  }
}

function scopeOfItems (items: readonly Item[], soft: boolean): PurgeScope | undefined {
  if (items.length === 0) return undefined
  const names = (kind: Kind): string[] => items.filter((item) => item.kind === kind).map(({ name }) => name)
  return {
    soft,
    everything: items.some(({ kind }) => kind === 'everything'),
    marks: names('marks'),
    prefixes: names('prefixes'),
    globs: items.flatMap(({ glob }) => glob ?? [])
  }
}
