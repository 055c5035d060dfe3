// Three processes under constant faults for ten minutes, strict and bounded by turns; memory must stay level.
//   npm run soak            SOAK_MINUTES=2 SEED=7 npm run soak
import { chaos } from '../test/fleet/support/chaos.ts'

const minutes = Number(process.env.SOAK_MINUTES ?? 10)
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
// A round is long enough for every fault to come several times, and short enough to be replayed.
const ROUND_MS = 60_000

const mega = (bytes) => (bytes / 2 ** 20).toFixed(1)

for (let round = 0; round < minutes; round++) {
  const seed = firstSeed + round
  const strict = round % 2 === 0
  const report = await chaos({ seed, forMs: ROUND_MS, members: 3, strict })
  const { violations, heapBytes, redisBytes, heapAfterWarmUp, ...figures } = report
  console.log(`SEED=${seed} ${strict ? 'strict' : 'bounded'} ${JSON.stringify(figures)}`)
  console.log(`  heap of the processes that lived through it: ${heapBytes.map((bytes, index) => `${mega(heapAfterWarmUp[index])} → ${mega(bytes)} MB`).join(', ') || 'none did'}; Redis ${mega(redisBytes)} MB`)
  const grown = heapBytes.filter((bytes, index) => bytes > heapAfterWarmUp[index] * 1.5 + 10 * 2 ** 20)
  for (const violation of violations) console.error('  ' + violation)
  if (violations.length > 0 || grown.length > 0) {
    console.error(grown.length > 0 ? '  memory has grown' : `  failed with SEED=${seed}`)
    process.exit(1)
  }
}
console.log(`${minutes} rounds of ${ROUND_MS / 1000} s without a violation`)
