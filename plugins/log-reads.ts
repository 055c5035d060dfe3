import type { FastifyBaseLogger } from 'fastify'
import { readAside } from './observed-request.ts'

/** Under which pino keeps the functions that turn what is logged into text. */
const SERIALIZERS = Symbol.for('pino.serializers')

type Serializers = Record<string | symbol, unknown>

/** What is read aside, by what it was made of. Most requests have theirs in common. */
const asideOf = new WeakMap<Serializers, Serializers>()

/**
 * Lets the serializers of a log look at requests as they like: what they read goes into the log, not into a response.
 * Fastify's own reads the address of the client and a header. What a handler itself reads, to log it, counts all the same.
 */
export function readLogAside (log: FastifyBaseLogger): void {
  const given = (log as { [SERIALIZERS]?: Serializers })[SERIALIZERS]
  if (typeof given !== 'object' || given === null) return
  let aside = asideOf.get(given)
  if (aside === undefined) {
    aside = Object.create(Object.getPrototypeOf(given) as object | null) as Serializers
    for (const name of Reflect.ownKeys(given)) aside[name] = readingAside(given[name])
    asideOf.set(given, aside)
    asideOf.set(aside, aside)
  }
  if (aside !== given) Reflect.set(log, SERIALIZERS, aside)
}

function readingAside (serialize: unknown): unknown {
  if (typeof serialize !== 'function') return serialize
  return function (this: unknown, ...values: unknown[]): unknown { return readAside(() => serialize.apply(this, values) as unknown) }
}
