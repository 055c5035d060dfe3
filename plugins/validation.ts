import type { FastifyReply } from 'fastify'
import type { EpochMs } from '../lib/clock.ts'
import type { Entry } from '../lib/entry.ts'
import { isMadeEtag } from '../lib/http/etag.ts'
import { headerListOf, headerOf } from '../lib/http/headers.ts'
import { isSuccess } from '../lib/http/method.ts'
import { judgeHead, updateStored, validatorsOf } from '../lib/http/revalidation.ts'
import type { StoredResponse } from '../lib/http/response.ts'
import { addedHeaders, setBack } from './added-headers.ts'
import { letGo } from './body-capture.ts'
import type { Miss, ReplyHeaders, Validation } from './exchange.ts'
import { payloadOf, putHead } from './serve-stored.ts'
import { fieldsOfHandler } from './stored-directives.ts'

/**
 * What to ask the handler about the stored response; `undefined` where it knows no answer: its validators are only ours, or
 * it is an error, on which no condition bears (RFC 9110 §13.2.1).
 */
export function beginValidation ({ value, marks }: Entry<StoredResponse>): Validation | undefined {
  if (!isSuccess(value.status)) return undefined
  const etag = headerOf(value.headers, 'etag')
  const ours = etag !== undefined && isMadeEtag(etag, value.body)
  const fields = validatorsOf(ours ? { ...value, headers: value.headers.filter(([name]) => name !== 'etag') } : value)
  return Object.keys(fields).length === 0 ? undefined : { stored: value, marks, fields }
}

/**
 * What an answer of the handler says about what is stored. A 304 was asked about just one response, so it speaks of that
 * one, whatever validators it repeats or leaves out (§4.3.3). A 200 to a HEAD tells by its validators (§4.3.5).
 */
export function judgeAnswer ({ stored }: Validation, method: string, reply: FastifyReply): 'confirmed' | 'changed' | 'replaced' {
  const { statusCode: status } = reply
  if (status === 304) return 'confirmed'
  if (method !== 'HEAD') return 'replaced'
  const verdict = status === 200 ? judgeHead(stored, headerListOf(reply.getHeaders() as ReplyHeaders)) : 'unknown'
  return verdict === 'update' ? 'confirmed' : verdict === 'stale' ? 'changed' : 'replaced'
}

/**
 * Puts the stored response, updated by the answer that confirmed it, onto the reply in place of that answer, as if the
 * handler had sent it in full. Answers its payload.
 */
export function putConfirmed ({ stored }: Validation, { before, policy }: Miss, reply: FastifyReply, payload: unknown, nowMs: EpochMs): string | Buffer {
  const answered = reply.getHeaders() as ReplyHeaders
  const age = answered['age']
  const said = addedHeaders(before, answered)
  // Had the handler itself said what we say where it says nothing, the 304 would repeat it (RFC 9110 §15.4.5).
  const known = { ...stored, headers: fieldsOfHandler(stored, policy) }
  const { status, headers, body } = updateStored(known, age === undefined ? said : [...said, ['age', String(age)]], { receivedAtMs: nowMs, keepSetCookie: policy.http.storeSetCookie })
  letGo(payload)
  setBack(reply, before)
  putHead(reply, { status, headers })
  // A cookie that came with the confirmation is for this client, and keeps the response from being stored as any would.
  const cookie = answered['set-cookie']
  if (cookie !== undefined && !policy.http.storeSetCookie) reply.removeHeader('set-cookie').header('set-cookie', cookie)
  return payloadOf(reply, { ...stored, body })
}
