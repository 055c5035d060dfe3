import { errors } from '../errors.ts'
import type { CacheEvents } from '../events.ts'
import type { LogState } from '../ports/invalidation-log.ts'
import { keyTo, refusalKind, saysReadOnly, type RefusalKind } from '../redis/permission.ts'

/** What a connection tells of itself. */
export interface SharingClient {
  readonly ready: boolean
  readonly where: string
  /** Why it is not ready. */
  readonly trouble: string
}

export interface SharingParts {
  readonly client: SharingClient
  readonly log: { readonly state: LogState, readonly refusal: string | undefined }
  /** What an administrator has to type where Redis refuses this. */
  readonly cure: (kind: RefusalKind) => string
  readonly onChange: (event: CacheEvents['connection']) => void
  readonly onFault: (error: Error) => void
}

/** Where Redis stops us: at the door, at all that writes, or at what its user may not do. */
type Refused = 'entry' | 'writes' | RefusalKind

const WHERE_IN_SCRIPT = / script: [0-9a-f]{40}, on @user_script:\d+\.?$/

/**
 * Whether this process shares its purges with others. That Redis answers is not enough: the log must have been read up to
 * its end, and Redis must take our purges and let us do all that the log needs. Of what it refuses, each kind is told once,
 * until nothing is refused any more.
 */
export class Sharing {
  readonly #parts: SharingParts
  readonly #told = new Set<Refused>()
  #announced = false

  constructor (parts: SharingParts) {
    this.#parts = parts
  }

  /** The connection or the log has changed. */
  look (): void {
    const { client, log, onChange } = this.#parts
    const { refusal } = log
    const ready = client.ready && refusal === undefined && (this.#announced || log.state === 'current')
    if (ready === this.#announced) return
    this.#announced = ready
    if (ready) this.#told.delete('entry')
    onChange({ ready, where: client.where, trouble: client.ready ? refusal ?? client.trouble : client.trouble })
  }

  /** Redis has refused something. */
  refused (why: string): void {
    const what = why.replace(WHERE_IN_SCRIPT, '')
    const kind = keyTo(what) !== undefined ? 'entry' : saysReadOnly(what) ? 'writes' : refusalKind(what)
    if (!this.#told.has(kind)) {
      this.#told.add(kind)
      this.#parts.onFault(this.#faultOf(kind, what))
    }
    this.look()
  }

  #faultOf (kind: Refused, what: string): Error {
    const { client: { where }, cure } = this.#parts
    if (kind === 'entry') return new errors.FST_ERR_CACHE_REDIS_LOCKED(where, what, keyTo(what) ?? '')
    if (kind === 'writes') return new errors.FST_ERR_CACHE_REDIS_READ_ONLY(where, what)
    return new errors.FST_ERR_CACHE_REDIS_PERMISSION(where, what, cure(kind))
  }

  /** The log lacks nothing any more. */
  allowed (): void {
    this.#told.clear()
    this.look()
  }
}
