import { surrogateKey } from '../http/surrogate-keys.ts'
import { RESPONSE_KEY_PREFIX } from '../keyspace/name.ts'
import type { PurgeRecord } from '../ports/invalidation-log.ts'
import type { HandedPurge } from './cdn-options.ts'

/** More names than this at once are a purge of everything. */
const MAX_NAMES = 10_000

/** Purges gathered for one call to the CDN. */
export class HandedPurges {
  readonly #tags = new Set<string>()
  readonly #paths = new Set<string>()
  readonly #patterns = new Set<string>()
  #everything = false
  /** Of a soft and a hard one together comes a hard one: it does whatever the soft one does. */
  #soft = true

  get isEmpty (): boolean {
    return !this.#everything && this.#tags.size + this.#paths.size + this.#patterns.size === 0
  }

  add ({ keys = [], marks = [], markPrefixes = [], patterns = [], everything = false, soft = false }: PurgeRecord): void {
    // By the key of a response, and nothing else, no CDN knows anything.
    if (!everything && marks.length + markPrefixes.length + patterns.length === 0 && keys.every((key) => key.startsWith(RESPONSE_KEY_PREFIX))) return
    for (const key of keys) this.#tags.add(surrogateKey(key))
    for (const mark of marks) {
      const path = pathOfMark(mark)
      if (mark.startsWith('t:')) this.#tags.add(surrogateKey(mark.slice(2)))
      else if (path !== undefined) this.#paths.add(path)
    }
    for (const prefix of markPrefixes) this.#paths.add(`${pathOfMark(prefix) ?? '/'}*`)
    for (const pattern of patterns) this.#patterns.add(pattern)
    if (everything || this.#tags.size + this.#paths.size + this.#patterns.size > MAX_NAMES) this.#takeEverything()
    if (!soft) this.#soft = false
  }

  toPurge (): HandedPurge {
    return { tags: [...this.#tags], paths: [...this.#paths], patterns: [...this.#patterns], everything: this.#everything, soft: this.#soft }
  }

  #takeEverything (): void {
    this.#everything = true
    for (const names of [this.#tags, this.#paths, this.#patterns]) names.clear()
  }
}

/** The path in `p:<path>` and in `u:<scheme>//<host><path>`; the CDN knows its hosts itself. */
function pathOfMark (mark: string): string | undefined {
  if (mark.startsWith('p:')) return mark.slice(2)
  return /^u:[a-z]+\/\/[^/]*(\/.*)$/s.exec(mark)?.[1]
}
