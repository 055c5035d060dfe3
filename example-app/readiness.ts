import type { FastifyInstance } from 'fastify'
import type { WarmingJob } from 'fastify-response-cache'
import type { ProductService } from './product-service.ts'
import * as schemas from './schemas.ts'

/** `GET /ready`, for whoever sends requests here: not before the cache is warm, or has taken too long. */
export function addReadiness (app: FastifyInstance, service: ProductService): void {
  let products: WarmingJob | undefined
  app.addHook('onReady', async () => {
    if (app.cacheWarmup !== undefined) products = service.warm(app.cacheWarmup.service)
  })

  app.get('/ready', { schema: schemas.readiness, logLevel: 'warn' }, async (_request, reply) => {
    const ready = products?.ended === true && app.cacheWarmup?.done === true
    return await reply.code(ready ? 200 : 503).send({ ready })
  })
}
