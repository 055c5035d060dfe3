/** The end of a message about a name that is none: the one that was probably meant, or all there are. */
export function suggest (name: string, known: readonly string[]): string {
  const plain = plainly(name)
  const ranked = known.map((candidate) => ({ candidate, distance: distance(plain, plainly(candidate)) })).sort((a, b) => a.distance - b.distance)
  const [best] = ranked
  const found = best !== undefined && best.distance <= tolerance(plain.length)
    ? [best.candidate]
    : plain.length < 3 ? [] : known.filter((candidate) => plainly(candidate).includes(plain) || plain.includes(plainly(candidate)))
  return found.length === 0 ? `Known are ${known.join(', ')}` : `Did you mean ${found.join(' or ')}?`
}

/** Whether one of two names is probably the other, misspelt. Names that differ in a number are two of a series. */
export function looksLike (name: string, other: string): boolean {
  const [plain, plainOther] = [plainly(name), plainly(other)]
  return plain.length > 3 && numbersIn(name) === numbersIn(other) && distance(plain, plainOther) <= tolerance(Math.max(plain.length, plainOther.length))
}

/** How many letters may be wrong. */
const tolerance = (length: number): number => Math.max(1, length / 4)

const numbersIn = (name: string): string => name.replaceAll(/\D+/g, ' ').trim()

const plainly = (name: string): string => name.toLowerCase().replaceAll(/[^a-z]/g, '')

/** How many letters have to be put in, taken out, replaced, or exchanged with their neighbour. */
function distance (from: string, to: string): number {
  let before: number[] = []
  let above = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1] ? 0 : 1
      let least = Math.min((above[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (above[column - 1] ?? 0) + same)
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (swapped) least = Math.min(least, (before[column - 2] ?? 0) + 1)
      current.push(least)
    }
    before = above
    above = current
  }
  return above[to.length] ?? 0
}
