import { randomBytes } from 'node:crypto'

import type { Clock, Milliseconds } from '../clock.ts'
import { errors } from '../errors.ts'
import { createRedisKeys } from '../keyspace/redis-key.ts'
import type { Lease, LeaseAnswer, Leases, LeaseWait } from '../ports/leases.ts'
import type { RedisClient } from '../ports/redis-client.ts'
import { isRefusal } from '../redis/permission.ts'

export interface RedisLeasesOptions {
  readonly client: RedisClient
  readonly clock: Clock
  /** That of the entries. */
  readonly prefix: string
  /** How long a lease outlives its holder. @default 3000 */
  readonly leaseMs?: Milliseconds
  /** Longest pause between two looks of one that waits. @default 50 */
  readonly pollMs?: Milliseconds
}

/** KEYS: the lease. ARGV: token. */
const RELEASE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
`

/** KEYS: the lease. ARGV: token, time to live in milliseconds. */
const PROLONG = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`

/** The first look comes soon, because most loads are short. */
const FIRST_POLL_MS = 5

/** A lease that may be taken and not given back holds up everybody until it runs out, so none is taken for so long. */
const REFUSED_PAUSE_MS = 60_000

export function createRedisLeases ({ client, clock, prefix, leaseMs = 3000, pollMs = 50 }: RedisLeasesOptions): Leases {
  const keys = createRedisKeys(prefix)
  const holder = randomBytes(9).toString('base64url')
  const held = new Map<string, () => Promise<void>>()
  /** The names of leases, by token, that were to be given back while nothing could be sent. */
  const owed = new Map<string, string>()
  let refusedUntilMs = 0
  let number = 0
  let closed = false

  const available = (): boolean => !closed && client.ready && clock.now() >= refusedUntilMs
  const noteRefusal = (error: unknown): void => { if (isRefusal(error)) refusedUntilMs = clock.now() + REFUSED_PAUSE_MS }

  const pause = async (ms: Milliseconds): Promise<void> => { await new Promise<void>((resolve) => { clock.after(ms, resolve, { keepAlive: true }) }) }

  /** What is sent comes after the SET on the same connection, however late both are; what cannot be sent waits until Redis is back. Never rejects. */
  const giveBack = async (name: string, token: string): Promise<void> => {
    if (client.ready) {
      const done = await client.script(RELEASE, [name], [token]).then(() => true, (error: unknown) => {
        noteRefusal(error)
        return false
      })
      if (done) return
    }
    if (!client.ready && !closed) owed.set(token, name)
  }
  const stopListening = client.onChange((ready) => {
    if (!ready) return
    const due = [...owed]
    owed.clear()
    for (const [token, name] of due) void giveBack(name, token)
  })

  const holding = (name: string, token: string): Lease => {
    let over = false
    const end = (): void => {
      over = true
      held.delete(token)
    }
    const prolong = (): void => {
      if (over) return
      client.script(PROLONG, [name], [token, leaseMs]).then((reply) => {
        // Stored, purged or run out: whoever holds it now, it is not us.
        if (Number(reply) === 0) end()
        else later()
      }, (error: unknown) => {
        noteRefusal(error)
        later()
      })
    }
    const later = (): void => { if (!over) clock.after(leaseMs / 3, prolong) }
    const release = async (): Promise<void> => {
      if (over) return
      end()
      await giveBack(name, token)
    }
    held.set(token, release)
    later()
    return { token, release }
  }

  return {
    get available () { return available() },

    async acquire (key): Promise<LeaseAnswer> {
      if (!available()) return 'unavailable'
      const name = keys.lease(key)
      const token = `${holder}.${++number}`
      try {
        const reply = await client.call(['SET', name, token, 'PX', leaseMs, 'NX'])
        return reply === 'OK' ? holding(name, token) : 'busy'
      } catch (error) {
        noteRefusal(error)
        // Without an answer it may still be taken: a server that was only asleep goes on with what it was sent, and the
        // others would wait for a load that has long been over.
        if (error instanceof errors.FST_ERR_CACHE_REDIS_UNAVAILABLE) void giveBack(name, token)
        return 'unavailable'
      }
    },

    async wait (key, withinMs): Promise<LeaseWait> {
      const name = keys.lease(key)
      const untilMs = clock.now() + withinMs
      for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(pauseMs * 2, pollMs)) {
        const leftMs = untilMs - clock.now()
        if (leftMs <= 0) return 'late'
        await pause(Math.min(pauseMs, leftMs))
        if (!available()) return 'unavailable'
        try {
          if (Number(await client.call(['EXISTS', name])) === 0) return 'free'
        } catch (error) {
          noteRefusal(error)
          return 'unavailable'
        }
      }
    },

    async close () {
      closed = true
      stopListening()
      await Promise.all([...held.values()].map(async (release) => { await release() }))
    }
  }
}
