import { count, duration } from './figures.ts'

/** How far a warming has come, as the server tells it. */
export interface Progress { readonly total: number, readonly expected?: number, readonly failed: number, readonly durationMs: number }

const WIDEST = 30

/** A line for a terminal: a bar where the end is known, and the figures. */
export function progressBar ({ total, expected, failed, durationMs }: Progress, columns: number): string {
  const figures = `${count(total)}${expected === undefined ? '' : ` of ${count(expected)}`}${failed > 0 ? `, ${count(failed)} failed` : ''}, ${duration(Math.round(durationMs / 100) / 10)}`
  const width = Math.min(WIDEST, columns - figures.length - 4)
  if (expected === undefined || expected === 0 || width < 5) return figures.slice(0, Math.max(0, columns - 1))
  const full = Math.floor(Math.min(1, total / expected) * width)
  return `[${'#'.repeat(full)}${' '.repeat(width - full)}] ${figures}`
}
