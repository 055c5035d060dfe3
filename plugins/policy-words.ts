import type { RoutePolicy } from './route-options.ts'

const seconds = (ms: number): string => `${ms / 1000} s`

/** A route's settings as one would tell them to a colleague. */
export function policyInWords (policy: RoutePolicy): string {
  const sentences = policy.observed ? ['Only observed: the handler answers, and what follows is only counted'] : []
  sentences.push(`Fresh for ${seconds(policy.ttlMs)} unless the handler's headers say otherwise`)
  if (policy.staleWhileRevalidateMs > 0) sentences.push(`then served stale for ${seconds(policy.staleWhileRevalidateMs)} while one refresh runs`)
  if (policy.staleIfErrorMs > 0) sentences.push(`served stale for ${seconds(policy.staleIfErrorMs)} when the handler fails`)
  if (policy.softTimeoutMs !== undefined) sentences.push(`a stale response stands in for a handler that takes longer than ${seconds(policy.softTimeoutMs)}`)
  if (policy.refreshAhead > 0) sentences.push(`renewed ahead of time after ${Math.round(policy.refreshAhead * 100)} % of its ttl`)
  if (policy.precompress.length > 0) sentences.push(`kept ready as ${policy.precompress.join(' and ')}`)
  sentences.push(audience(policy))
  sentences.push(policy.serveFrom === 'onRequest' ? 'served before parsing and validation' : 'served after every hook has run')
  sentences.push(policy.query === undefined ? 'every byte of the query counts' : policy.query.length === 0 ? 'the query does not count' : `of the query count ${policy.query.map(([name]) => name).join(', ')}`)
  if (policy.headers.length > 0) sentences.push(`the request headers ${policy.headers.join(', ')} count`)
  if (policy.cookies.length > 0) sentences.push(`the cookies ${policy.cookies.join(', ')} count`)
  if (policy.verify > 0 && !policy.observed) sentences.push(`${Math.round(policy.verify * 10_000) / 100} % of the hits are verified`)
  return sentences.join('; ')
}

function audience ({ public: isPublic, partition }: RoutePolicy): string {
  if (isPublic) return 'the same for everybody'
  return partition === undefined ? 'the same for everybody without credentials' : 'one response for each partition'
}
