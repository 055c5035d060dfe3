/*
 * Does a warming hold the rows of its source? The heap, after a garbage collection, while a source of many rows is read
 * into a memory of 1 000 entries: at a tenth of the rows, and at the last one.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CacheManager } from '../lib/cache-manager.ts'
import { CacheWarmingService } from '../lib/engine/warming-service.ts'

const ROWS = Number(process.env['ROWS'] ?? 1_000_000)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const cache = new CacheManager({ strategy: 'memory', memoryMaxSize: 1000 })
const warming = new CacheWarmingService(cache, { watch: () => ({ delayMs: () => 0, stop: () => {} }) })

async function * source (): AsyncGenerator<readonly [number, { name: string }]> {
  for (let row = 1; row <= ROWS; row++) {
    yield [row, { name: `product ${row}` }]
    if (row !== ROWS / 10 && row !== ROWS) continue
    await turn()
    collect()
    console.log(`after ${String(row).padStart(9)} rows ${(process.memoryUsage().heapUsed / 2 ** 20).toFixed(1).padStart(7)} MB`)
  }
}

const { stored, durationMs } = await warming.warmCache(source, 'product', { batchSize: 500 })
console.log(`${stored} stored, ${(durationMs / stored * 1000).toFixed(1)} µs each`)
await warming.close()
await cache.close()
