import type { Entry } from '../entry.ts'
import type { Held } from '../eviction/bounded-map.ts'

/** An entry as the memory holds it. */
export interface MemoryNode extends Held {
  entry: Entry
  /** How far the log had come when the entry was last found valid. */
  validAt: number
}

/** What an entry takes beside its value, its key and its marks, as `bench/eviction-memory.ts` measures it on Node 20: map, list, node and entry object. */
export const NODE_BYTES = 370
const MARK_BYTES = 16
const CHARACTER_BYTES = 2

/** The estimate by which `maxBytes` is kept, in bytes. */
export function weigh (key: string, entry: Entry): number {
  let bytes = NODE_BYTES + Math.ceil(entry.bytes) + CHARACTER_BYTES * key.length
  for (const mark of entry.marks) bytes += MARK_BYTES + CHARACTER_BYTES * mark.length
  return bytes
}
