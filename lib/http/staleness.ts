import type { CacheControl } from './cache-control.ts'

/** The directive that forbids to serve a response once it is stale. */
export type StaleBar = 'no-cache' | 'must-revalidate' | 'proxy-revalidate' | 's-maxage'

export interface StalenessOptions {
  /**
   * Whether `s-maxage` bars stale use even where the same field grants some by `stale-while-revalidate` or
   * `stale-if-error`. RFC 9111 §5.2.2.10 read to the letter says yes, since `s-maxage` implies proxy-revalidate; whoever
   * writes `s-maxage=1, stale-while-revalidate=59` means the opposite, and CDNs obey him.
   * @default false
   */
  readonly sMaxageForbidsStale?: boolean
}

/**
 * Which directive bars every stale use, for refreshing in the background and for errors alike; `undefined` if none does
 * (RFC 9111 §4.2.4).
 *
 * | directive        | section   | bars stale use                                                    |
 * |------------------|-----------|-------------------------------------------------------------------|
 * | no-cache         | §5.2.2.4  | always; qualified, it only withdraws the fields it names          |
 * | must-revalidate  | §5.2.2.2  | always                                                            |
 * | proxy-revalidate | §5.2.2.8  | always, this being a shared cache                                 |
 * | s-maxage         | §5.2.2.10 | unless the field grants a stale window itself (`sMaxageForbidsStale`) |
 */
export function staleBar (cacheControl: CacheControl, options: StalenessOptions = {}): StaleBar | undefined {
  if (cacheControl.unqualified('no-cache')) return 'no-cache'
  if (cacheControl.has('must-revalidate')) return 'must-revalidate'
  if (cacheControl.has('proxy-revalidate')) return 'proxy-revalidate'
  if (cacheControl.has('s-maxage')) {
    const grantsStale = cacheControl.grants('stale-while-revalidate') || cacheControl.grants('stale-if-error')
    if (options.sMaxageForbidsStale === true || !grantsStale) return 's-maxage'
  }
  return undefined
}

/** Whether an answer counts as a failure for which a stale response may stand in (RFC 5861 §4). */
export function isFailure (status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504
}
