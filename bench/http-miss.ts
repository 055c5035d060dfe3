/*
 * What does a miss cost? CPU time per request of the server process for requests of which no two are the same, beside the
 * same handler without a cache: a search in an embedded SQL database of 970, 1 940 and 3 880 products, a list of twenty, and a
 * handler that does nothing. `by hand` is the least that a cache can do. All servers of one handler are in one process and take
 * turns, for one and the same program costs up to twice as much from one minute, and from one process, to the next.
 *
 *   npm run build && node --import=tsx bench/http-miss.ts
 */
import { cpuByRound, median, startTogether } from './support/load.ts'

const PROCESSES = Number(process.env['PROCESSES'] ?? 3)
const ROUNDS = Number(process.env['ROUNDS'] ?? 20)

/** Only the handlers with this in their names. */
const ONLY = process.env['ONLY'] ?? ''

const ways = ['uncached', 'by hand', 'missed', 'missed, dependencies followed', 'missed, no dependencies']

/** Requests in one turn: some tenths of a second. */
const handlers: Readonly<Record<string, number>> = { 'search in 3880': 128, 'search in 1940': 256, 'search in 970': 384, list: 1000, nothing: 2000 }

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0) / numbers.length

console.log(`${PROCESSES} processes, ${ROUNDS} rounds in each, 16 connections; mean CPU µs per request; × uncached: of the means; the middle of all rounds (of those of each process)`)
for (const [handler, requests] of Object.entries(handlers)) {
  if (!handler.includes(ONLY)) continue
  const costs = ways.map(() => ({ micros: [] as number[], ratios: [] as number[], middles: [] as number[] }))
  for (let started = 0; started < PROCESSES; started++) {
    const targets = await startTogether(handler, ways)
    const byRound = await cpuByRound(targets, { rounds: ROUNDS, requests, pathOf: (n) => `/product?n=${n}`, warmUpPathOf: (n) => `/product?n=${n}&warm` })
    targets[0]?.stop()
    const uncached = byRound.get('uncached') ?? []
    for (const [place, way] of ways.entries()) {
      const micros = byRound.get(way) ?? []
      const ratios = micros.map((value, round) => value / (uncached[round] ?? NaN))
      costs[place]?.micros.push(...micros)
      costs[place]?.ratios.push(...ratios)
      costs[place]?.middles.push(median(ratios))
    }
  }
  const uncached = mean(costs[0]?.micros ?? [])
  for (const [place, { micros, ratios, middles }] of costs.entries()) {
    const each = middles.map((middle) => middle.toFixed(2)).join(', ')
    console.log(`${handler}, ${ways[place] ?? ''}`.padEnd(48) + `${mean(micros).toFixed(0).padStart(6)}   ${(mean(micros) / uncached).toFixed(2)}   ${median(ratios).toFixed(2)} (${each})`)
  }
}
