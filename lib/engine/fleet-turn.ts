import { randomUUID } from 'node:crypto'
import type { Milliseconds } from '../clock.ts'
import type { Leases } from '../ports/leases.ts'
import { Fill } from './fill.ts'
import type { EngineParts } from './parts.ts'

/** Instances that start within this time of the first take its work for done. */
const REMEMBERED_MS: Milliseconds = 300_000

/** What an instance wants to do for the whole fleet. */
export interface FleetWork {
  readonly name: string
  /** Whether it is done although another instance is at it, or has just done it. */
  readonly force: boolean
  /** What it leaves behind, if others may take it for done: keys that begin so, and for how long they live at most. */
  readonly leaves?: { readonly keyPattern: string, readonly lifeMs: Milliseconds } | undefined
}

/** The turn of one instance. */
export interface FleetTurn {
  /** @param done whether others need not do it again */
  readonly end: (done: boolean) => Promise<void>
}

/**
 * One instance of a fleet does what all would do, and the others go without: while it is at it, by a lease; after that, by
 * a note in the cache that the work is done. The note is no older than what it stands for: it lives no longer, and a purge
 * of everything or of the whole key pattern takes it as well. Who has done the work may do it again.
 */
export class FleetTurns {
  readonly #parts: EngineParts
  readonly #leases: Pick<Leases, 'acquire'> | undefined
  readonly #me = randomUUID()

  constructor (parts: EngineParts, leases: Pick<Leases, 'acquire'> | undefined) {
    this.#parts = parts
    this.#leases = leases
  }

  /** @returns nothing where another instance has the turn, or has had it */
  async take ({ name, force, leaves }: FleetWork): Promise<FleetTurn | undefined> {
    // The name of a key, as leases are for keys.
    const key = `warming:${name}`
    const lease = await this.#leases?.acquire(key)
    if (lease === 'busy' && !force) return undefined
    if (typeof lease !== 'object') return { end: async () => {} }
    if (!force && leaves !== undefined && await this.#isDone(key)) {
      await lease.release()
      return undefined
    }
    const note = new Fill(this.#parts)
    return {
      end: async (done) => {
        if (done && leaves !== undefined) {
          await note.read(() => { this.#parts.dependencies.note(`${leaves.keyPattern}:`) })
          await note.store([[key, this.#me]], { ttl: Math.min(leaves.lifeMs, REMEMBERED_MS) / 1000, tags: [], staleIfError: 0, staleWhileRevalidate: 0 })
        }
        await lease.release()
      }
    }
  }

  async #isDone (key: string): Promise<boolean> {
    const { store, clock, serializer } = this.#parts
    const note = await store.read(key, false)
    return note?.kind === 'data' && clock.now() < note.freshUntilMs && serializer.view(note.value) !== this.#me
  }
}
