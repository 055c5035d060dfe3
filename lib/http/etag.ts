import { hash } from 'node:crypto'

/** An entity-tag (RFC 9110 §8.8.3). */
export interface EntityTag { readonly weak: boolean, readonly opaque: string }

/**
 * A validator for a body that came without. Weak, because a compressing hook behind the cache may still change the bytes
 * (RFC 9110 §8.8.1).
 */
export function makeEtag (body: Buffer): string {
  return `W/"${body.length.toString(36)}-${hash('sha256', body, 'base64url').slice(0, 27)}"`
}

/** Whether a tag is one that `makeEtag` has made of this body: whoever sent the body has never seen it. */
export function isMadeEtag (etag: string, body: Buffer): boolean {
  return etag.startsWith(`W/"${body.length.toString(36)}-`) && etag === makeEtag(body)
}

const ENTITY_TAG = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/
const NEXT_ENTITY_TAG = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,|$)/y

/** One entity-tag, or `undefined` if the text is none. `W/` has no lower-case spelling. */
export function parseEntityTag (text: string): EntityTag | undefined {
  const parts = ENTITY_TAG.exec(text.trim())
  return parts === null ? undefined : { weak: parts[1] !== undefined, opaque: parts[2] ?? '' }
}

/** The list of If-None-Match or If-Match; `*` for any. What follows a malformed member is not read. */
export function parseEntityTagList (text: string): '*' | readonly EntityTag[] {
  if (text.trim() === '*') return '*'
  const tags: EntityTag[] = []
  NEXT_ENTITY_TAG.lastIndex = 0
  while (NEXT_ENTITY_TAG.lastIndex < text.length) {
    const parts = NEXT_ENTITY_TAG.exec(text)
    if (parts === null) break
    if (parts[2] !== undefined) tags.push({ weak: parts[1] !== undefined, opaque: parts[2] })
  }
  return tags
}

/** The tag of the same representation in another coding: its bytes differ, so it can only be weak (RFC 9110 §8.8.3.3). */
export function weakened (etag: string): string {
  return etag.startsWith('"') ? 'W/' + etag : etag
}

/** Weak comparison (RFC 9110 §8.8.3.2): the same opaque text. */
export function weakMatch (a: EntityTag, b: EntityTag): boolean {
  return a.opaque === b.opaque
}

/** Strong comparison: the same opaque text, and neither weak. */
export function strongMatch (a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.opaque === b.opaque
}
