import { printable } from './figures.ts'

/** Rows under a heading, columns aligned: the first to the left, numbers to the right. */
export function table (heading: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  if (rows.length === 0) return []
  const cells = [heading, ...rows].map((row) => row.map(printable))
  const widths = heading.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const right = heading.map((_, column) => column > 0 && rows.every((row) => /^(?:[\d–-]|$)/.test(row[column] ?? '')))
  return cells.map((row) => row.map((cell, column) => right[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
}

/** Names and what they are, one a line. */
export function pairs (facts: ReadonlyArray<readonly [name: string, value: string | undefined]>): string[] {
  const told = facts.filter((fact): fact is readonly [string, string] => fact[1] !== undefined)
  const width = Math.max(...told.map(([name]) => name.length))
  return told.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`)
}
