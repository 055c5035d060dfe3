/**
 * Marks are the names by which a purge reaches an entry. One flat name space, told apart by the first two
 * characters, so that an entry carries one list and the log keeps one map:
 *
 *   t:<tag>              a tag given by the user
 *   k:<key>              a cache key that was read while the entry was built
 *   p:<path>             the request path of a response, whatever its host and query
 *   u:<scheme>//<host><path>   the same with its origin (RFC 9111 §4.4 must not cross origins)
 *   m:<host> <route> <parameters>   the route and its parameters, however the request spelled them
 */
export type Mark = string

export const tagMark = (tag: string): Mark => 't:' + tag
export const keyMark = (key: string): Mark => 'k:' + key
export const pathMark = (path: string): Mark => 'p:' + path
export const originMark = (scheme: string, host: string, path: string): Mark => flat('u:', scheme, '//', withoutDefaultPort(scheme, host), path)

export const routeMark = (scheme: string, host: string, route: string, parameters: string): Mark => flat('m:', withoutDefaultPort(scheme, host), ' ', route, ' ', parameters)

/** One text, where a template would leave a tree of its parts in memory for as long as the entry lives. */
const flat = (...parts: string[]): string => parts.join('')

/** With its default port or without, it is the same origin (RFC 9110 §4.2.3). */
function withoutDefaultPort (scheme: string, host: string): string {
  const port = scheme === 'https' ? ':443' : ':80'
  return host.endsWith(port) ? host.slice(0, -port.length) : host
}

/** The route of a response, by its marks; its own comes first. */
export function routeOfMarks (marks: readonly Mark[]): string | undefined {
  const mark = marks.find((each) => each.startsWith('m:'))
  return mark?.slice(mark.indexOf(' ') + 1, mark.indexOf(' {'))
}

export function tagsOf (marks: readonly Mark[]): string[] {
  return marks.filter((mark) => mark.startsWith('t:')).map((mark) => mark.slice(2))
}

export function keysOf (marks: readonly Mark[]): string[] {
  return marks.filter((mark) => mark.startsWith('k:')).map((mark) => mark.slice(2))
}
