import { routeOfMarks } from '../../keyspace/mark.ts'
import type { BaseCache } from '../../ports/base-cache.ts'
import { MemoryCache } from '../../stores/memory.ts'

/** So many places are looked at for one report: a millisecond, however large the memory. */
const MAX_LOOKS = 10_000

/** What the responses of a route take in the memory. */
export interface RouteMemory { entries: number, bytes: number }

/** What some routes take in the memory now, counted, or from 10 000 entries on reckoned from a sample; `undefined` where nothing is kept in memory. */
export function memoryByRoute ({ near }: BaseCache, routes: Iterable<string>, random: () => number): ReadonlyMap<string, RouteMemory> | undefined {
  if (!(near instanceof MemoryCache)) return undefined
  const found = new Map<string, RouteMemory>([...routes].map((route) => [route, { entries: 0, bytes: 0 }]))
  if (found.size === 0) return found
  const share = near.sample(MAX_LOOKS, random, (entry, bytes) => {
    const held = entry.kind === 'response' ? found.get(routeOfMarks(entry.marks) ?? '') : undefined
    if (held === undefined) return
    held.entries++
    held.bytes += bytes
  })
  for (const held of found.values()) {
    held.entries = Math.round(held.entries / share)
    held.bytes = Math.round(held.bytes / share)
  }
  return found
}
