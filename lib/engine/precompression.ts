import { encodeBody, type ContentCoding } from '../codec/content-coding.ts'
import { isEncodable } from '../http/encoding.ts'
import type { EncodedBody, StoredResponse } from '../http/response.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import type { WriteVerdict } from '../ports/base-cache.ts'

/** The thread pool has four threads, and files and names of hosts are looked up there too. */
const MAX_RUNNING = 2
/** Those who come while so many wait are stored as they are. */
const MAX_WAITING = 100

/**
 * Compresses what is going to be stored, once a response and off the request's path: whoever asked for it has it already.
 * It is stored together with its coded bodies, so that memory is accounted for all of them, a purge takes all of them, and
 * other processes get all of them.
 */
export class Precompression {
  readonly #waiting: Array<() => void> = []
  #running = 0

  /** Stores a response by `write`, compressed if it is worth it, and as it came if it fits only so. */
  async keep (response: StoredResponse, codings: readonly ContentCoding[], write: (response: StoredResponse) => MaybePromise<WriteVerdict>): Promise<WriteVerdict> {
    if (!isEncodable(response) || this.#waiting.length >= MAX_WAITING) return await write(response)
    const encoded = await this.#encoded(response.body, codings)
    if (encoded.length === 0) return await write(response)
    const verdict = await write({ ...response, encoded })
    return verdict.stored || verdict.reason !== 'too-large' ? verdict : await write(response)
  }

  /** What became smaller. */
  async #encoded (body: Buffer, codings: readonly ContentCoding[]): Promise<readonly EncodedBody[]> {
    if (this.#running >= MAX_RUNNING) await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
    else this.#running++
    try {
      const all: EncodedBody[] = []
      for (const coding of codings) all.push({ coding, body: await encodeBody(coding, body) })
      return all.filter((each) => each.body.length < body.length)
    } finally {
      // The place goes to whoever waits first, and is free when nobody does.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
