import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { startSentinels } from '../../support/redis-sentinel.ts'
import type { TestRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

/** So much of what the master acknowledges in the end its successor has never heard of. */
const LAG_MS = 150
/** Far longer than any fault: which Redis is the master is then up to us alone. */
const NEVER_MS = 3_600_000

/** What has become of the old master when its replica takes over. */
export type Fate = 'lives' | 'hangs' | 'dies'

/** One of two, and somebody who may tell it anything. */
export interface Half { readonly server: TestRedis, readonly admin: Redis }

export interface Pair {
  readonly halves: readonly [Half, Half]
  readonly master: Half
  /** For the client of the cache. */
  readonly sentinels: Array<{ readonly host: string, readonly port: number }>
  readonly name: string
  /**
   * The replica gets what the master has written by now, and nothing from then on. The Sentinels make it the master, and
   * the old one comes back as its replica.
   */
  readonly failOver: (fate: Fate) => Promise<void>
  readonly stop: () => Promise<void>
}

export async function startPair (): Promise<Pair> {
  const set = await startSentinels({ downAfterMs: NEVER_MS })
  const half = (server: TestRedis): Half => {
    const admin = new Redis(server.port, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
    admin.on('error', () => {})
    return { server, admin }
  }
  const halves = [half(set.master), half(set.replica)] as const
  const sentinels = set.sentinels.map(({ port }) => new Redis(port))
  let [master, replica] = halves

  const failOver = async (fate: Fate): Promise<void> => {
    const { server } = master
    await until('the replica has it all', async () => {
      await master.admin.set('replicated', 1)
      return Number(await master.admin.call('WAIT', 1, 1000)) === 1
    })
    await replica.admin.call('REPLICAOF', server.host, 1)
    await sleep(LAG_MS)
    if (fate === 'hangs') server.freeze()
    if (fate === 'dies') await server.kill()
    const port = String(replica.server.port)
    const knows = async (sentinel: Redis | undefined): Promise<{ readonly done: boolean, readonly busy: boolean }> => {
      const text = String(await sentinel?.call('SENTINEL', 'MASTER', set.name))
      return { done: text.includes(`,port,${port},`), busy: text.includes('failover_in_progress') }
    }
    // Refused as long as they do not know that the replica is fit for it, and given up when they cannot reach it in time.
    await until('the failover is done', async () => {
      const { done, busy } = await knows(sentinels[0])
      if (!done && !busy) await sentinels[0]?.call('SENTINEL', 'FAILOVER', set.name).catch(() => {})
      return done
    })
    await until('all Sentinels agree', async () => (await Promise.all(sentinels.map(knows))).every(({ done }) => done))
    // Sentinel does the same to an old master, only later.
    if (fate === 'dies') {
      await server.restart(['--replicaof', server.host, port])
    } else {
      server.thaw()
      await master.admin.call('REPLICAOF', server.host, port)
      await master.admin.call('CLIENT', 'KILL', 'TYPE', 'normal')
      await master.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    }
    [master, replica] = [replica, master]
  }

  return {
    halves,
    get master () { return master },
    sentinels: [...set.sentinels],
    name: set.name,
    failOver,
    stop: async () => {
      for (const client of [...sentinels, ...halves.map(({ admin }) => admin)]) client.disconnect()
      await set.stop()
    }
  }
}
