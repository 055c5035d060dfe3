import { errors, shown } from '../errors.ts'
import type { CacheEvents, CacheListener } from '../events.ts'
import { isCleanTarget, validHost } from '../keyspace/request-key.ts'
import { checkKey, RESPONSE_KEY_PREFIX } from '../keyspace/name.ts'
import type { TextStorage } from '../ports/text-storage.ts'
import { refuseUnknown } from '../unknown-option.ts'
import { checkHost, type CacheHost } from './host.ts'
import { HotNames } from './hot-names.ts'
import type { WarmingTarget } from './warming-routes.ts'

export interface HotListOptions {
  /** Where the list is kept over a restart. @default nowhere */
  storage?: TextStorage
  /** How many keys, and how many paths, are remembered; at most 1000. @default 500 */
  limit?: number
}

/** What was asked for most, hottest first. */
export interface HotTop { readonly keys: string[], readonly targets: WarmingTarget[] }

const KNOWN: ReadonlySet<string> = new Set<keyof HotListOptions>(['storage', 'limit'])
const MAX_LIMIT = 1000
const FORMAT = 1
/** After so many lookups the counts are halved. */
const LOOKUPS_PER_AGE = 100_000
/** The key of a response that depends on nothing but its URL, or of a variant of one. */
const PLAIN_RESPONSE = /^response:(https?):\/\/([^/\n]+)(\/[^\n#]*)(?:#|$)/

/**
 * Remembers what is asked for most, from the `lookup` events of the cache, for `CacheWarmingService.warmLearned`. The
 * responses of single users, which depend on a cookie, a header or a partition, are left out.
 */
export class HotList {
  readonly #host: CacheHost
  readonly #storage: TextStorage | undefined
  readonly #keys: HotNames
  readonly #paths: HotNames
  readonly #listener: CacheListener<'lookup'>
  #lookups = 0

  /** @throws FST_ERR_CACHE_OPTION, FST_ERR_CACHE_OPTION_UNKNOWN */
  constructor (manager: CacheHost, options: HotListOptions = {}) {
    refuseUnknown(options, KNOWN)
    const { storage, limit = 500 } = options
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_LIMIT) throw new errors.FST_ERR_CACHE_OPTION('limit', shown(limit), `a whole number from 1 to ${MAX_LIMIT}`)
    this.#host = checkHost(manager)
    this.#storage = storage
    this.#keys = new HotNames(limit)
    this.#paths = new HotNames(limit)
    this.#listener = (event) => { this.#note(event) }
    manager.parts.events.on('lookup', this.#listener)
  }

  top (): HotTop {
    return {
      keys: this.#keys.top().map(([key]) => key),
      targets: this.#paths.top().flatMap(([name]) => targetOf(name) ?? [])
    }
  }

  /** Writes the list to its storage. A storage that fails is told as a `fault`. */
  async save (): Promise<boolean> {
    return await this.#try('saving the hot list', async () => {
      await this.#storage?.write(JSON.stringify({ format: FORMAT, names: [...this.#paths.top(), ...this.#keys.top()] }))
    })
  }

  /** Adds what the storage holds. Whatever it is, nothing in it is trusted beyond being a name. */
  async load (): Promise<boolean> {
    return await this.#try('loading the hot list', async () => {
      // It may lie in this very cache.
      const text = await this.#host.parts.warming.during({ request: undefined }, async () => await this.#storage?.read())
      if (text === undefined) return
      for (const [name, count] of namesIn(text)) this.#add(name, count)
    })
  }

  /** Remembers no more. */
  close (): void {
    this.#host.parts.events.off('lookup', this.#listener)
  }

  #note ({ key, result }: CacheEvents['lookup']): void {
    if (result === 'bypass') return
    if (++this.#lookups % LOOKUPS_PER_AGE === 0) {
      this.#keys.age()
      this.#paths.age()
    }
    this.#add(key, 1)
  }

  #add (name: string, count: number): void {
    if (!name.startsWith(RESPONSE_KEY_PREFIX)) this.#keys.add(name, count)
    else if (targetOf(name) !== undefined) this.#paths.add(withoutVariant(name), count)
  }

  async #try (where: string, task: () => Promise<void>): Promise<boolean> {
    try {
      await task()
      return true
    } catch (error) {
      this.#host.parts.events.emit('fault', { where, error })
      return false
    }
  }
}

function withoutVariant (name: string): string {
  const variant = name.indexOf('#')
  return variant === -1 ? name : name.slice(0, variant)
}

function targetOf (name: string): WarmingTarget | undefined {
  const [, scheme, host = '', path = ''] = PLAIN_RESPONSE.exec(name) ?? []
  return scheme !== undefined && isCleanTarget(path) && validHost(host) !== undefined ? { path, host, encrypted: scheme === 'https' } : undefined
}

function namesIn (text: string): Array<readonly [name: string, count: number]> {
  const content: unknown = JSON.parse(text)
  const { format, names } = (typeof content === 'object' && content !== null ? content : {}) as { format?: unknown, names?: unknown }
  if (format !== FORMAT || !Array.isArray(names)) return []
  return names.slice(0, 2 * MAX_LIMIT).flatMap((item: unknown) => {
    if (!Array.isArray(item) || typeof item[1] !== 'number' || !(item[1] > 0 && item[1] < Number.MAX_SAFE_INTEGER)) return []
    try {
      return [[checkKey(item[0]), item[1]] as const]
    } catch {
      return []
    }
  })
}
