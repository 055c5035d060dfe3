import { Redis } from 'ioredis'

import { isInStep, startRedis, type TestRedis } from './redis-server.ts'
import { until } from './until.ts'

const MEET_AGAIN_MS = 5000

export interface TestCluster {
  readonly masters: readonly TestRedis[]
  /** In the order of their masters. */
  readonly replicas: readonly TestRedis[]
  readonly nodes: ReadonlyArray<{ readonly host: string, readonly port: number }>
  readonly stop: () => Promise<void>
}

/** Three masters without replicas; with `replicas`, one replica each. Formed in two to three seconds. */
export async function startCluster ({ replicas = false } = {}): Promise<TestCluster> {
  const servers = await Promise.all(Array.from({ length: replicas ? 6 : 3 }, async () => await startRedis(['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000', '--cluster-require-full-coverage', 'no'])))
  const clients = servers.map(({ port }) => new Redis(port, '127.0.0.1'))
  const slots = [[0, 5460], [5461, 10922], [10923, 16383]]
  await Promise.all(clients.slice(0, 3).map(async (client, index) => {
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    await client.call('CLUSTER', 'ADDSLOTSRANGE', ...slots[index] ?? [])
  }))
  let metAtMs = Number.NEGATIVE_INFINITY
  await until('the nodes know each other', async () => {
    // Nodes forget whom they have met when they do not hear from them within their timeout.
    if (performance.now() > metAtMs + MEET_AGAIN_MS) {
      metAtMs = performance.now()
      await Promise.all(clients.slice(1).map(async (client) => await client.call('CLUSTER', 'MEET', '127.0.0.1', servers[0]?.port ?? 0)))
    }
    const infos = await Promise.all(clients.map(async (client) => String(await client.cluster('INFO'))))
    return infos.every((info) => info.includes('cluster_state:ok') && info.includes('cluster_slots_assigned:16384') && info.includes(`cluster_known_nodes:${servers.length}`))
  }, 20)
  if (replicas) {
    const ids = await Promise.all(clients.slice(0, 3).map(async (client) => String(await client.call('CLUSTER', 'MYID'))))
    await Promise.all(clients.slice(3).map(async (client, index) => {
      await client.call('CLUSTER', 'REPLICATE', ids[index] ?? '')
      await isInStep(servers[3 + index] as TestRedis)
    }))
  }
  for (const client of clients) client.disconnect()
  return {
    masters: servers.slice(0, 3),
    replicas: servers.slice(3),
    nodes: servers.map(({ host, port }) => ({ host, port })),
    stop: async () => { await Promise.all(servers.map(async (server) => { await server.stop() })) }
  }
}
