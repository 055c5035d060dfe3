import type { FastifyRequest } from 'fastify'

/** Targets whose keys are remembered for one route; a popular route has fewer, an attacker finds no more. */
const MAX_TARGETS = 500
/** Longer ones are not worth the memory, and popular ones are short. */
const MAX_TARGET_LENGTH = 512

interface Known { readonly protocol: string, readonly host: string, readonly key: string }

/**
 * The keys of requests that have come before, for a route whose keys are made of scheme, host and target alone. What was
 * once found clean need not be looked at again; and the store finds a text whose hash is known faster than one that is put together anew.
 */
export class KnownKeys {
  readonly #byTarget = new Map<string, Known>()

  of (protocol: string, host: string, target: string): string | undefined {
    const known = this.#byTarget.get(target)
    return known !== undefined && known.host === host && known.protocol === protocol ? known.key : undefined
  }

  /** What was found in the store may well be asked for again; of what was not, there is no end. */
  note ({ protocol, host, raw: { url: target = '' } }: FastifyRequest, key: string): void {
    if (target.length > MAX_TARGET_LENGTH) return
    if (this.#byTarget.size >= MAX_TARGETS) this.#byTarget.clear()
    this.#byTarget.set(target, { protocol, host, key })
  }
}
