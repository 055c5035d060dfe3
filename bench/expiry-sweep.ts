/*
 * For how long does the clean-up of a full memory hold the event loop? A million entries are swept in the background, in
 * slices, as in an application; each slice is measured, with the garbage that is collected during it.
 *
 *   node --import=tsx bench/expiry-sweep.ts
 *
 * Each subject runs in a process of its own. The wall is what other requests wait; on a machine that does other work as
 * well, the CPU time of the thread is what of it is ours.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { Entry } from '../lib/entry.ts'
import type { EvictionPolicyName } from '../lib/eviction/create-bounded-map.ts'
import { createLocalLog } from '../lib/invalidation/local-log.ts'
import { tagMark } from '../lib/keyspace/mark.ts'
import { MemoryCache } from '../lib/stores/memory.ts'
import { threadCpuMs } from './support/thread-cpu.ts'

interface Subject { readonly policy: EvictionPolicyName, readonly what: 'all expired' | 'half expired' | 'all purged' | 'nothing to free, 100 globs live' }
interface Figures { readonly wall: number[], readonly cpu: number[], readonly passMs: number }

const ENTRIES = Number(process.env['ENTRIES'] ?? 1_000_000)
const INTERVAL_MS = 1000
const LIFE_MS = 3_600_000

const subjects: readonly Subject[] = [
  ...(['lru', 'fifo', 'lfu', 's3-fifo', 'w-tinylfu'] as const).map((policy) => ({ policy, what: 'all expired' as const })),
  { policy: 'lru', what: 'half expired' },
  { policy: 'lru', what: 'all purged' },
  { policy: 'lru', what: 'nothing to free, 100 globs live' }
]

async function measure ({ policy, what }: Subject): Promise<Figures> {
  const wall: number[] = []
  const cpu: number[] = []
  let aheadMs = 0
  let over = (): void => {}
  const passed = new Promise<void>((resolve) => { over = resolve })
  const clock: Clock = {
    now: () => systemClock.now() + aheadMs,
    after: (delayMs, task) => {
      if (cpu.length > 0 && delayMs === INTERVAL_MS) over()
      return systemClock.after(delayMs, () => {
        const before = [threadCpuMs(), performance.now()] as const
        task()
        wall.push(performance.now() - before[1])
        cpu.push(threadCpuMs() - before[0])
        if (cache.usage()[0].entries === 0) over()
      }, { keepAlive: true })
    }
  }
  const log = createLocalLog({ clock })
  const cache = new MemoryCache({ log, clock, maxEntries: ENTRIES, maxBytes: 2 ** 40, evictionPolicy: policy, sweepIntervalMs: INTERVAL_MS })
  const ticket = log.ticket()
  for (let n = 0; n < ENTRIES; n++) {
    const untilMs = clock.now() + (what === 'all expired' || (what === 'half expired' && n % 2 === 0) ? LIFE_MS / 2 : 2 * LIFE_MS)
    const entry: Entry = { kind: 'data', value: { n }, storedAtMs: clock.now(), freshUntilMs: untilMs, staleWhileRevalidateUntilMs: untilMs, staleIfErrorUntilMs: untilMs, marks: [tagMark('all')], asOf: ticket.asOf, bytes: 100, loadMs: 1 }
    cache.write(`product:${n}`, entry, ticket)
  }
  if (cache.usage()[0].entries !== ENTRIES) throw new Error('not all of them are held')
  if (what === 'all purged') await log.append({ marks: [tagMark('all')] })
  if (what.startsWith('nothing')) for (let n = 0; n < 100; n++) await log.append({ patterns: [`*:${n}?x`] })
  aheadMs = LIFE_MS
  const begunMs = performance.now()
  await passed
  const passMs = performance.now() - begunMs
  await cache.close()
  return { wall, cpu, passMs }
}

function measureApart (at: number): Figures {
  const { stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), String(at)], { encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Figures
}

function quantiles (samples: readonly number[]): string {
  const sorted = [...samples].sort((a, b) => a - b)
  return [0.5, 0.99, 1].map((share) => (sorted[Math.ceil(share * sorted.length) - 1] ?? NaN).toFixed(2)).join(' / ')
}

const chosen = process.argv[2]
if (chosen === undefined) {
  console.log(`${ENTRIES} entries; per slice, in ms: p50 / p99 / max`)
  console.table(Object.fromEntries(subjects.map(({ policy, what }, at) => {
    const { wall, cpu, passMs } = measureApart(at)
    return [`${policy}, ${what}`, { slices: wall.length, 'CPU of the thread': quantiles(cpu), wall: quantiles(wall), 'over 5 ms': `${cpu.filter((ms) => ms > 5).length} / ${wall.filter((ms) => ms > 5).length}`, 'whole pass, s': (passMs / 1000).toFixed(1) }]
  })))
} else {
  console.log(JSON.stringify(await measure(subjects[Number(chosen)] as Subject)))
}
