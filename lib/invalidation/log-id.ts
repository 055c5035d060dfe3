import type { Position } from '../entry.ts'

/** A position as the ID of a stream entry. IDs sort as positions do, and a new epoch sorts behind every old one. */
export function formatId ({ epoch, seq }: Position): string {
  return `${epoch}-${seq}`
}

/** `undefined` for anything but two plain numbers that JavaScript can count with. */
export function parseId (text: string): Position | undefined {
  const found = /^(\d{1,16})-(\d{1,16})$/.exec(text)
  if (found === null) return undefined
  const epoch = Number(found[1])
  const seq = Number(found[2])
  return Number.isSafeInteger(epoch) && Number.isSafeInteger(seq) ? { epoch, seq } : undefined
}
