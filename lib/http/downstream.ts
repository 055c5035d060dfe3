import type { Seconds } from '../clock.ts'

export interface DownstreamInput {
  /** The Cache-Control that the handler, or a hook, has set; or Expires, which says it too. */
  readonly handlerSaid: string | undefined
  /** How long a browser or CDN may keep the answer without asking. @default 0 */
  readonly clientTtlSeconds?: Seconds
  /** The key contains whom the response is for. */
  readonly partitioned: boolean
}

/**
 * The Cache-Control that a cached route sends; `undefined`: leave the field as the handler has set it.
 *
 * | handler says | route             | everybody's response | one partition's       |
 * |--------------|-------------------|----------------------|-----------------------|
 * | anything     |                   | what the handler says| what the handler says |
 * | nothing      |                   | `public, no-cache`   | `private, no-cache`   |
 * | nothing      | `clientTtl: N`    | `public, max-age=N`  | `private, max-age=N`  |
 *
 * A purge cannot reach a browser, so by default it is to ask each time; with the ETag that every stored response has,
 * the answer is a 304 (RFC 9111 §4.3).
 */
export function downstreamCacheControl ({ handlerSaid, clientTtlSeconds = 0, partitioned }: DownstreamInput): string | undefined {
  if (handlerSaid !== undefined) return undefined
  const audience = partitioned ? 'private' : 'public'
  return clientTtlSeconds > 0 ? `${audience}, max-age=${Math.floor(clientTtlSeconds)}` : `${audience}, no-cache`
}
