/** The methods that change nothing (RFC 9110 §9.2.1). Whatever is not known to be safe is unsafe (RFC 9111 §4.4). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Method names are case-sensitive (RFC 9110 §9.1). */
export function isSafeMethod (method: string): boolean {
  return SAFE.has(method)
}

/** Whether a status says that what was asked for has been done, and is what is sent (RFC 9110 §15.3). */
export function isSuccess (status: number): boolean {
  return status >= 200 && status < 300
}

/** Whether a final status says that nothing was done: neither 2xx nor 3xx. */
export function isError (status: number): boolean {
  return status < 200 || status > 399
}
