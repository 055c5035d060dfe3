import type { RoutePolicy } from './route-options.ts'

const seconds = (ms: number): string => `${ms / 1000} s`

/** A route's settings as one would tell them to a colleague. */
export function policyInWords (policy: RoutePolicy): string {
  const sentences = policy.observed ? ['Only observed: the handler answers, and what follows is only counted'] : []
  sentences.push(policy.ttlMs === 0 ? "Fresh for as long as the handler's headers say" : `Fresh for ${seconds(policy.ttlMs)} unless the handler's headers say otherwise`)
  if (policy.staleWhileRevalidateMs > 0) sentences.push(`then served stale for ${seconds(policy.staleWhileRevalidateMs)} while one refresh runs`)
  if (policy.staleIfErrorMs > 0) sentences.push(`served stale for ${seconds(policy.staleIfErrorMs)} when the handler fails`)
  if (policy.softTimeoutMs !== undefined) sentences.push(`a stale response stands in for a handler that takes longer than ${seconds(policy.softTimeoutMs)}`)
  if (policy.refreshAhead > 0) sentences.push(`renewed ahead of time after ${Math.round(policy.refreshAhead * 100)} % of its ttl`)
  if (policy.precompress.length > 0) sentences.push(`kept ready as ${policy.precompress.join(' and ')}`)
  sentences.push(...httpSentences(policy), audience(policy))
  sentences.push(policy.serveFrom === 'onRequest' ? 'served before parsing and validation' : 'served after every hook has run')
  sentences.push(policy.query === undefined ? 'every byte of the query counts' : policy.query.length === 0 ? 'the query does not count' : `of the query count ${policy.query.join(', ')}`)
  if (policy.headers.length > 0) sentences.push(`the request headers ${policy.headers.join(', ')} count`)
  if (policy.cookies.length > 0) sentences.push(`the cookies ${policy.cookies.join(', ')} count`)
  if (policy.verify > 0 && !policy.observed) sentences.push(`${Math.round(policy.verify * 10_000) / 100} % of the hits are verified`)
  return sentences.join('; ')
}

function httpSentences ({ http, statuses }: RoutePolicy): string[] {
  const sentences: string[] = []
  if (statuses === 'any') sentences.push('whatever its status, where the headers say for how long')
  if (http.revalidateMs > 0) sentences.push(`kept for another ${seconds(http.revalidateMs)} so that the handler can validate it`)
  if (http.targets.length > 0) sentences.push(`${http.targets.join(', ')} count more than Cache-Control`)
  if (http.heuristics) sentences.push('a lifetime is guessed from Last-Modified where nobody names one')
  if (http.requestDirectives) sentences.push("the client's Cache-Control is obeyed")
  if (http.storeSetCookie) sentences.push('cookies that it sets are stored with it')
  if (http.storePost) sentences.push('an answer to a POST that is also one to a GET is kept')
  if (http.storeParts) sentences.push('parts of it are kept until the whole is')
  return sentences
}

function audience ({ public: isPublic, partition, http }: RoutePolicy): string {
  if (isPublic) return 'the same for everybody'
  if (partition !== undefined) return 'one response for each partition'
  return http.shareByDirective ? 'the same for everybody without credentials, and for others where it says so' : 'the same for everybody without credentials'
}
