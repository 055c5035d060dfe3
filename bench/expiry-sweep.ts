/*
 * For how long does a full memory hold the event loop, while it is cleaned up and while it is filled? A million entries are
 * written one by one, and half as many again for which others make room; then they are swept in the background, in slices, as
 * in an application.
 *
 *   node --import=tsx bench/expiry-sweep.ts
 *
 * Each subject runs in a process of its own. The wall is what other requests wait; on a machine that does other work as
 * well, the CPU time of the thread is what of it is ours. Collections of garbage are told apart: a slice or a write during
 * which there was one does not count as the memory's own. Marking goes on unseen in small steps between collections, unless
 * V8 is told to do it within them: `node --no-incremental-marking --import=tsx …`.
 */
import { spawnSync } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { PerformanceObserver } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { Entry } from '../lib/entry.ts'
import type { EvictionPolicyName } from '../lib/eviction/create-bounded-map.ts'
import { createLocalLog } from '../lib/invalidation/local-log.ts'
import { tagMark } from '../lib/keyspace/mark.ts'
import { MemoryCache } from '../lib/stores/memory.ts'
import { threadCpuMs } from './support/thread-cpu.ts'

interface Subject { readonly policy: EvictionPolicyName, readonly what: 'all expired' | 'half expired' | 'all purged' | 'nothing to free, 100 globs live' }
interface Span { readonly fromMs: number, readonly toMs: number }
interface Work extends Span { readonly cpuMs: number }
interface Figures { readonly slices: Work[], readonly writes: Work[], readonly collections: Span[], readonly passMs: number }

const ENTRIES = Number(process.env['ENTRIES'] ?? 1_000_000)
const INTERVAL_MS = 1000
const LIFE_MS = 3_600_000

const subjects: readonly Subject[] = [
  ...(['lru', 'fifo', 'lfu', 's3-fifo', 'w-tinylfu'] as const).map((policy) => ({ policy, what: 'all expired' as const })),
  { policy: 'lru', what: 'half expired' },
  { policy: 'lru', what: 'all purged' },
  { policy: 'lru', what: 'nothing to free, 100 globs live' }
]

/** What took less of the thread than this is not kept: there are a million and a half of them. */
const SHORT_WRITE_MS = 0.1
const WRITES_AT_ONCE = 100

function measured (task: () => void): Work {
  const begunMs = threadCpuMs()
  const fromMs = performance.now()
  task()
  const toMs = performance.now()
  return { fromMs, toMs, cpuMs: threadCpuMs() - begunMs }
}

async function measure ({ policy, what }: Subject): Promise<Figures> {
  const slices: Work[] = []
  const writes: Work[] = []
  const collections: Span[] = []
  const note = (list: { getEntries: () => ReadonlyArray<{ startTime: number, duration: number }> }): void => {
    for (const { startTime, duration } of list.getEntries()) collections.push({ fromMs: startTime, toMs: startTime + duration })
  }
  const observer = new PerformanceObserver(note)
  observer.observe({ entryTypes: ['gc'] })
  let aheadMs = 0
  /** The first pass waits until the memory is full. */
  let begin = (): void => {}
  let over = (): void => {}
  const passed = new Promise<void>((resolve) => { over = resolve })
  const clock: Clock = {
    now: () => systemClock.now() + aheadMs,
    after: (delayMs, task) => {
      if (aheadMs === 0) {
        begin = task
        return { cancel: () => {} }
      }
      if (delayMs === INTERVAL_MS) over()
      return systemClock.after(delayMs, () => {
        slices.push(measured(task))
        if (cache.usage()[0].entries === 0) over()
      }, { keepAlive: true })
    }
  }
  const log = createLocalLog({ clock })
  const cache = new MemoryCache({ log, clock, maxEntries: ENTRIES, maxBytes: 2 ** 40, evictionPolicy: policy, sweepIntervalMs: INTERVAL_MS })
  const ticket = log.ticket()
  for (let n = 0; n < 1.5 * ENTRIES; n++) {
    const untilMs = clock.now() + (what === 'all expired' || (what === 'half expired' && n % 2 === 0) ? LIFE_MS / 2 : 2 * LIFE_MS)
    const entry: Entry = { kind: 'data', value: { n }, storedAtMs: clock.now(), freshUntilMs: untilMs, staleWhileRevalidateUntilMs: untilMs, staleIfErrorUntilMs: untilMs, marks: [tagMark('all')], asOf: ticket.asOf, bytes: 100, loadMs: 1 }
    const write = measured(() => { cache.write(`product:${n}`, entry, ticket) })
    if (write.cpuMs >= SHORT_WRITE_MS) writes.push(write)
    if (n % WRITES_AT_ONCE === 0) await setImmediate()
  }
  if (cache.usage()[0].entries !== ENTRIES) throw new Error('not all of them are held')
  if (what === 'all purged') await log.append({ marks: [tagMark('all')] })
  if (what.startsWith('nothing')) for (let n = 0; n < 100; n++) await log.append({ patterns: [`*:${n}?x`] })
  aheadMs = LIFE_MS
  const begunMs = performance.now()
  slices.push(measured(begin))
  await passed
  const passMs = performance.now() - begunMs
  await cache.close()
  await setImmediate()
  note({ getEntries: () => observer.takeRecords() })
  return { slices, writes, collections, passMs }
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

/** What had no collection of garbage in it. */
function ownOf (works: readonly Work[], collections: readonly Span[]): number[] {
  const own = works.filter(({ fromMs, toMs }) => !collections.some((collection) => collection.toMs >= fromMs && collection.fromMs <= toMs))
  return own.map(({ cpuMs }) => cpuMs)
}

function longest (samples: readonly number[]): string {
  return Math.max(0, ...samples).toFixed(2)
}

function row ({ slices, writes, collections, passMs }: Figures): Record<string, string | number> {
  const own = ownOf(slices, collections)
  return {
    slices: slices.length,
    'CPU without collections': quantiles(own),
    'over 5 ms': own.filter((ms) => ms > 5).length,
    'CPU with them': quantiles(slices.map(({ cpuMs }) => cpuMs)),
    wall: quantiles(slices.map(({ fromMs, toMs }) => toMs - fromMs)),
    'longest collection': longest(collections.map(({ fromMs, toMs }) => toMs - fromMs)),
    'longest write, without / with': `${longest(ownOf(writes, collections))} / ${longest(writes.map(({ cpuMs }) => cpuMs))}`,
    'whole pass, s': (passMs / 1000).toFixed(1)
  }
}

const chosen = process.argv[2]
if (chosen === undefined) {
  console.log(`${ENTRIES} entries; per slice, in ms: p50 / p99 / max`)
  console.table(Object.fromEntries(subjects.map((subject, at) => [`${subject.policy}, ${subject.what}`, row(measureApart(at))])))
} else {
  console.log(JSON.stringify(await measure(subjects[Number(chosen)] as Subject)))
}
