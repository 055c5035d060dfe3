import { setTimeout as sleep } from 'node:timers/promises'
import type { CachePluginOptions } from 'fastify-response-cache'
import { Redis } from 'ioredis'
import { startRedis } from '../../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { Member, MemberGone } from './fleet.ts'
import { purgesOf, readVersion, VersionTable } from './race.ts'
import { randomFrom } from './random.ts'

/*
 * Several processes, one Redis, faults at random, against a model that is only a table of versions. What must hold:
 *  - a read by a process that is alive is answered, never with an error;
 *  - it is not older than a purge that the same process made before;
 *  - with `strict` it is not older than a purge that was acknowledged anywhere;
 *  - once the faults are over, no process hands out anything that is not the newest.
 */
export interface ChaosOptions {
  readonly seed: number
  /** At least; a machine that is busy takes longer over as much. */
  readonly forMs: number
  readonly members: number
  readonly strict: boolean
  /** Told of every fault. */
  readonly onFault?: (fault: string) => void
}

export interface ChaosReport {
  readonly reads: number
  readonly purges: number
  readonly acknowledged: number
  readonly faults: number
  readonly slowestReadMs: number
  /** What should not have happened. */
  readonly violations: readonly string[]
  /** Of each process that lived long enough for both, early and when all was over; in the same order. */
  readonly heapAfterWarmUp: readonly number[]
  readonly heapBytes: readonly number[]
  readonly redisBytes: number
}

const PREFIX = 'chaos:'
const WARM_UP_FAULTS = 10
/** Silence is noticed after three seconds; the rest is for a busy machine. */
const NEWS_MS = 30_000
/** So much longer than it should a run may take until it is one. */
const EXTRA_MS = 60_000
const keys = Array.from({ length: 20 }, (_, index) => `product${10 + index}`)

interface Place { member: Member, readonly proxy: TcpProxy, frozen: boolean, ownPurges: Map<string, number>, heapBytes: number | undefined }

/** Less has shown nothing. */
export function isEnough ({ reads, acknowledged, faults }: Pick<ChaosReport, 'reads' | 'acknowledged' | 'faults'>): boolean {
  return reads > 20 && acknowledged > 0 && faults > 1
}

export async function chaos ({ seed, forMs, members: count, strict, onFault = () => {} }: ChaosOptions): Promise<ChaosReport> {
  const random = randomFrom(seed)
  const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const table = new VersionTable()
  const violations: string[] = []
  const server = await startRedis()
  const admin = new Redis(server.port, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
  admin.on('error', () => {})
  const report = { reads: 0, purges: 0, acknowledged: 0, faults: 0, slowestReadMs: 0 }

  const database = async (key: string): Promise<number> => {
    const version = table.read(key)
    await sleep(random() * 8)
    return version
  }
  const start = async (name: string, proxy: TcpProxy): Promise<Member> => {
    const member = await Member.start(name, database)
    const options: CachePluginOptions = { strategy: 'hybrid', redisUrl: proxy.url, redisPrefix: PREFIX, consistency: strict ? 'strict' : 'bounded', writePolicy: any(['through', 'back']), maxInvalidations: 500 }
    await member.do({ op: 'join', options })
    return member
  }
  const places: Place[] = await Promise.all(Array.from({ length: count }, async (_, index) => {
    const proxy = await startTcpProxy(server.port)
    return { member: await start(`process ${index}`, proxy), proxy, frozen: false, ownPurges: new Map(), heapBytes: undefined }
  }))
  const open = new AbortController()

  const read = async (place: Place): Promise<void> => {
    const { member, ownPurges } = place
    const key = any(keys)
    const kind = any(['response', 'data'] as const)
    const own = ownPurges.get(key) ?? 1
    const due = table.due(key)
    const startedAt = performance.now()
    try {
      const got = await readVersion(member, kind, key)
      report.reads++
      if (!place.frozen) report.slowestReadMs = Math.max(report.slowestReadMs, performance.now() - startedAt)
      if (!(got >= own)) violations.push(`${member.name} read ${kind} ${key} as ${got}, having purged it for ${own}`)
      if (strict && !(got >= due)) violations.push(`${member.name} read ${kind} ${key} as ${got}; the purge for ${due} was acknowledged`)
    } catch (error) {
      if (!(error instanceof MemberGone)) violations.push(`a read failed: ${String(error)}`)
    }
  }
  const purge = async (place: Place): Promise<void> => {
    const key = any(keys)
    const version = table.update(key)
    try {
      const { ownPurges } = place
      const reach = await place.member.do({ op: 'purge', purge: any(purgesOf(key)) })
      report.purges++
      ownPurges.set(key, Math.max(version, ownPurges.get(key) ?? 0))
      if (reach === 'everywhere') {
        report.acknowledged++
        table.acknowledge(key, version)
      } else {
        unacknowledged.add(key)
      }
    } catch (error) {
      if (!(error instanceof MemberGone)) violations.push(`a purge failed: ${String(error)}`)
      unacknowledged.add(key)
    }
  }
  /** Changed, but the purge died with its process or still waits there: the application would have to repeat it. */
  const unacknowledged = new Set<string>()

  const customer = async (place: Place): Promise<void> => {
    while (!open.signal.aborted) {
      await (random() < 0.15 ? purge(place) : read(place))
      await sleep(random() * 4)
    }
  }
  const replace = async (place: Place): Promise<void> => {
    await place.member.kill()
    place.ownPurges = new Map()
    place.heapBytes = undefined
    place.member = await start(place.member.name, place.proxy)
  }
  /** Once for each process, when it has been through some faults. */
  const weigh = async (): Promise<void> => {
    for (const place of places) place.heapBytes ??= (await place.member.do({ op: 'tell' })).heapBytes
  }
  const stand = async (place: Place, ms: number): Promise<void> => {
    place.frozen = true
    place.member.freeze()
    await sleep(ms)
    place.member.thaw()
    place.frozen = false
  }
  const heal = (): void => {
    for (const { proxy } of places) {
      // What a black hole has swallowed is gone: no real network goes on with the same connection after that.
      if (proxy.mode === 'blackhole' || proxy.mode === 'drop-replies') proxy.cut()
      proxy.mode = 'pass'
    }
  }
  // The pauses are how long the faults last.
  const faults: Record<string, () => Promise<unknown>> = {
    'Redis is killed and comes back empty': async () => await server.restart(),
    'Redis stands still for a moment': async () => {
      server.freeze()
      await sleep(100)
      server.thaw()
    },
    'Redis stands still for long': async () => {
      server.freeze()
      await sleep(1200)
      server.thaw()
    },
    'connections are cut': async () => { for (const { proxy } of places) proxy.cut() },
    'one process is cut off': async () => {
      any(places).proxy.mode = any(['blackhole', 'refuse', 'drop-replies'] as const)
      await sleep(random() * 800)
      heal()
    },
    'the network is slow': async () => {
      any(places).proxy.mode = 40
      await sleep(300)
      heal()
    },
    'the subscribers are killed': async () => await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
    FLUSHALL: async () => await admin.flushall(),
    'the log is trimmed': async () => await admin.xtrim(`${PREFIX}log`, 'MAXLEN', Math.floor(random() * 10)),
    'the log is deleted': async () => await admin.del(`${PREFIX}log`),
    'Redis is out of memory': async () => {
      await admin.config('SET', 'maxmemory', '1')
      await sleep(random() * 300)
      await admin.config('SET', 'maxmemory', '0')
    },
    'a process stands still': async () => { await stand(any(places), 100 + random() * 500) },
    'a process dies and is replaced': async () => { await replace(any(places)) }
  }

  try {
    const customers = places.flatMap((place) => [0, 1, 2].map(async () => { await customer(place) }))
    const endAt = performance.now() + forMs
    const names = Object.keys(faults)
    for (let round = 0; performance.now() < endAt || (!isEnough(report) && performance.now() < endAt + EXTRA_MS); round++) {
      // Each once before any comes twice.
      if (round % Object.keys(faults).length === 0) names.sort(() => random() - 0.5)
      const name = names[round % names.length] ?? ''
      onFault(name)
      if (round % WARM_UP_FAULTS === WARM_UP_FAULTS - 1) await weigh()
      await faults[name]?.()
      report.faults++
      await sleep(random() * 300)
    }
    heal()
    open.abort()
    await Promise.all(customers)
    // Where news have to arrive by themselves nobody may ask for them, or their loss would not be noticed.
    const isCurrent = async ({ member }: Place): Promise<boolean> => (!strict || await member.do({ op: 'sync' })) && (await member.do({ op: 'tell' })).logState === 'current'
    while (!(await Promise.all(places.map(isCurrent))).every(Boolean)) await sleep(50)
    // Nobody can keep a promise that died with its process; whoever was not told "everywhere" says it again.
    for (const key of unacknowledged) while (await places[0]?.member.do({ op: 'purge', purge: { tags: [`tag:${key}`] } }) !== 'everywhere') await sleep(50)
    while (!(await Promise.all(places.map(isCurrent))).every(Boolean)) await sleep(50)
    const outdated = async (): Promise<string[]> => (await Promise.all(places.flatMap(({ member }) => keys.flatMap((key) => (['response', 'data'] as const).map(async (kind) => {
      const got = await readVersion(member, kind, key)
      return got === table.read(key) ? [] : [`in the end ${member.name} has ${kind} ${key} as ${got} instead of ${table.read(key)}`]
    }))))).flat()
    const patientUntil = performance.now() + (strict ? 0 : NEWS_MS)
    let old = await outdated()
    while (old.length > 0 && performance.now() < patientUntil) {
      await sleep(100)
      old = await outdated()
    }
    violations.push(...old)
    const accounts = await Promise.all(places.map(async ({ member }) => await member.do({ op: 'tell' })))
    violations.push(...accounts.flatMap(({ unhandled }) => unhandled.map((error) => `unhandled: ${error}`)))
    const redisBytes = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1])
    const weighed = places.flatMap(({ heapBytes }, index) => heapBytes === undefined ? [] : [{ early: heapBytes, late: accounts[index]?.heapBytes ?? NaN }])
    return { ...report, violations, heapAfterWarmUp: weighed.map(({ early }) => early), heapBytes: weighed.map(({ late }) => late), redisBytes }
  } finally {
    open.abort()
    await Promise.all(places.map(async ({ member, proxy }) => {
      await member.kill()
      await proxy.close()
    }))
    admin.disconnect()
    await server.stop()
  }
}
