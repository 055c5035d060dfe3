import { inspect } from 'node:util'
import { tagMark } from '../../keyspace/mark.ts'
import type { PurgeRecord, Ticket } from '../invalidation-log.ts'
import type { Kit } from './kit.ts'

const KEYS = ['a:1', 'a:2', 'b:1'] as const
const TAGS = ['red', 'blue'] as const
const MAX_STEPS = 60

export type Step =
  | { readonly do: 'begin' | 'get', readonly key: string }
  | { readonly do: 'commit', /** Which load, from the latest back. */ readonly load: number, readonly tag: string }
  | { readonly do: 'purge', readonly record: PurgeRecord, readonly touches: (key: string, tag: string) => boolean }

/** Loads that begin and end, reads and purges, in any order. */
export type Schedule = readonly Step[]

/** A whole number from 0 to below `bound`. */
type Pick = (bound: number) => number

const purge = (record: PurgeRecord, touches: (key: string, tag: string) => boolean): Step => ({ do: 'purge', record, touches })
const oneOf = <T>(choices: readonly T[], pick: Pick): T => choices[pick(choices.length)] as T

const STEPS: ReadonlyArray<(pick: Pick) => Step> = [
  (pick) => ({ do: oneOf(['begin', 'get'] as const, pick), key: oneOf(KEYS, pick) }),
  (pick) => ({ do: 'commit', load: pick(4), tag: oneOf(TAGS, pick) }),
  (pick) => { const key = oneOf(KEYS, pick); return purge({ keys: [key] }, (other) => other === key) },
  (pick) => { const tag = oneOf(TAGS, pick); return purge({ marks: [tagMark(tag)] }, (_, other) => other === tag) },
  () => purge({ patterns: ['a:*'] }, (key) => key.startsWith('a:')),
  () => purge({ patterns: ['?:1'] }, (key) => key.endsWith(':1')),
  () => purge({ everything: true }, () => true)
]

/** Schedules without end, always the same ones for a seed. */
export function * schedulesOf (seed: number): Generator<Schedule, never> {
  let state = seed >>> 0
  // mulberry32, by Tommy Ettinger; in the public domain
  const pick: Pick = (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
  for (;;) yield Array.from({ length: pick(MAX_STEPS + 1) }, () => oneOf(STEPS, pick)(pick))
}

/** The schedule without the steps that its fault does not need. */
export async function shortest (schedule: Schedule, fails: (shorter: Schedule) => Promise<boolean>): Promise<Schedule> {
  let found = schedule
  for (let at = found.length - 1; at >= 0; at--) {
    const shorter = found.toSpliced(at, 1)
    if (await fails(shorter)) found = shorter
  }
  return found
}

/** As a failure shows it: `begin a:1, purge {"keys":["a:1"]}, commit 0 red, get a:1`. */
export function described (schedule: Schedule): string {
  return schedule.map((step) => step.do === 'purge' ? `purge ${JSON.stringify(step.record)}` : step.do === 'commit' ? `commit ${step.load} ${step.tag}` : `${step.do} ${step.key}`).join(', ')
}

/**
 * Plays the steps against the store and against a model that knows when each load began and each purge happened.
 * Answers what went wrong.
 */
export async function faultOf (kit: Kit, schedule: Schedule): Promise<string | undefined> {
  try {
    return await replay(kit, schedule)
  } catch (error) {
    return inspect(error)
  }
}

async function replay (kit: Kit, schedule: Schedule): Promise<string | undefined> {
  const loads: Array<{ key: string, ticket: Ticket, begunAt: number }> = []
  const purges: Array<{ at: number, touches: (key: string, tag: string) => boolean }> = []
  const held = new Map<string, { value: number, tag: string, begunAt: number }>()
  const overtaken = (key: string, tag: string, begunAt: number): boolean => purges.some((one) => one.at > begunAt && one.touches(key, tag))

  for (const [at, one] of schedule.entries()) {
    if (one.do === 'begin') {
      loads.push({ key: one.key, ticket: kit.log.ticket(), begunAt: at })
    } else if (one.do === 'commit') {
      const load = loads.at(-1 - one.load)
      if (load === undefined) continue
      const { key, ticket, begunAt } = load
      await kit.write(key, { value: at, ticket, marks: [tagMark(one.tag)] })
      if (!overtaken(key, one.tag, begunAt)) held.set(key, { value: at, tag: one.tag, begunAt })
    } else if (one.do === 'purge') {
      await kit.log.append(one.record)
      purges.push({ at, touches: one.touches })
    } else {
      const model = held.get(one.key)
      const expected = model === undefined || overtaken(one.key, model.tag, model.begunAt) ? undefined : model.value
      const found = (await kit.store.read(one.key))?.value
      if (found !== expected) return `step ${at}: ${one.key} is ${String(found)}, should be ${String(expected)}`
    }
  }
  return undefined
}
