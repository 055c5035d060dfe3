import type { FastifyInstance } from 'fastify'
import { errors, shown } from '../lib/errors.ts'
import type { WarmingJob } from '../lib/engine/warming-job.ts'
import { pathOf } from '../lib/keyspace/request-path.ts'
import { atClientsRisk } from './bad-request.ts'
import type { EventStream } from './event-stream.ts'
import { eventStreams, eventsSchema } from './event-streams.ts'
import type { GuardedRouteOptions } from './invalidate.ts'
import { requireJson } from './json-only.ts'
import { BAD_REQUEST, CONFLICT, GUARD_RESPONSES, NOT_FOUND, routeShape } from './route-shape.ts'
import { startWarming, type Warming } from './warm-request.ts'
import { WARM_BODY, WARM_JOB, describeJob } from './warm-schema.ts'

export interface WarmRoutesOptions extends GuardedRouteOptions {
  readonly warming: Warming
}

/** Some ten thousand paths. */
const BODY_LIMIT = 1024 * 1024

const started = { type: 'object', required: ['id'], additionalProperties: false, properties: { id: { type: 'string' } } }
const jobs = { type: 'object', required: ['jobs'], additionalProperties: false, properties: { jobs: { type: 'array', items: WARM_JOB } } }
const params = { type: 'object', properties: { id: { type: 'string' } } }

interface ById { Params: { id: string } }

/** `POST <prefix>/warm` starts a warming; the other routes show what runs and what has ended, and cancel it. */
export function warmRoutes (app: FastifyInstance, { prefix, cache, guard, warming }: WarmRoutesOptions): void {
  const { service } = warming
  const send = eventStreams(app, cache.parts.clock)

  const jobOf = (id: string): WarmingJob => {
    const job = service.jobs().find((each) => each.id === id)
    if (job === undefined) throw new errors.FST_ERR_CACHE_WARM_JOB(shown(id))
    return job
  }

  app.post(`${prefix}/warm`, {
    ...routeShape('Start a warming', { body: WARM_BODY, response: { 202: started, 400: BAD_REQUEST, 409: CONFLICT, ...GUARD_RESPONSES } }, [...guard, requireJson]),
    bodyLimit: BODY_LIMIT
  }, async (request, reply) => {
    const { id } = await atClientsRisk(async () => startWarming(warming, request))
    return await reply.code(202).header('location', `${pathOf(request.url)}/${id}`).send({ id })
  })

  app.get(`${prefix}/warm`, routeShape('The warmings that run, and the last that ended', { response: { 200: jobs, ...GUARD_RESPONSES } }, guard), async () => ({ jobs: service.jobs().map(describeJob) }))

  const one = { params, response: { 200: WARM_JOB, 404: NOT_FOUND, ...GUARD_RESPONSES } }
  app.get<ById>(`${prefix}/warm/:id`, routeShape('How far a warming has come', one, guard), async (request) => describeJob(jobOf(request.params.id)))

  app.delete<ById>(`${prefix}/warm/:id`, routeShape('Cancel a warming', one, guard), async (request) => {
    const job = jobOf(request.params.id)
    job.cancel()
    await job.report
    return describeJob(job)
  })

  app.get<ById>(`${prefix}/warm/:id/events`, {
    ...routeShape('Watch a warming', { params, ...eventsSchema('`progress` now and then, and `end` when the warming has ended.', { 404: NOT_FOUND }) }, guard),
    // The answer to a HEAD would be a stream that nobody reads.
    exposeHeadRoute: false
  }, async (request, reply) => {
    const job = jobOf(request.params.id)
    return await send(reply, (stream) => follow(job, stream))
  })
}

/** Tells a stream how a job goes on, until the end of either. */
function follow (job: WarmingJob, stream: EventStream): () => void {
  const tell = (): void => {
    if (job.result === undefined) stream.tell('progress', describeJob(job))
    else stream.finish('end', describeJob(job))
  }
  const stop = job.onProgress(tell)
  tell()
  return stop
}
