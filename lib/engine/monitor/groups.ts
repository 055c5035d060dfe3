import type { EpochMs, Seconds } from '../../clock.ts'
import type { CacheEvents, LookupResult } from '../../events.ts'
import { Ring } from './ring.ts'

const LOAD = 4
const LOAD_ERROR = 5
const LOAD_MS = 6
const COLUMNS = 7
const RESULT: Readonly<Record<LookupResult, number>> = { hit: 0, stale: 1, miss: 2, bypass: 3 }

const ROW_MS = 300_000
const HOUR_MS = 3_600_000

/** More routes and namespaces than this are counted as one, under `other`. */
export const MAX_GROUPS = 100
const OTHER = 'other'

/** The last hour of one route, or of the data of one namespace. */
export interface GroupFigures {
  kind: 'route' | 'namespace'
  /** The pattern of the route, or the name of the namespace; empty for data outside of any. */
  name: string
  lookups: number
  /** Stale ones included. */
  hits: number
  staleHits: number
  misses: number
  bypasses: number
  hitRate: number
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

  lookup (nowMs: EpochMs, { result, route, namespace }: CacheEvents['lookup']): void {
    const ring = route === undefined ? ringOf(this.#namespaces, namespace) : ringOf(this.#routes, route)
    ring.add(nowMs, RESULT[result])
  }

  /** Loads of data do not tell their namespace; it is the known one that the key begins with. */
  load (nowMs: EpochMs, { ok, durationMs, route, key }: CacheEvents['load']): void {
    const ring = route === undefined ? this.#namespaceOf(key) : ringOf(this.#routes, route)
    ring.add(nowMs, ok ? LOAD : LOAD_ERROR)
    if (ok) ring.add(nowMs, LOAD_MS, durationMs)
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
  const [fresh = 0, staleHits = 0, misses = 0, bypasses = 0, loaded = 0, loadErrors = 0, loadMs = 0] = sums
  const hits = fresh + staleHits
  const lookups = hits + misses
  const loadTime = loaded === 0 ? null : loadMs / loaded / 1000
  return {
    kind,
    name,
    lookups,
    hits,
    staleHits,
    misses,
    bypasses,
    hitRate: lookups === 0 ? 0 : hits / lookups,
    loads: loaded + loadErrors,
    loadErrors,
    loadTime,
    timeSaved: hits * (loadTime ?? 0)
  }
}
