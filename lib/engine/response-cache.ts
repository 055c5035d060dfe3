import type { EpochMs, Milliseconds } from '../clock.ts'
import type { Entry } from '../entry.ts'
import { staleUntilMs } from '../entry.ts'
import type { RequestHeaders } from '../http/headers.ts'
import type { StoredResponse } from '../http/response.ts'
import { varyKey, type VaryKeyOptions } from '../http/vary.ts'
import { keyMark, type Mark } from '../keyspace/mark.ts'
import { variantKey } from '../keyspace/request-key.ts'
import { chain, isPromise, type MaybePromise } from '../maybe-promise.ts'
import { refused, type WriteVerdict } from '../ports/base-cache.ts'
import type { Ticket } from '../ports/invalidation-log.ts'
import { within } from '../resilience/within.ts'
import type { EngineParts } from './parts.ts'
import { SharedPairs } from './shared-pairs.ts'

/** What of a request chooses among variants. */
interface AskingRequest { readonly headers: RequestHeaders, readonly raw: { readonly rawHeaders: readonly string[] } }

/** Under the key of a URL that has variants: on which request fields they depend, and which there are. */
export interface Variants { readonly names: readonly string[], readonly keys: readonly string[] }

/** Where the response to a request is, or would be. */
export class Found {
  readonly key: string
  readonly entry: Entry<StoredResponse> | undefined
  /** There are variants of this URL, but none for this request. */
  readonly varyMiss: boolean

  constructor (key: string, entry: Entry<StoredResponse> | undefined, varyMiss: boolean) {
    this.key = key
    this.entry = entry
    this.varyMiss = varyMiss
  }
}

/** A response to keep. */
export interface Keep {
  readonly key: string
  readonly request: AskingRequest
  readonly response: StoredResponse
  /** How old it was when it came. */
  readonly initialAgeMs: Milliseconds
  readonly vary: readonly string[]
  readonly ticket: Ticket
  readonly marks: readonly Mark[]
  /** What is left of its freshness, and how long it is of use after that. */
  readonly freshForMs: Milliseconds
  readonly staleWhileRevalidateMs: Milliseconds
  readonly staleIfErrorMs: Milliseconds
  /** How long it is kept beyond its freshness so that the handler can validate it. @default 0 */
  readonly keptForMs?: Milliseconds
  readonly loadMs: Milliseconds
}

/** Map entry, header pairs and object overhead of a kept response, beside its body. */
const OVERHEAD_BYTES = 200

type ReadEntry = (key: string) => MaybePromise<Entry | undefined>

/** What a shared store holds under the key of a response need not be one. */
const responseIn = (entry: Entry | undefined): Entry<StoredResponse> | undefined => entry?.kind === 'response' ? entry as Entry<StoredResponse> : undefined

export interface ResponseCacheOptions extends VaryKeyOptions {
  /** Variants stored for one URL. */
  readonly maxVariants: number
}

/** HTTP responses in a store: the URL's own entry, or its list of variants and one entry for each. */
export class ResponseCache {
  readonly #parts: EngineParts
  readonly #options: ResponseCacheOptions
  readonly #pairs = new SharedPairs()

  constructor (parts: EngineParts, options: ResponseCacheOptions) {
    this.#parts = parts
    this.#options = options
  }

  /**
   * The stored response for a request, fresh or stale; at once when the store is in this process. A list of variants that
   * had to come from Redis leaves the variant what remains of the caller's patience.
   */
  find (key: string, request: AskingRequest): MaybePromise<Found> {
    const counted = this.#parts.warming.current === undefined
    return this.#find(key, request, (name) => this.#parts.store.read(name, counted))
  }

  /** The same for another look in the course of one lookup, and for one that nobody has asked for: tiers do not count it. */
  lookAgain (key: string, request: AskingRequest): MaybePromise<Found> {
    return this.#find(key, request, (name) => this.#parts.store.read(name, false))
  }

  /** What the fleet has by now, past the copies of this process. */
  findShared (key: string, request: AskingRequest): MaybePromise<Found> {
    return this.#find(key, request, (name) => this.#parts.store.readShared(name))
  }

  #find (key: string, request: AskingRequest, readIn: ReadEntry): MaybePromise<Found> {
    const { clock, patienceMs } = this.#parts
    const read = readIn(key)
    if (!isPromise(read)) return this.#foundIn(key, read, request, readIn)
    const untilMs = clock.now() + patienceMs
    return read.then((entry) => this.#foundIn(key, entry, request, readIn, untilMs))
  }

  #foundIn (key: string, entry: Entry | undefined, request: AskingRequest, readIn: ReadEntry, untilMs?: EpochMs): MaybePromise<Found> {
    if (entry?.kind !== 'variants') return new Found(key, responseIn(entry), false)
    const { clock } = this.#parts
    const variant = variantKey(key, this.#varyKey((entry.value as Variants).names, request))
    const read = readIn(variant)
    return chain(untilMs !== undefined && isPromise(read) ? within(read, untilMs, clock, undefined) : read, (found) => {
      const stored = responseIn(found)
      return new Found(variant, stored, stored === undefined)
    })
  }

  /** Keeps a response, under its URL or as a variant of it. */
  keep (keep: Keep): MaybePromise<WriteVerdict> {
    const { store, clock } = this.#parts
    // What a nearer tier does not know of other variants can cost one of them, but no time.
    return chain((store.near ?? store).read(keep.key, false), (held) => {
      const known = held?.kind === 'variants' ? held.value as Variants : undefined
      const entry = this.#entryOf(keep, clock.now())
      if (known === undefined && keep.vary.length === 0) return store.write(keep.key, entry, keep.ticket)
      return this.#keepVariant(keep, entry, known, held)
    })
  }

  #keepVariant (keep: Keep, entry: Entry<StoredResponse>, known: Variants | undefined, held: Entry | undefined): MaybePromise<WriteVerdict> {
    const { store } = this.#parts
    // Every variant is told apart by all the fields that any of them varies on.
    const names = [...new Set([...known?.names ?? [], ...keep.vary])].sort()
    const key = variantKey(keep.key, this.#varyKey(names, keep.request))
    const keys = known?.names.length === names.length ? known.keys.filter((other) => other !== key) : []
    const dropped = keys.splice(0, Math.max(0, keys.length + 1 - this.#options.maxVariants))
    if (dropped.length > 0) void store.remove(dropped)
    keys.push(key)
    const lastMs = Math.max(staleUntilMs(entry), held === undefined ? 0 : staleUntilMs(held))
    const list: Entry<Variants> = {
      ...entry,
      kind: 'variants',
      value: { names, keys },
      // Never fresh, so that a soft purge, which ends freshness, shortens the life of the variants but not of the list.
      freshUntilMs: entry.storedAtMs,
      staleWhileRevalidateUntilMs: entry.storedAtMs,
      staleIfErrorUntilMs: lastMs,
      // A purge by tag may take one variant and leave the others; only a purge of the URL takes the list.
      marks: entry.marks.filter((mark) => mark.startsWith('p:') || mark.startsWith('u:')),
      bytes: OVERHEAD_BYTES + 32 * keys.length
    }
    // A purge of the URL's key must take the variants too, or they would come back with the next list.
    const variant: Entry<StoredResponse> = { ...entry, marks: [...entry.marks, keyMark(keep.key)] }
    // A lease on the URL, whose variants were not known, is given back with the list: once the variant is there to be found.
    return chain(store.writeMany([[key, variant, keep.ticket], [keep.key, list, keep.ticket]]), ([first = refused('unavailable'), second = first]) => first.stored ? second : first)
  }

  #varyKey (names: readonly string[], { headers, raw }: AskingRequest): string {
    return varyKey(names, headers, this.#options, raw.rawHeaders)
  }

  #entryOf (keep: Keep, nowMs: EpochMs): Entry<StoredResponse> {
    // Its birth, so that its age is the time since then, in every process.
    const storedAtMs = nowMs - keep.initialAgeMs
    // What may not be used now never could: for another instance, whose clock is a little behind, now is still to come.
    const usableFor = (ms: Milliseconds): EpochMs => ms > 0 ? nowMs + ms : storedAtMs
    let bytes = OVERHEAD_BYTES + keep.response.body.length
    for (const [name, value] of keep.response.headers) bytes += 64 + 2 * (name.length + value.length)
    for (const { body } of keep.response.encoded ?? []) bytes += OVERHEAD_BYTES + body.length
    return {
      kind: 'response',
      value: { ...keep.response, headers: this.#pairs.share(keep.response.headers) },
      storedAtMs,
      freshUntilMs: usableFor(keep.freshForMs),
      staleWhileRevalidateUntilMs: usableFor(keep.freshForMs + keep.staleWhileRevalidateMs),
      staleIfErrorUntilMs: usableFor(keep.freshForMs + keep.staleIfErrorMs),
      keptUntilMs: keep.keptForMs !== undefined && keep.keptForMs > 0 ? nowMs + keep.freshForMs + keep.keptForMs : undefined,
      marks: keep.marks,
      asOf: keep.ticket.asOf,
      bytes,
      loadMs: keep.loadMs
    }
  }
}
