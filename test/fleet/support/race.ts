import { setTimeout as sleep } from 'node:timers/promises'
import type { Purge } from 'fastify-response-cache'
import type { Member } from './fleet.ts'

/** What the database holds, and which version every reader must see at least. */
export class VersionTable {
  readonly #versions = new Map<string, number>()
  readonly #due = new Map<string, { readonly version: number, readonly sinceMs: number }>()

  read (key: string): number { return this.#versions.get(key) ?? 1 }

  update (key: string): number {
    const version = this.read(key) + 1
    this.#versions.set(key, version)
    return version
  }

  /** The purge of everything older than `version` was acknowledged. */
  acknowledge (key: string, version: number): void {
    if (version > this.due(key)) this.#due.set(key, { version, sinceMs: performance.now() })
  }

  due (key: string): number { return this.#due.get(key)?.version ?? 1 }
  dueForMs (key: string): number { return performance.now() - (this.#due.get(key)?.sinceMs ?? 0) }
}

export interface StaleRead { readonly what: string, readonly got: number, readonly due: number, readonly dueForMs: number }
export interface RaceFigures { reads: number, purges: number, stale: StaleRead[], staleAtEnd: string[], slowestMs: number }

const any = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)] as T

/** Ways to say that a key has changed. All of them take the response of the route and the data under the key. */
export function purgesOf (key: string): Purge[] {
  return [
    { keys: [`data:${key}`], paths: [`/value/${key}`] },
    { tags: [`tag:${key}`] },
    { patterns: [`data:${key.slice(0, -1)}?`], paths: [`/value/${key.slice(0, -1)}*`] }
  ]
}

export async function readVersion (member: Member, kind: 'response' | 'data', key: string): Promise<number> {
  return kind === 'data' ? await member.do({ op: 'data', key }) : (await member.do({ op: 'get', url: `/value/${key}` })).version
}

/** Readers on every member, one writer, and a watchful eye. */
export async function race (members: readonly Member[], keys: readonly string[], table: VersionTable, { forMs, random, settled }: { forMs: number, random: () => number, settled: () => Promise<void> }): Promise<RaceFigures> {
  const figures: RaceFigures = { reads: 0, purges: 0, stale: [], staleAtEnd: [], slowestMs: 0 }
  const endAt = performance.now() + forMs
  // A machine that is busy takes longer over the same.
  const isOver = (): boolean => performance.now() >= endAt && figures.reads > 50 && figures.purges > 10
  const reader = async (member: Member): Promise<void> => {
    while (!isOver()) {
      const key = any(keys, random)
      const kind = any(['response', 'data'] as const, random)
      const due = table.due(key)
      const dueForMs = table.dueForMs(key)
      const askedAt = performance.now()
      const got = await readVersion(member, kind, key)
      figures.slowestMs = Math.max(figures.slowestMs, performance.now() - askedAt)
      figures.reads++
      if (got < due) figures.stale.push({ what: `${kind} ${key} at ${member.name}`, got, due, dueForMs })
    }
  }
  const writer = async (): Promise<void> => {
    while (!isOver()) {
      const key = any(keys, random)
      const version = table.update(key)
      if (await any(members, random).do({ op: 'purge', purge: any(purgesOf(key), random) }) === 'everywhere') table.acknowledge(key, version)
      figures.purges++
      await sleep(random() * 5)
    }
  }
  await Promise.all([...members.flatMap((member) => Array.from({ length: 4 }, async () => { await reader(member) })), writer()])
  await settled()
  await Promise.all(members.map(async (member) => {
    for (const key of keys) {
      for (const kind of ['response', 'data'] as const) {
        const got = await readVersion(member, kind, key)
        if (got !== table.read(key)) figures.staleAtEnd.push(`${kind} ${key} at ${member.name}: ${got} instead of ${table.read(key)}`)
      }
    }
  }))
  return figures
}
