import type { EpochMs, Seconds } from '../../clock.ts'
import type { CacheEvents } from '../../events.ts'
import { AFTER_LOOKUPS, LOOKUP_COLUMN, lookupCounts, type LookupCounts } from './lookup-counts.ts'
import { Ring } from './ring.ts'

const LOAD = AFTER_LOOKUPS
const LOAD_ERROR = LOAD + 1
const LOAD_MS = LOAD + 2
const COLUMNS = LOAD + 3

const ROW_MS = 300_000
const HOUR_MS = 3_600_000

/** More routes and namespaces than this are counted as one, under `other`. */
export const MAX_GROUPS = 100
const OTHER = 'other'

/** The last hour of one route, or of the data of one namespace. */
export interface GroupFigures extends LookupCounts {
  kind: 'route' | 'namespace'
  /** The pattern of the route, or the name of the namespace; empty for data outside of any. */
  name: string
  loads: number
  loadErrors: number
  /** Mean time of a load in seconds; `null` while there was none. */
  loadTime: Seconds | null
  /** Loads avoided, times the mean time of a load, in seconds. */
  timeSaved: Seconds
}

/** Counts by route and by namespace, in bounded memory. */
export class Groups {
  readonly #routes = new Map<string, Ring>()
  readonly #namespaces = new Map<string, Ring>()

  lookup ({ result, atMs, route, namespace }: CacheEvents['lookup']): void {
    const ring = route === undefined ? ringOf(this.#namespaces, namespace) : ringOf(this.#routes, route)
    ring.add(atMs, LOOKUP_COLUMN[result])
  }

  /** Loads of data do not tell their namespace; it is the known one that the key begins with. */
  load ({ ok, atMs, durationMs, route, key }: CacheEvents['load']): void {
    const ring = route === undefined ? this.#namespaceOf(key) : ringOf(this.#routes, route)
    ring.add(atMs, ok ? LOAD : LOAD_ERROR)
    if (ok) ring.add(atMs, LOAD_MS, durationMs)
  }

  /** The busiest first. */
  figures (nowMs: EpochMs): GroupFigures[] {
    const read = (kind: GroupFigures['kind'], rings: Map<string, Ring>): GroupFigures[] => [...rings].map(([name, ring]) => figuresOf(kind, name, ring.sum(nowMs, HOUR_MS)))
    return [...read('route', this.#routes), ...read('namespace', this.#namespaces)]
      .filter(({ lookups, bypasses, loads }) => lookups + bypasses + loads > 0)
      .sort((a, b) => b.lookups - a.lookups)
  }

  #namespaceOf (key: string): Ring {
    for (let end = key.lastIndexOf(':'); end > 0; end = key.lastIndexOf(':', end - 1)) {
      const ring = this.#namespaces.get(key.slice(0, end))
      if (ring !== undefined) return ring
    }
    return ringOf(this.#namespaces, '')
  }
}

function ringOf (rings: Map<string, Ring>, name: string): Ring {
  const known = rings.get(name)
  if (known !== undefined) return known
  if (rings.size >= MAX_GROUPS && name !== OTHER) return ringOf(rings, OTHER)
  const ring = new Ring(COLUMNS, HOUR_MS / ROW_MS, ROW_MS)
  rings.set(name, ring)
  return ring
}

function figuresOf (kind: GroupFigures['kind'], name: string, sums: Float64Array): GroupFigures {
  const counts = lookupCounts(sums)
  const [loaded = 0, loadErrors = 0, loadMs = 0] = sums.subarray(LOAD)
  const loadTime = loaded === 0 ? null : loadMs / loaded / 1000
  return {
    kind,
    name,
    ...counts,
    loads: loaded + loadErrors,
    loadErrors,
    loadTime,
    timeSaved: counts.hits * (loadTime ?? 0)
  }
}
