import type { FastifyInstance, FastifyReply, FastifySchema } from 'fastify'
import type { Clock } from '../lib/clock.ts'
import { errors } from '../lib/errors.ts'
import { EventStream } from './event-stream.ts'
import { GUARD_RESPONSES, UNAVAILABLE } from './route-shape.ts'

/** Event streams that one route keeps open at the same time; each costs a connection. */
const MAX_OPEN = 20

/** What such a route answers, for API documents. @param responses by status, beyond those of every stream */
export function eventsSchema (description: string, responses: Readonly<Record<number, object>> = {}): FastifySchema {
  const shape = { produces: ['text/event-stream'], response: { 200: { description: `Server-sent events: ${description}`, type: 'string' }, 503: UNAVAILABLE, ...GUARD_RESPONSES, ...responses } }
  return shape
}

/** Answers a request with a stream of events. @param begin starts telling, and answers what ends that */
export type SendEvents = (reply: FastifyReply, begin: (stream: EventStream) => () => void) => Promise<FastifyReply>

/**
 * The event streams of a route: so many at a time, and none beyond the end of the app.
 * @throws FST_ERR_CACHE_STREAMS from what it answers, when as many are open as may be
 */
export function eventStreams (app: FastifyInstance, clock: Clock): SendEvents {
  const open = new Set<EventStream>()

  // Before the server waits for its last requests to end, which these would not do by themselves.
  app.addHook('preClose', async function cacheEventsEnd () {
    for (const stream of open) stream.end()
  })

  return async function sendEvents (reply, begin) {
    if (open.size >= MAX_OPEN) throw new errors.FST_ERR_CACHE_STREAMS(MAX_OPEN)
    const stream = new EventStream({ clock })
    open.add(stream)
    const stop = begin(stream)
    stream.once('close', () => {
      stop()
      open.delete(stream)
    })
    // Else its connection would be kept for the next request, and a server that closes would wait for that.
    if (reply.request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    return await reply.header('x-accel-buffering', 'no').type('text/event-stream').send(stream)
  }
}
