/*
 * What does one load for the whole fleet cost those who wait? A cold key asked for by many at once in four processes,
 * and in one; how often the handler ran, and how long the slowest waited beyond the 300 ms of the handler.
 *
 *   node --import=tsx --conditions=@fastify-response-cache/source bench/fleet-cold-key.ts
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startMembers, stopMembers } from '../test/fleet/support/fleet.ts'
import { startRedis } from '../test/support/redis-server.ts'

const HANDLER_MS = 300
const REQUESTS = Number(process.env['REQUESTS'] ?? 1000)

const server = await startRedis()
let runs = 0
const members = await startMembers(4, async () => {
  runs++
  await sleep(HANDLER_MS)
  return 1
})
for (const member of members) await member.do({ op: 'join', options: { strategy: 'hybrid', redisUrl: server.url, redisTimeout: 5, coalesceTimeout: 60 } })
for (const processes of [1, 4]) {
  for (const size of [1, 10, REQUESTS]) {
    const waits: number[] = []
    runs = 0
    for (let round = 0; round < 5; round++) {
      const crowds = await Promise.all(members.slice(0, processes).map(async (member) => await member.do({ op: 'crowd', url: `/value/${processes}-${size}-${round}`, size })))
      waits.push(Math.max(...crowds.map(({ slowestMs }) => slowestMs)) - HANDLER_MS)
    }
    waits.sort((a, b) => a - b)
    console.log(`${processes} × ${size} requests: ${runs / 5} runs, slowest ${(waits[2] ?? NaN).toFixed(0)} ms beyond the handler (median of 5)`)
  }
}
await stopMembers(members)
await server.stop()
process.exit()
