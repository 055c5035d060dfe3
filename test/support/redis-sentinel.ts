import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Redis } from 'ioredis'

import { freePort, isInStep, launch, startRedis, type TestRedis } from './redis-server.ts'
import { until } from './until.ts'

/** Until all of them are up. */
const PATIENCE_MS = 60_000

export interface TestSentinels {
  readonly master: TestRedis
  readonly replica: TestRedis
  readonly name: 'mymaster'
  readonly sentinels: ReadonlyArray<{ readonly host: string, readonly port: number }>
  readonly stop: () => Promise<void>
}

/** A master, its replica and three sentinels that notice within a second, or do as they are told. */
export async function startSentinels ({ downAfterMs = 1000 } = {}): Promise<TestSentinels> {
  const master = await startRedis()
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)])
  await isInStep(replica)
  const dir = await mkdtemp(join(tmpdir(), 'response-cache-sentinel-'))
  const running = await Promise.all([0, 1, 2].map(async (index) => {
    const port = await freePort()
    const file = join(dir, `${index}.conf`)
    await writeFile(file, [
      `port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, `sentinel monitor mymaster 127.0.0.1 ${master.port} 2`,
      `sentinel down-after-milliseconds mymaster ${PATIENCE_MS}`, 'sentinel failover-timeout mymaster 3000', ''
    ].join('\n'))
    return { host: '127.0.0.1', port, ...await launch([file, '--sentinel']) }
  }))
  const clients = running.map(({ port }) => new Redis(port, '127.0.0.1'))
  await until('the sentinels know each other and the replica', async () => {
    const known = await Promise.all(clients.map(async (client) => String(await client.call('SENTINEL', 'MASTER', 'mymaster').catch(() => ''))))
    return known.every((text) => /num-slaves,1\b/.test(text) && /num-other-sentinels,2\b/.test(text))
  })
  // On a machine that is busy they would make the replica the master before anybody has asked for that.
  await Promise.all(clients.map(async (client) => await client.call('SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', downAfterMs)))
  for (const client of clients) client.disconnect()
  return {
    master,
    replica,
    name: 'mymaster',
    sentinels: running.map(({ host, port }) => ({ host, port })),
    stop: async () => {
      for (const { child } of running) child.kill('SIGKILL')
      await Promise.all(running.map(async ({ exited }) => { await exited }))
      await Promise.all([master.stop(), replica.stop()])
      await rm(dir, { recursive: true, force: true })
    }
  }
}
