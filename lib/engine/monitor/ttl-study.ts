import type { EpochMs, Milliseconds, Seconds } from '../../clock.ts'

/** What longer lives are tried, in multiples of the one in use. */
const FACTORS = [2, 3, 6, 12] as const
/** More groups than this are not studied. */
const MAX_GROUPS = 100

/** One life of a value that might have been longer. */
interface Trial { storedAtMs: EpochMs, digest: string }

/** What is remembered of a sampled key: its last store, and where it would stand with each longer life. */
export interface StoreHistory { storedAtMs: EpochMs, freshForMs: Milliseconds, digest: string, /** Begun once it is loaded again: most are not. */ trials: Trial[] | undefined }

/** What a longer life would have come to. */
export interface TtlTrial {
  ttl: Seconds
  /** Loads that it would have saved, an hour. */
  loadsSavedPerHour: number
  /** Loads among them that brought something new: until the next load, the old would have been served. */
  outdated: number
  saved: number
}

/** How often what expired came back as it had been. */
export interface TtlFigures {
  /** A route, or what the keys of data begin with. */
  group: string
  ttl: Seconds
  /** Expired entries that were loaded again, as far as they are in the sample. */
  reloads: number
  unchanged: number
  trials: TtlTrial[]
}

interface Counts { ttlMs: Milliseconds, reloads: number, unchanged: number, saved: number[], outdated: number[] }

/**
 * Compares what is loaded with what had expired. The longer lives are not computed but lived: each sampled key is
 * followed through all of them at the same time.
 */
export class TtlStudy {
  readonly #groups = new Map<string, Counts>()

  /** @returns what to remember of the key */
  stored (group: string, nowMs: EpochMs, freshForMs: Milliseconds, digest: string, before: StoreHistory | undefined): StoreHistory {
    const counts = this.#countsOf(group)
    // Stored before its time: a purge, a change or a refresh ahead would have come to every longer life as well.
    if (counts === undefined || before === undefined || nowMs < before.storedAtMs + before.freshForMs) return { storedAtMs: nowMs, freshForMs, digest, trials: undefined }
    counts.ttlMs = Math.max(counts.ttlMs, freshForMs)
    counts.reloads++
    if (digest === before.digest) counts.unchanged++
    const trials = before.trials ?? FACTORS.map(() => ({ storedAtMs: before.storedAtMs, digest: before.digest }))
    for (const [index, factor] of FACTORS.entries()) {
      const trial = trials[index]
      if (trial === undefined) continue
      if (nowMs < trial.storedAtMs + factor * before.freshForMs) {
        counts.saved[index] = (counts.saved[index] ?? 0) + 1
        if (digest !== trial.digest) counts.outdated[index] = (counts.outdated[index] ?? 0) + 1
      } else {
        trial.storedAtMs = nowMs
        trial.digest = digest
      }
    }
    return { storedAtMs: nowMs, freshForMs, digest, trials }
  }

  /** @param rate the share of keys that are sampled @param hours for how long it was counted */
  figures (rate: number, hours: number): TtlFigures[] {
    return [...this.#groups].filter(([, { reloads }]) => reloads > 0).map(([group, { ttlMs, reloads, unchanged, saved, outdated }]) => ({
      group,
      ttl: Math.round(ttlMs / 1000),
      reloads,
      unchanged,
      trials: FACTORS.map((factor, index) => ({
        ttl: Math.round(ttlMs / 1000) * factor,
        loadsSavedPerHour: (saved[index] ?? 0) / rate / hours,
        saved: saved[index] ?? 0,
        outdated: outdated[index] ?? 0
      }))
    }))
  }

  /** Halves the weight of all that was seen so far. */
  age (): void {
    for (const counts of this.#groups.values()) {
      counts.reloads /= 2
      counts.unchanged /= 2
      counts.saved = counts.saved.map((count) => count / 2)
      counts.outdated = counts.outdated.map((count) => count / 2)
    }
  }

  #countsOf (group: string): Counts | undefined {
    const known = this.#groups.get(group)
    if (known !== undefined || this.#groups.size >= MAX_GROUPS) return known
    const counts: Counts = { ttlMs: 0, reloads: 0, unchanged: 0, saved: FACTORS.map(() => 0), outdated: FACTORS.map(() => 0) }
    this.#groups.set(group, counts)
    return counts
  }
}
