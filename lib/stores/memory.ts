import { systemClock, type Clock } from '../clock.ts'
import { softened, staleUntilMs, type Entry } from '../entry.ts'
import type { BoundedMap, Held } from '../eviction/bounded-map.ts'
import { OrderedMap } from '../eviction/ordered-map.ts'
import { BaseCache, refused, STORED, type EvictionCause, type ScanPage, type TierUsage, type WriteVerdict } from '../ports/base-cache.ts'
import type { InvalidationLog, Ticket } from '../ports/invalidation-log.ts'
import { stillLog } from '../ports/still-log.ts'

export interface MemoryCacheOptions {
  /** @default 10000 */
  maxEntries?: number
  /** @default 104857600 (100 MB) */
  maxBytes?: number
  /** What is larger is refused, not stored. @default 5242880 (5 MB) */
  maxEntryBytes?: number
  /** Who makes room. @default 'lru' */
  evictionPolicy?: 'lru' | 'lfu' | 'fifo' | 's3-fifo' | 'w-tinylfu'
  /** Where purges come from. @default a log that never purges */
  log?: InvalidationLog
  /** @default the system's */
  clock?: Clock
  /** Told about every entry that left without anybody asking, once it is gone. */
  onEvict?: (key: string, entry: Entry, cause: EvictionCause) => void
}

interface Node extends Held {
  entry: Entry
  /** How far the log had come when the entry was last found valid. */
  validAt: number
}

/** Map entry, list links, node and entry objects, counted on Node 20. */
const NODE_OVERHEAD_BYTES = 300

function weigh (key: string, entry: Entry): number {
  let bytes = NODE_OVERHEAD_BYTES + entry.bytes + 2 * key.length
  for (const mark of entry.marks) bytes += 16 + 2 * mark.length
  return Math.ceil(bytes)
}

/** Entries in this process. Every answer is there at once: no method returns a promise. */
export class MemoryCache extends BaseCache {
  readonly #log: InvalidationLog
  readonly #clock: Clock
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #maxEntryBytes: number
  readonly #onEvict: (key: string, entry: Entry, cause: EvictionCause) => void
  readonly #evictions: Record<EvictionCause, number> = { entries: 0, bytes: 0, expired: 0, purged: 0 }
  #map: BoundedMap<Node>
  #hits = 0
  #misses = 0
  #closed = false

  constructor (options: MemoryCacheOptions = {}) {
    super()
    this.#log = options.log ?? stillLog
    this.#clock = options.clock ?? systemClock
    this.#maxEntries = options.maxEntries ?? 10_000
    this.#maxBytes = options.maxBytes ?? 100 * 1024 * 1024
    this.#maxEntryBytes = Math.min(options.maxEntryBytes ?? 5 * 1024 * 1024, this.#maxBytes)
    this.#onEvict = options.onEvict ?? (() => {})
    this.#map = this.#emptyMap()
  }

  read (key: string): Entry | undefined {
    const node = this.#map.get(key)
    if (node !== undefined && this.#isValid(node) && staleUntilMs(node.entry) > this.#clock.now()) {
      this.#hits++
      return node.entry
    }
    this.#misses++
    return undefined
  }

  readMany (keys: readonly string[]): Array<Entry | undefined> {
    return keys.map((key) => this.read(key))
  }

  write (key: string, entry: Entry, ticket: Ticket): WriteVerdict {
    if (this.#closed) return refused('closed')
    const validity = ticket.at === this.#log.tip ? 'valid' : this.#log.judge(key, entry.marks, ticket.at)
    if (validity === 'purged') return refused('purged')
    if (validity === 'soft') entry = softened(entry, this.#log.softPurgedAtMs(key, entry.marks, ticket.at) ?? this.#clock.now())
    const held = this.#map.peek(key)
    const bytes = weigh(key, entry)
    const refusal = staleUntilMs(entry) <= this.#clock.now() ? 'expired' : bytes > this.#maxEntryBytes ? 'too-large' : undefined
    if (refusal !== undefined) {
      // The older copy goes as well: it is not what was written last.
      if (held !== undefined) this.#map.remove(held)
      return refused(refusal)
    }
    if (held === undefined) {
      this.#map.add({ key, entry, bytes, validAt: this.#log.tip, slot: 0 })
    } else {
      held.entry = entry
      held.validAt = this.#log.tip
      this.#map.reweigh(held, bytes)
    }
    return STORED
  }

  writeMany (items: ReadonlyArray<readonly [key: string, entry: Entry]>, ticket: Ticket): WriteVerdict[] {
    return items.map(([key, entry]) => this.write(key, entry, ticket))
  }

  remove (keys: readonly string[]): number {
    let removed = 0
    for (const key of keys) {
      const node = this.#map.peek(key)
      if (node === undefined) continue
      if (staleUntilMs(node.entry) > this.#clock.now()) removed++
      this.#map.remove(node)
    }
    return removed
  }

  wipe (): void {
    this.#map = this.#emptyMap()
  }

  scan (cursor: string | undefined, count: number): ScanPage {
    const nowMs = this.#clock.now()
    const entries: Array<[string, Entry]> = []
    let slot = cursor === undefined ? 0 : Number(cursor)
    for (; slot < this.#map.reach && entries.length < count; slot++) {
      const node = this.#map.at(slot)
      if (node !== undefined && this.#isValid(node) && staleUntilMs(node.entry) > nowMs) entries.push([node.key, node.entry])
    }
    return { entries, cursor: slot < this.#map.reach ? String(slot) : undefined }
  }

  usage (): readonly TierUsage[] {
    return [{
      tier: 'memory',
      entries: this.#map.size,
      bytes: this.#map.bytes,
      maxEntries: this.#maxEntries,
      maxBytes: this.#maxBytes,
      hits: this.#hits,
      misses: this.#misses,
      errors: 0,
      evictions: { ...this.#evictions }
    }]
  }

  close (): void {
    this.#closed = true
    this.#map = this.#emptyMap()
  }

  /** Whether the purges since the last look left the node alone; frees it if they did not. */
  #isValid (node: Node): boolean {
    const tip = this.#log.tip
    if (node.validAt === tip) return true
    const { key, entry, validAt } = node
    const validity = this.#log.judge(key, entry.marks, validAt)
    if (validity === 'purged') {
      this.#map.remove(node)
      this.#evicted(node, 'purged')
      return false
    }
    if (validity === 'soft') node.entry = softened(entry, this.#log.softPurgedAtMs(key, entry.marks, validAt) ?? this.#clock.now())
    node.validAt = tip
    return true
  }

  #evicted (node: Node, cause: EvictionCause): void {
    this.#evictions[cause]++
    this.#onEvict(node.key, node.entry, cause)
  }

  #emptyMap (): BoundedMap<Node> {
    return new OrderedMap<Node>(true, { maxEntries: this.#maxEntries, maxBytes: this.#maxBytes }, (node, cause) => { this.#evicted(node, cause) })
  }
}
