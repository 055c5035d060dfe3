/**
 * HTTP Cache Groups (RFC 9875): names that responses of one origin share, and by which an answer to an unsafe request
 * may call them back. Our tags are such names.
 */
import { headerOf } from './headers.ts'
import type { HeaderList } from './headers.ts'
import { isError, isSafeMethod } from './method.ts'
import { sfList, sfString } from './structured-fields.ts'

/** Far above the 32 groups of 32 characters that §2 asks for; a longer field is ignored like an unparsable one. */
const MAX_FIELD_LENGTH = 64 * 1024

/** The groups a response belongs to (§2), case-sensitive. Members of another type and parameters are ignored. */
export function cacheGroups (headers: HeaderList): readonly string[] {
  return stringsOf(headerOf(headers, 'cache-groups'))
}

/**
 * The groups that a response calls back (§3). MUST be ignored on safe methods; on others it is taken from whatever is
 * no error, as in RFC 9111 §4.4.
 */
export function invalidatedGroups ({ method, status, headers }: { method: string, status: number, headers: HeaderList }): readonly string[] {
  if (isSafeMethod(method) || isError(status)) return []
  return stringsOf(headerOf(headers, 'cache-group-invalidation'))
}

/** What clients and proxies take for one field without complaint. */
const MAX_SENT_LENGTH = 8 * 1024

/**
 * Tags as a Cache-Groups or Cache-Group-Invalidation field; `undefined` for none, since an empty field is no field. What
 * does not fit is left out.
 */
export function cacheGroupsField (tags: readonly string[]): string | undefined {
  let field = ''
  for (const tag of tags) {
    const next = field === '' ? sfString(tag) : `${field}, ${sfString(tag)}`
    if (next.length <= MAX_SENT_LENGTH) field = next
  }
  return field === '' ? undefined : field
}

function stringsOf (text: string | undefined): readonly string[] {
  if (text === undefined || text.length > MAX_FIELD_LENGTH) return []
  const strings = (sfList(text) ?? []).filter((item) => typeof item === 'string')
  return [...new Set(strings)]
}
