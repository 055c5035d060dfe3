import { parseCacheControl } from './cache-control.ts'
import { parseEntityTag } from './etag.ts'
import { headerOf, linesOf } from './headers.ts'
import { remembered } from './remembered.ts'
import type { EncodedBody, StoredResponse } from './response.ts'
import { weightedList } from './weighted-list.ts'

const accepted = remembered(weightedList)

/**
 * The content coding to send of those at hand (RFC 9110 §12.5.3), in the server's order of preference where the client
 * has none. `identity` when nothing else will do: also where the client refuses it, since some answer beats a 406.
 */
export function chooseEncoding (acceptEncoding: string | undefined, available: readonly string[]): string {
  const wanted = acceptEncoding === undefined ? undefined : accepted(acceptEncoding)
  if (wanted === undefined) return 'identity'
  const qualityOf = (coding: string): number | undefined => wanted.find(({ value }) => value === coding)?.quality
  const others = qualityOf('*') ?? 0
  let best = 'identity'
  // Unlisted, identity is acceptable but wanted by nobody (§12.5.3 item 2).
  let bestQuality = qualityOf('identity') ?? 0
  for (const coding of available) {
    const quality = qualityOf(coding) ?? others
    if (quality > bestQuality || (quality > 0 && quality === bestQuality && best === 'identity')) {
      best = coding
      bestQuality = quality
    }
  }
  return best
}

/** Smaller bodies fit into one packet as they are. */
const MIN_BYTES = 1024

const COMPRESSIBLE = /^(?:text\/(?!event-stream)|image\/(?:svg\+xml|bmp)|font\/(?:ttf|otf)|application\/(?:[\w.+-]*\+)?(?:json|xml|javascript|wasm|text)(?:$|[;\s]))/i

/** Digests of the coded bytes (RFC 9530 §2, §3), and the older field of the same kind: they would become untrue. */
const DIGESTS = ['content-digest', 'repr-digest', 'digest', 'content-md5']

/**
 * Whether a body is worth compressing and may be: not if it is a part, or coded already, not if the handler forbids it
 * (`no-transform`, RFC 9111 §5.2.2.6), and not if a digest of it stands in the headers.
 */
export function isEncodable ({ status, headers, body }: StoredResponse): boolean {
  return status !== 206 && body.length >= MIN_BYTES &&
    COMPRESSIBLE.test(headerOf(headers, 'content-type') ?? '') &&
    headerOf(headers, 'content-encoding') === undefined &&
    !DIGESTS.some((name) => headerOf(headers, name) !== undefined) &&
    !parseCacheControl(linesOf(headers, 'cache-control')).has('no-transform')
}

/** The representation of a stored response that a client gets for its Accept-Encoding. */
export function chosenRepresentation (response: StoredResponse, acceptEncoding: string | undefined): StoredResponse {
  const { encoded = [] } = response
  const coding = chooseEncoding(acceptEncoding, encoded.map((each) => each.coding))
  const body = encoded.find((each) => each.coding === coding)
  return body === undefined ? response : inCoding(response, body)
}

/** All representations of a stored response, the one as it was stored first. */
export function representations (response: StoredResponse): readonly StoredResponse[] {
  return [response, ...(response.encoded ?? []).map((each) => inCoding(response, each))]
}

/** What is true of the body as it was stored only: a part of the coded bytes is no use, and is not given away. */
const OF_IDENTITY: ReadonlySet<string> = new Set(['accept-ranges', 'content-length'])

function inCoding ({ status, headers }: StoredResponse, { coding, body }: EncodedBody): StoredResponse {
  const own = headers.filter(([name]) => !OF_IDENTITY.has(name)).map(([name, value]) => name === 'etag' ? [name, tagInCoding(String(value), coding)] as const : [name, value] as const)
  return { status, headers: [...own, ['content-encoding', coding]], body }
}

/**
 * The entity-tag of the same body in a coding: another one, so that no cache takes the one for the other (RFC 9110
 * §8.8.3.3), and weak, since another release of the compressor may make other bytes of the same body.
 */
export function tagInCoding (etag: string, coding: string): string {
  const tag = parseEntityTag(etag)
  return tag === undefined ? etag : `W/"${tag.opaque}-${coding}"`
}
