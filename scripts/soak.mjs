// One fleet and one Redis with its replica under constant faults for ten minutes; memory must stay level.
//   npm run soak            SOAK_MINUTES=2 SEED=7 npm run soak
import { chaos } from '../test/fleet/support/chaos.ts'

const minutes = Number(process.env.SOAK_MINUTES ?? 10)
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
// Of a heap the collector leaves now more, now less; of what Redis uses, the buffers of its connections come and go.
const LEVEL = { heap: 1.25, redis: 1.5 }

const mega = (bytes) => (bytes / 2 ** 20).toFixed(1)
const weights = []
const onWeighed = (weight) => {
  weights.push(weight)
  console.log(`${(weight.afterMs / 60_000).toFixed(1)} min: heap of the processes that are never killed ${weight.heapBytes.map(mega).join(', ')} MB; Redis ${mega(weight.redisBytes)} MB`)
}

console.log(`SEED=${seed}`)
const members = ['strict', 'bounded', 'strict', 'bounded']
const { violations, ...figures } = await chaos({ seed, forMs: minutes * 60_000, members, immortals: 2, killRedis: false, onWeighed })
console.log(JSON.stringify(figures))
for (const violation of violations) console.error('  ' + violation)

// The first minute is the warm-up.
const [early, late] = [weights[0], weights.at(-1)]
const grown = late.heapBytes.some((bytes, index) => bytes > early.heapBytes[index] * LEVEL.heap) || late.redisBytes > early.redisBytes * LEVEL.redis
if (grown) console.error('memory has grown')
if (violations.length > 0 || grown) process.exit(1)
console.log('no violation, memory is level')
