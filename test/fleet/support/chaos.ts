import { setTimeout as sleep } from 'node:timers/promises'
import type { CachePluginOptions } from 'fastify-response-cache'
import { startTcpProxy, type ProxyMode, type TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'
import { Member, MemberGone } from './fleet.ts'
import { startPair, type Fate, type Half } from './pair.ts'
import { purgesOf, readVersion, VersionTable } from './race.ts'
import { randomFrom } from './random.ts'

/*
 * Several processes, one Redis with its replica, faults at random, against a model that is only a table of versions. What
 * must hold:
 *  - a read by a process that is alive is answered, never with an error;
 *  - it is not older than a purge that the same process made before;
 *  - with `strict` it is not older than a purge that was acknowledged anywhere;
 *  - once the faults are over, no process hands out anything that is not the newest.
 *
 * Redis replicates after it has answered, so a failover may forget the last purges that it acknowledged, and until
 * every process has found the new master there may be two. What was acknowledged before must hold even then, and so must a
 * process's own purges; what is acknowledged meanwhile must hold everywhere as soon as all have found it.
 */
export interface ChaosOptions {
  readonly seed: number
  /** At least; a machine that is busy takes longer over as much. */
  readonly forMs: number
  /** One process each. */
  readonly members: ReadonlyArray<'strict' | 'bounded'>
  /** So many of them, the first, are never killed. @default 0 */
  readonly immortals?: number
  /** Redis may be killed. It comes back empty, and young. @default true */
  readonly killRedis?: boolean
  /** Told of every fault. */
  readonly onFault?: (fault: string) => void
  /** Told every minute, and at the end, how much memory is in use. */
  readonly onWeighed?: (weight: Weight) => void
}

export interface Weight {
  readonly afterMs: number
  /** Of each process that is never killed. */
  readonly heapBytes: readonly number[]
  readonly redisBytes: number
}

export interface ChaosReport {
  readonly reads: number
  readonly purges: number
  readonly acknowledged: number
  readonly faults: number
  readonly failovers: number
  readonly slowestReadMs: number
  /** What should not have happened. */
  readonly violations: readonly string[]
}

const PREFIX = 'chaos:'
const WEIGH_EVERY_MS = 60_000
/** Silence is noticed after three seconds; the rest is for a busy machine. */
const NEWS_MS = 30_000
/** So much longer than it should a run may take until it is one. */
const EXTRA_MS = 60_000
const keys = Array.from({ length: 20 }, (_, index) => `product${10 + index}`)

interface Way { readonly half: Half, readonly proxy: TcpProxy }
interface Place { member: Member, readonly strict: boolean, readonly immortal: boolean, readonly ways: readonly Way[], frozen: boolean, ownPurges: Map<string, number> }

/** Less has shown nothing. */
export function isEnough ({ reads, acknowledged, faults, failovers }: Pick<ChaosReport, 'reads' | 'acknowledged' | 'faults' | 'failovers'>): boolean {
  return reads > 20 && acknowledged > 0 && faults > 1 && failovers > 0
}

export async function chaos ({ seed, forMs, members, immortals = 0, killRedis = true, onFault = () => {}, onWeighed = () => {} }: ChaosOptions): Promise<ChaosReport> {
  const random = randomFrom(seed)
  const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const table = new VersionTable()
  const violations: string[] = []
  const pair = await startPair()
  const report = { reads: 0, purges: 0, acknowledged: 0, faults: 0, failovers: 0, slowestReadMs: 0 }

  const database = async (key: string): Promise<number> => {
    const version = table.read(key)
    await sleep(random() * 8)
    return version
  }
  const start = async (name: string, ways: readonly Way[], strict: boolean): Promise<Member> => {
    const member = await Member.start(name, database)
    const natMap = Object.fromEntries(ways.map(({ half: { server }, proxy }) => [`${server.host}:${server.port}`, { host: server.host, port: proxy.port }]))
    const redis = { sentinels: pair.sentinels, name: pair.name, natMap }
    const options: CachePluginOptions = { strategy: 'hybrid', redis, redisPrefix: PREFIX, consistency: strict ? 'strict' : 'bounded', writePolicy: any(['through', 'back']), maxInvalidations: 500 }
    await member.do({ op: 'join', options })
    return member
  }
  const places: Place[] = await Promise.all(members.map(async (consistency, index) => {
    const strict = consistency === 'strict'
    const ways = await Promise.all(pair.halves.map(async (half) => ({ half, proxy: await startTcpProxy(half.server.port) })))
    return { member: await start(`process ${index}`, ways, strict), strict, immortal: index < immortals, ways, frozen: false, ownPurges: new Map() }
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
      if (place.strict && !(got >= due)) violations.push(`${member.name} read ${kind} ${key} as ${got}; the purge for ${due} was acknowledged`)
    } catch (error) {
      if (!(error instanceof MemberGone)) violations.push(`a read failed: ${String(error)}`)
    }
  }
  /** Acknowledged while there may be two masters. */
  let doubtful: Map<string, number> | undefined
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
        if (doubtful === undefined) table.acknowledge(key, version)
        else doubtful.set(key, Math.max(version, doubtful.get(key) ?? 0))
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
    place.member = await start(place.member.name, place.ways, place.strict)
  }
  const begunAt = performance.now()
  const weigh = async (): Promise<void> => {
    const heapBytes = await Promise.all(places.filter(({ immortal }) => immortal).map(async ({ member }) => (await member.do({ op: 'tell' })).heapBytes))
    const redisBytes = Number(/used_memory:(\d+)/.exec(await pair.master.admin.info('memory'))?.[1])
    onWeighed({ afterMs: performance.now() - begunAt, heapBytes, redisBytes })
  }
  const stand = async (place: Place, ms: number): Promise<void> => {
    place.frozen = true
    place.member.freeze()
    await sleep(ms)
    place.member.thaw()
    place.frozen = false
  }
  const breakNetwork = ({ ways }: Place, mode: ProxyMode): void => { for (const { proxy } of ways) proxy.mode = mode }
  const heal = (): void => {
    for (const { proxy } of places.flatMap(({ ways }) => ways)) {
      // What a black hole has swallowed is gone: no real network goes on with the same connection after that.
      if (proxy.mode === 'blackhole' || proxy.mode === 'drop-replies') proxy.cut()
      proxy.mode = 'pass'
    }
  }
  // Where news have to arrive by themselves nobody may ask for them, or their loss would not be noticed.
  const isCurrent = async ({ member, strict }: Place): Promise<boolean> => (!strict || await member.do({ op: 'sync' })) && (await member.do({ op: 'tell' })).logState === 'current'
  const allCurrent = async (): Promise<void> => { await until('all are in step', async () => (await Promise.all(places.map(isCurrent))).every(Boolean), 50) }
  const failOver = async (fate: Fate): Promise<void> => {
    const left = pair.master
    doubtful = new Map()
    await pair.failOver(fate)
    await until('all have left the old master', () => places.every(({ ways }) => ways.every(({ half, proxy }) => (proxy.connections === 0) === (half === left))))
    await allCurrent()
    for (const [key, version] of doubtful) table.acknowledge(key, version)
    doubtful = undefined
    report.failovers++
  }
  // The pauses are how long the faults last.
  const faults: Record<string, () => Promise<unknown>> = {
    'a replica takes over': async () => { await failOver('lives') },
    'Redis hangs, a replica takes over': async () => { await failOver('hangs') },
    ...killRedis && {
      'Redis dies, a replica takes over': async () => { await failOver('dies') },
      'Redis is killed and comes back empty': async () => { await pair.master.server.restart([]) }
    },
    'Redis stands still for a moment': async () => {
      const { server } = pair.master
      server.freeze()
      await sleep(100)
      server.thaw()
    },
    'Redis stands still for long': async () => {
      const { server } = pair.master
      server.freeze()
      await sleep(1200)
      server.thaw()
    },
    'connections are cut': async () => { for (const { proxy } of places.flatMap(({ ways }) => ways)) proxy.cut() },
    'one process is cut off': async () => {
      breakNetwork(any(places), any(['blackhole', 'refuse', 'drop-replies'] as const))
      await sleep(random() * 800)
      heal()
    },
    'the network is slow': async () => {
      breakNetwork(any(places), 40)
      await sleep(300)
      heal()
    },
    'the subscribers are killed': async () => await pair.master.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
    FLUSHALL: async () => await pair.master.admin.flushall(),
    'the log is trimmed': async () => await pair.master.admin.xtrim(`${PREFIX}log`, 'MAXLEN', Math.floor(random() * 10)),
    'the log is deleted': async () => await pair.master.admin.del(`${PREFIX}log`),
    'Redis is out of memory': async () => {
      await pair.master.admin.config('SET', 'maxmemory', '1')
      await sleep(random() * 300)
      await pair.master.admin.config('SET', 'maxmemory', '0')
    },
    'a process stands still': async () => { await stand(any(places), 100 + random() * 500) },
    'a process dies and is replaced': async () => { await replace(any(places.filter(({ immortal }) => !immortal))) }
  }

  try {
    const customers = places.flatMap((place) => [0, 1, 2].map(async () => { await customer(place) }))
    const endAt = performance.now() + forMs
    const names = Object.keys(faults)
    let weighAt = begunAt + WEIGH_EVERY_MS
    for (let round = 0; performance.now() < endAt || (!isEnough(report) && performance.now() < endAt + EXTRA_MS); round++) {
      // Each once before any comes twice.
      if (round % names.length === 0) names.sort(() => random() - 0.5)
      const name = names[round % names.length] ?? ''
      onFault(name)
      await faults[name]?.()
      report.faults++
      await sleep(random() * 300)
      if (performance.now() < weighAt) continue
      await weigh()
      weighAt += WEIGH_EVERY_MS
    }
    heal()
    open.abort()
    await Promise.all(customers)
    await allCurrent()
    // Nobody can keep a promise that died with its process; whoever was not told "everywhere" says it again.
    for (const key of unacknowledged) await until('a purge is told everywhere', async () => await places[0]?.member.do({ op: 'purge', purge: { tags: [`tag:${key}`] } }) === 'everywhere', 50)
    await allCurrent()
    const outdated = async (whose: readonly Place[]): Promise<string[]> => (await Promise.all(whose.flatMap(({ member }) => keys.flatMap((key) => (['response', 'data'] as const).map(async (kind) => {
      const got = await readVersion(member, kind, key)
      return got === table.read(key) ? [] : [`in the end ${member.name} has ${kind} ${key} as ${got} instead of ${table.read(key)}`]
    }))))).flat()
    violations.push(...await outdated(places.filter(({ strict }) => strict)))
    const bounded = places.filter(({ strict }) => !strict)
    const patientUntil = performance.now() + NEWS_MS
    let old = await outdated(bounded)
    while (old.length > 0 && performance.now() < patientUntil) {
      await sleep(100)
      old = await outdated(bounded)
    }
    violations.push(...old)
    const accounts = await Promise.all(places.map(async ({ member }) => await member.do({ op: 'tell' })))
    violations.push(...accounts.flatMap(({ unhandled }) => unhandled.map((error) => `unhandled: ${error}`)))
    await weigh()
    return { ...report, violations }
  } catch (cause) {
    throw violations.length === 0 ? cause : new Error(violations.join('\n'), { cause })
  } finally {
    open.abort()
    await Promise.all(places.map(async ({ member, ways }) => {
      await member.kill()
      await Promise.all(ways.map(async ({ proxy }) => { await proxy.close() }))
    }))
    await pair.stop()
  }
}
