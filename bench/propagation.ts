/*
 * How long until a purge in one process holds in another? Two processes and a redis-server on loopback; the log, and
 * beside it Pub/Sub alone, one message for each purge. At 100 and at 10 000 purges a second.
 */
import { fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { systemClock } from '../lib/clock.ts'
import { createRedisLog } from '../lib/invalidation/redis-log.ts'
import type { RedisSubscriberEvents } from '../lib/ports/redis-client.ts'
import { openRedis } from '../lib/redis/open.ts'
import { startRedis } from '../test/support/redis-server.ts'

const SECONDS = Number(process.env.SECONDS ?? 3)
const RATES = [100, 10_000]
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n)

async function listen (url: string): Promise<void> {
  let delays: number[] = []
  const note = (text: string): void => {
    const arrivedUs = nowUs()
    for (const [, sentUs] of text.matchAll(/us(\d+)/g)) delays.push(arrivedUs - Number(sentUs))
  }
  const client = openRedis({ url })
  await client.opened({ withinMs: 5000 })
  const subscriber = client.subscriber()
  // The log first, then the stop-watch: what is measured is a purge that holds.
  const watched = {
    ...subscriber,
    start: (channels: readonly string[], events: RedisSubscriberEvents) => {
      subscriber.start(channels, {
        ...events,
        message: (channel, message) => {
          events.message(channel, message)
          note(message.toString())
        }
      })
    },
    reconnect: () => { subscriber.reconnect() },
    close: async () => { await subscriber.close() }
  }
  client.subscriber = () => watched
  const log = createRedisLog({ client, clock: systemClock, prefix: 'bench:' })
  const plain = new Redis(url)
  await plain.subscribe('plain')
  plain.on('message', (_channel, message) => { note(message) })
  while (log.state !== 'current') await sleep(5)
  process.on('message', (question) => {
    if (question !== 'delays') process.exit(0)
    process.send?.(delays.sort((a, b) => a - b))
    delays = []
  })
  process.send?.('ready')
}

async function atRate (rate: number, send: (key: string) => void): Promise<void> {
  const startMs = performance.now()
  let sent = 0
  while (performance.now() - startMs < SECONDS * 1000) {
    for (const due = Math.floor((performance.now() - startMs) * rate / 1000); sent < due; sent++) send(`us${nowUs()}`)
    await new Promise((resolve) => rate > 1000 ? setImmediate(resolve) : setTimeout(resolve, 1))
  }
  await sleep(300)
}

async function measure (): Promise<void> {
  const server = await startRedis()
  const child = fork(new URL(import.meta.url), ['listen', server.url])
  const heard = async (): Promise<unknown> => await new Promise((resolve) => child.once('message', resolve))
  await heard()
  const client = openRedis({ url: server.url })
  await client.opened({ withinMs: 5000 })
  const log = createRedisLog({ client, clock: systemClock, prefix: 'bench:' })
  while (log.state !== 'current') await sleep(5)
  const plain = new Redis(server.port)
  const ways: Record<string, (key: string) => void> = {
    'Pub/Sub alone': (key) => { plain.publish('plain', key).catch(() => {}) },
    'log + news': (key) => { Promise.resolve(log.append({ keys: [key] })).catch(() => {}) }
  }
  for (const send of Object.values(ways)) await atRate(1000, send)
  child.send('delays')
  await heard()
  console.log('µs until a purge holds in another process')
  for (const rate of RATES) {
    const p99s: number[] = []
    for (const [name, send] of Object.entries(ways)) {
      await atRate(rate, send)
      child.send('delays')
      const delays = await heard() as number[]
      const at = (part: number): number => delays[Math.floor(delays.length * part)] ?? NaN
      p99s.push(at(0.99))
      console.log(`${String(rate).padStart(6)}/s  ${name.padEnd(14)} p50 ${at(0.5)}  p99 ${at(0.99)}  largest ${at(0.9999)}  arrived ${delays.length}`)
    }
    console.log(`${String(rate).padStart(6)}/s  p99, log to Pub/Sub alone: ${((p99s[1] ?? NaN) / (p99s[0] ?? NaN)).toFixed(2)}`)
  }
  const { sent, applied } = log.health()
  console.log(`records sent ${sent}, applied ${applied}`)
  child.send('end')
  plain.disconnect()
  await log.close()
  await client.close()
  await server.stop()
}

if (process.argv[2] === 'listen') await listen(process.argv[3] ?? '')
else await measure()
