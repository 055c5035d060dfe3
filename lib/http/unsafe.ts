import { headerOf } from './headers.ts'
import type { HeaderList } from './headers.ts'
import { isError, isSafeMethod } from './method.ts'

export interface UnsafeExchange {
  readonly method: string
  readonly status: number
  /** The absolute URI of the request, scheme and host included, its path and query as sent. */
  readonly url: string
  /** The final fields of the response. */
  readonly headers: HeaderList
}

/**
 * Which URIs an exchange has made untrue (RFC 9111 §4.4): after a 2xx or 3xx to a method that is not known to be safe,
 * the target, as it was sent, and what Location and Content-Location name on the same origin. Another origin's URIs MUST
 * NOT be touched. Absolute URIs, no fragment, each once.
 */
export function invalidatedUris ({ method, status, url, headers }: UnsafeExchange): readonly string[] {
  if (isSafeMethod(method) || isError(status)) return []
  const uris = new Set([url])
  for (const name of ['location', 'content-location']) {
    const reference = headerOf(headers, name)
    const uri = reference === undefined ? undefined : sameOrigin(reference, url)
    if (uri !== undefined) uris.add(uri)
  }
  return [...uris]
}

function sameOrigin (reference: string, url: string): string | undefined {
  if (!URL.canParse(reference, url)) return undefined
  const uri = new URL(reference, url)
  if (uri.origin !== new URL(url).origin) return undefined
  uri.hash = uri.username = uri.password = ''
  return uri.href
}
