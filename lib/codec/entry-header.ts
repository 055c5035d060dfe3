import type { EpochMs, Milliseconds } from '../clock.ts'
import type { Entry, Position } from '../entry.ts'
import type { CodedLengths } from './coded-bodies.ts'
import { readResponseHead, type ResponseHead } from './response-head.ts'

/** What the envelope says about its body. One letter a member: it is part of every entry. */
export interface EntryHeader {
  /** The cache key. An entry under another key is not this one. */
  readonly k: string
  readonly t: Entry['kind']
  /** `storedAtMs` by the clock of the Redis server. The other instants are counted from it. */
  readonly at: EpochMs
  readonly f: Milliseconds
  /** While stale, servable during a refresh, and because of a failure. */
  readonly w: Milliseconds
  readonly e: Milliseconds
  /** Kept to be validated. */
  readonly v?: Milliseconds
  readonly m: readonly string[]
  /** `asOf`: epoch and sequence. */
  readonly p: readonly [epoch: number, seq: number]
  /** `loadMs` and `bytes` of the entry. */
  readonly l: Milliseconds
  readonly b: number
  /** Length of the body before compression, and by what it was compressed. */
  readonly n: number
  readonly c: string
  /** The serialiser of a data value. */
  readonly s?: string
  /** The head of a response. */
  readonly r?: ResponseHead
  /** The coded bodies of a response, which follow the body in this order: coding and length. */
  readonly x?: CodedLengths
}

/** Nothing is cached for longer than ten years; a larger number is a mistake or a forgery. */
export const MAX_LIFE_MS = 10 * 366 * 86_400_000

const isText = (value: unknown): value is string => typeof value === 'string'
const isSpan = (value: unknown): value is Milliseconds => typeof value === 'number' && value >= 0 && value <= MAX_LIFE_MS
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isKind = (value: unknown): value is Entry['kind'] => value === 'data' || value === 'response' || value === 'variants'
const isPair = (value: unknown): value is [number, number] => Array.isArray(value) && value.length === 2 && value.every(isCount)

/** The name goes out in Content-Encoding. */
const isCodedLength = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && isText(value[0]) && /^[a-z]{1,16}$/.test(value[0]) && isCount(value[1])

/** The header if it is one, to the last type and range; a copy that has nothing else in it. */
export function readEntryHeader (given: unknown): EntryHeader | undefined {
  if (typeof given !== 'object' || given === null) return undefined
  const { k, t, at, f, w, e, v, m, p, l, b, n, c, s, r, x } = given as Record<string, unknown>
  if (!isText(k) || !isKind(t) || !isCount(at) || !isSpan(f) || !isSpan(w) || !isSpan(e) || !isPair(p) || !isSpan(l) || !isCount(b) || !isCount(n) || !isText(c)) return undefined
  if (!Array.isArray(m) || !m.every(isText) || (v !== undefined && !isSpan(v))) return undefined
  if (t === 'data' && !isText(s)) return undefined
  const head = t === 'response' ? readResponseHead(r) : undefined
  if (t === 'response' && (head === undefined || (x !== undefined && !(Array.isArray(x) && x.every(isCodedLength))))) return undefined
  // One literal and no spreading: every hit in Redis comes through here.
  return { k, t, at, f, w, e, v, m, p, l, b, n, c, s: t === 'data' ? s as string : undefined, r: head, x: t === 'response' ? x as CodedLengths | undefined : undefined }
}

export const positionOf = ({ p: [epoch, seq] }: EntryHeader): Position => ({ epoch, seq })
