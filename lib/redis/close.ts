import type { Clock, Milliseconds } from '../clock.ts'
import { deadline } from '../resilience/deadline.ts'
import type { AnyRedis } from './source.ts'

/** What is in flight may take this long to finish. */
const QUIT_MS: Milliseconds = 500

/** Closes a client in bounded time, whatever state it and the server are in. Never rejects. */
export async function closeClient (client: AnyRedis, clock: Clock): Promise<void> {
  // Closing is the one moment at which an answer is not worth an error, and the listener may be gone already.
  client.on('error', () => {})
  try {
    if (client.status === 'ready') await deadline(client.quit(), QUIT_MS, clock, () => new Error('QUIT was not answered'))
  } catch {}
  client.disconnect()
}
