import type { FastifyBaseLogger } from 'fastify'
import { IP, readAside } from './observed-request.ts'

/** Under which pino keeps the functions that turn what is logged into text. */
const SERIALIZERS = Symbol.for('pino.serializers')

type Serializers = Record<string | symbol, unknown>

/** What Fastify's own serializer reads and no key has: the address of the client, which a proxy tells by a header, and a header. */
const LOGGED: ReadonlySet<string> = new Set([IP, 'x-forwarded-for', 'accept-version'])

/** What is read aside, by what it was made of. Most requests have theirs in common. */
const asideOf = new WeakMap<Serializers, Serializers>()

/**
 * Lets the serializers of a log read of requests what Fastify's own reads: that goes into the log, not into a response. What
 * serializers of the app read beside that counts: they may leave it where the handler finds it.
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
  return function (this: unknown, ...values: unknown[]): unknown { return readAside(() => serialize.apply(this, values) as unknown, LOGGED) }
}
