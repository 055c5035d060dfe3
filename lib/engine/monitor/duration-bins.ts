import type { Milliseconds, Seconds } from '../../clock.ts'

const BINS_PER_OCTAVE = 3
const OCTAVES = 26
const SECOND_BIN = 2 ** (1 / BINS_PER_OCTAVE)
const THIRD_BIN = 2 ** (2 / BINS_PER_OCTAVE)

/** How many bins there are: from a microsecond to a minute, each a quarter wider than the one before. */
export const DURATION_BINS = OCTAVES * BINS_PER_OCTAVE + 1

/** The bin of a duration. Bin 0 is up to a microsecond. */
export function durationBin (durationMs: Milliseconds): number {
  const micros = durationMs * 1000
  if (!(micros > 1)) return 0
  if (micros >= 2 ** OCTAVES) return DURATION_BINS - 1
  // On every lookup: the place of the highest bit tells the octave, at a tenth of what a logarithm costs.
  const octave = 31 - Math.clz32(micros)
  const within = micros / (1 << octave)
  return 1 + octave * BINS_PER_OCTAVE + (within < SECOND_BIN ? 0 : within < THIRD_BIN ? 1 : 2)
}

/**
 * The duration below which the share `q` of the observations lies, to about a tenth of itself; `undefined` when there
 * are none. `counts` holds the bins from `start` on.
 */
export function durationQuantile (counts: ArrayLike<number>, start: number, q: number): Seconds | undefined {
  let total = 0
  for (let bin = 0; bin < DURATION_BINS; bin++) total += counts[start + bin] ?? 0
  if (total === 0) return undefined
  const wanted = q * total
  let below = 0
  let bin = 0
  for (; bin < DURATION_BINS - 1; bin++) {
    const next = below + (counts[start + bin] ?? 0)
    if (next >= wanted && next > below) break
    below = next
  }
  const inBin = counts[start + bin] ?? 0
  const share = inBin === 0 ? 1 : (wanted - below) / inBin
  return 2 ** ((bin - 1 + share) / BINS_PER_OCTAVE) / 1e6
}
