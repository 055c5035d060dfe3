/**
 * Our tags as a CDN in front reads them: `Surrogate-Key` parts them by blanks, `Cache-Tag` by commas. Both limit a key to
 * 1 024 bytes and the field to 16 KB; what does not fit is named, since no purge of it will reach the CDN.
 */
const MAX_KEY_BYTES = 1024
const MAX_FIELD_BYTES = 16 * 1024

const SEPARATORS = { 'surrogate-key': ' ', 'cache-tag': ',' } as const

export type SurrogateField = keyof typeof SEPARATORS

/** A tag as it stands in the field, and as the CDN's purge has to name it: what could part two keys is percent-encoded. */
export function surrogateKey (tag: string): string {
  return tag.replace(/[^\x21-\x24\x26-\x2b\x2d-\x7e]/gu, (part) => Buffer.from(part).toString('hex').replace(/../g, '%$&'))
}

/**
 * The field for a list of tags; `undefined` when nothing is left to send.
 * @param existing what stands in the field already, and stays
 */
export function surrogateKeys (field: SurrogateField, tags: readonly string[], existing = ''): { readonly value: string | undefined, readonly omitted: readonly string[] } {
  const omitted: string[] = []
  let value = existing
  for (const tag of new Set(tags)) {
    const key = surrogateKey(tag)
    const next = value === '' ? key : value + SEPARATORS[field] + key
    if (key === '' || key.length > MAX_KEY_BYTES || next.length > MAX_FIELD_BYTES) omitted.push(tag)
    else value = next
  }
  return { value: value === '' ? undefined : value, omitted }
}
