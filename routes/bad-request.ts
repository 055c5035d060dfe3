import { errors, shown } from '../lib/errors.ts'

const CALLERS_FAULT: readonly unknown[] = ['FST_ERR_CACHE_OPTION', 'FST_ERR_CACHE_OPTION_UNKNOWN', 'FST_ERR_CACHE_KEY', 'FST_ERR_CACHE_TAG']

/** Runs what a client asked for. A mistake that would be the program's own anywhere else is here the client's: 400. */
export async function atClientsRisk<R> (run: () => Promise<R>): Promise<R> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && CALLERS_FAULT.includes(error.code)) Object.assign(error, { statusCode: 400 })
    // What the program would have said by an option, the client has said in the request.
    if (error instanceof errors.FST_ERR_CACHE_OPTION) Object.assign(error, { code: 'FST_ERR_CACHE_REQUEST', message: error.message.replace(/^Option /, 'In the request, ') })
    throw error
  }
}

/** The body or the query of a request, as names and what stands under them. @throws FST_ERR_CACHE_REQUEST */
export function fieldsOf (given: unknown, where: string, known?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new errors.FST_ERR_CACHE_REQUEST(where, shown(given), 'an object')
  const stranger = known === undefined ? undefined : Object.keys(given).find((name) => !known.includes(name))
  if (stranger !== undefined) throw new errors.FST_ERR_CACHE_REQUEST(stranger, 'unknown', known === undefined || known.length === 0 ? 'left out' : `one of ${known.join(', ')}`)
  return given as Readonly<Record<string, unknown>>
}

/** A text in a query, at most `maxLength` long. @throws FST_ERR_CACHE_REQUEST */
export function textIn (fields: Readonly<Record<string, unknown>>, name: string, maxLength: number): string | undefined {
  const value = fields[name]
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value === '' || value.length > maxLength) throw new errors.FST_ERR_CACHE_REQUEST(name, shown(value), `a text of 1 to ${maxLength} characters`)
  return value
}

/** A whole number in a query. @throws FST_ERR_CACHE_REQUEST */
export function countIn (fields: Readonly<Record<string, unknown>>, name: string, max: number): number | undefined {
  const value = fields[name]
  if (value === undefined) return undefined
  const count = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : NaN
  if (!(count >= 1 && count <= max)) throw new errors.FST_ERR_CACHE_REQUEST(name, shown(value), `a whole number from 1 to ${max}`)
  return count
}

/** A flag in a body. @throws FST_ERR_CACHE_REQUEST */
export function flagIn (fields: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = fields[name]
  if (value !== undefined && typeof value !== 'boolean') throw new errors.FST_ERR_CACHE_REQUEST(name, shown(value), 'true or false')
  return value === true
}
