import { softened, staleUntilMs, type Entry } from '../entry.ts'
import type { BoundedMap } from '../eviction/bounded-map.ts'
import { createBoundedMap } from '../eviction/create-bounded-map.ts'
import { BaseCache, refused, STORED, type EvictionCause, type Fill, type ScanPage, type TierUsage, type WriteVerdict } from '../ports/base-cache.ts'
import { checkCursor } from '../ports/cursor.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { ExpirySweep } from './expiry-sweep.ts'
import { NODE_BYTES, weigh, type MemoryNode } from './memory-node.ts'
import { resolveMemoryOptions, type MemoryCacheOptions, type ResolvedMemoryOptions } from './memory-options.ts'

/** After a mass expiry a page gives up here with what it has found, instead of walking over a million empty slots. */
const SLOTS_PER_PAGE = 10_000
const SLOT_CURSOR = /^\d{1,10}$/

/**
 * Entries in the memory of this process, bounded by number and by bytes at once. Everything the engine asks of it is
 * answered at once: no promise, and nothing allocated by a hit.
 *
 * @throws FST_ERR_CACHE_OPTION when a bound is not a positive integer; FST_ERR_CACHE_OPTION_UNKNOWN
 */
export class MemoryCache extends BaseCache {
  readonly #options: ResolvedMemoryOptions
  readonly #sweep: ExpirySweep
  readonly #evictions: Record<EvictionCause, number> = { entries: 0, bytes: 0, expired: 0, purged: 0 }
  #map: BoundedMap<MemoryNode>
  #hits = 0
  #misses = 0
  #closed = false

  constructor (options: MemoryCacheOptions = {}) {
    super(options)
    this.#options = resolveMemoryOptions(options)
    this.#map = this.#emptyMap()
    this.#sweep = new ExpirySweep({
      reach: () => this.#map.reach,
      tidy: (slot) => { this.#tidy(slot) },
      isEmpty: () => this.#map.size === 0
    }, { log: this.log, clock: this.clock, intervalMs: this.#options.sweepIntervalMs })
  }

  override get near (): this {
    return this
  }

  read (key: string, counted = true): Entry | undefined {
    const node = this.#map.get(key)
    // An expired node stays for the sweep: when it is written anew, the policy still knows how popular it was.
    const entry = node !== undefined && this.#isValid(node) && this.#isAlive(node) ? node.entry : undefined
    if (counted) this.count(entry !== undefined, entry)
    return entry
  }

  readMany (keys: readonly string[], counted = true): Array<Entry | undefined> {
    return keys.map((key) => this.read(key, counted))
  }

  /** Counts a lookup that was not counted as it was read. @param found what it came to, here or elsewhere */
  count (hit: boolean, found: Entry | undefined): void {
    if (found?.kind === 'variants') return
    if (hit) this.#hits++
    else this.#misses++
  }

  write (key: string, entry: Entry, ticket: Ticket): WriteVerdict {
    if (this.#closed) return refused('closed')
    const validity = ticket.at === this.log.tip ? 'valid' : this.log.judge(key, entry.marks, ticket.at)
    if (validity === 'purged') return refused('purged')
    const accepted = validity === 'soft' ? this.#softened(key, entry, ticket.at) : entry
    const bytes = weigh(key, accepted)
    const held = this.#map.peek(key)
    const refusal = staleUntilMs(accepted) <= this.clock.now() ? 'expired' : bytes > this.#options.maxEntryBytes || bytes > this.#options.maxBytes ? 'too-large' : undefined
    if (refusal !== undefined) {
      // The older copy goes as well: it is not what was written last.
      if (held !== undefined) this.#map.remove(held)
      return refused(refusal)
    }
    if (held === undefined) {
      this.#map.add({ key, entry: accepted, bytes, validAt: this.log.tip, slot: 0 })
      this.#sweep.wake()
    } else {
      held.entry = accepted
      held.validAt = this.log.tip
      this.#map.reweigh(held, bytes)
    }
    return STORED
  }

  writeMany (fills: readonly Fill[]): WriteVerdict[] {
    return fills.map((fill) => this.write(...fill))
  }

  remove (keys: readonly string[]): number {
    let removed = 0
    for (const key of keys) {
      const node = this.#map.peek(key)
      if (node === undefined) continue
      if (this.#isAlive(node)) removed++
      this.#map.remove(node)
    }
    return removed
  }

  wipe (): void {
    // The old map goes to the garbage collector as a whole: the cost is the same for ten entries and for a million.
    this.#sweep.stop()
    this.#map = this.#emptyMap()
  }

  /** The cursor is the slot at which the next page begins, so a page shows what stays exactly once. */
  scan (cursor: string | undefined, count: number): ScanPage {
    checkCursor(cursor, SLOT_CURSOR)
    const entries: Array<readonly [string, Entry]> = []
    let slot = cursor === undefined ? 0 : Number(cursor)
    const end = Math.min(this.#map.reach, slot + Math.max(count, SLOTS_PER_PAGE))
    for (; slot < end && entries.length < count; slot++) {
      const node = this.#map.at(slot)
      if (node !== undefined && this.#isValid(node) && this.#isAlive(node)) entries.push([node.key, node.entry])
    }
    return { entries, cursor: slot < this.#map.reach ? String(slot) : undefined }
  }

  usage (): readonly [TierUsage] {
    const { maxEntries, maxBytes } = this.#options
    const { size, bytes } = this.#map
    return [{ tier: 'memory', state: 'up', entries: size, bytes, maxEntries, maxBytes, hits: this.#hits, misses: this.#misses, errors: 0, evictions: { ...this.#evictions } }]
  }

  /**
   * Shows the entries that are of use, with their bytes; where there are more than `limit` places, those in as many, drawn at random.
   * @returns the share of the places that was looked at
   */
  sample (limit: number, random: () => number, look: (entry: Entry, bytes: number) => void): number {
    const { reach } = this.#map
    const step = Math.max(1, reach / limit)
    for (let from = 0; from < reach; from += step) {
      const node = this.#map.at(step === 1 ? from : Math.floor(from + random() * step))
      if (node !== undefined && this.#isValid(node) && this.#isAlive(node)) look(node.entry, node.bytes)
    }
    return 1 / step
  }

  close (): void {
    this.#closed = true
    this.wipe()
  }

  /** A position of the log such that everything held was found valid there or later. */
  get sweptTo (): number {
    return this.#sweep.sweptTo
  }

  /** Looks at the next `slots` slots now, freeing what is expired or purged; answers whether that completed a pass. */
  revalidate (slots?: number): boolean {
    return this.#sweep.slice(slots)
  }

  #isAlive (node: MemoryNode): boolean {
    const nowMs = this.clock.now()
    // The first comparison says the same for most hits, and spares them two looks into cold memory.
    return node.entry.freshUntilMs > nowMs || staleUntilMs(node.entry) > nowMs
  }

  /** Whether the purges since the last look left the node alone; frees it if they did not. */
  #isValid (node: MemoryNode): boolean {
    const tip = this.log.tip
    if (node.validAt === tip) return true
    const { key, entry, validAt } = node
    const validity = this.log.judge(key, entry.marks, validAt)
    if (validity === 'purged') {
      this.#evict(node, 'purged')
      return false
    }
    if (validity === 'soft') node.entry = this.#softened(key, entry, validAt)
    node.validAt = tip
    this.#sweep.wake()
    return true
  }

  #softened (key: string, entry: Entry, since: number): Entry {
    return softened(entry, this.log.softPurgedAtMs(key, entry.marks, since) ?? this.clock.now())
  }

  #tidy (slot: number): void {
    const node = this.#map.at(slot)
    if (node !== undefined && this.#isValid(node) && !this.#isAlive(node)) this.#evict(node, 'expired')
  }

  #evict (node: MemoryNode, cause: EvictionCause): void {
    this.#map.remove(node)
    this.#evicted(node, cause)
  }

  #evicted (node: MemoryNode, cause: EvictionCause): void {
    this.#evictions[cause]++
    this.#options.onEvict(node.key, node.entry, cause)
  }

  #emptyMap (): BoundedMap<MemoryNode> {
    const { evictionPolicy, lfuAging, maxBytes } = this.#options
    // The maps reserve memory per possible entry; more than this cannot fit into the bytes.
    const maxEntries = Math.max(1, Math.min(this.#options.maxEntries, Math.floor(maxBytes / NODE_BYTES)))
    return createBoundedMap(evictionPolicy, { maxEntries, maxBytes }, (node, cause) => { this.#evicted(node, cause) }, lfuAging)
  }
}
