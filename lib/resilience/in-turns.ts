import { setImmediate } from 'node:timers/promises'

/**
 * Runs a task for each portion of a list and joins the answers in order. Others have their turn of the event loop between
 * two portions, and no more than `most` are under way at a time.
 */
export async function inTurns<T, R> (items: readonly T[], size: number, most: number, task: (portion: readonly T[], from: number) => readonly R[] | Promise<readonly R[]>): Promise<R[]> {
  const answers: Array<readonly R[] | Promise<readonly R[]>> = []
  const underWay = new Set<Promise<unknown>>()
  for (let from = 0; from < items.length; from += size) {
    if (from > 0) await setImmediate()
    while (underWay.size >= most) await Promise.race(underWay)
    const answer = task(items.slice(from, from + size), from)
    answers.push(answer)
    if (!(answer instanceof Promise)) continue
    const over = answer.then(() => { underWay.delete(over) }, () => { underWay.delete(over) })
    underWay.add(over)
  }
  return (await Promise.all(answers)).flat()
}
