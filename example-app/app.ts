import { basename, dirname } from 'node:path'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import cache, { createTextFile } from 'fastify-response-cache'
import { ownCatalogue, readCatalogue } from './catalogue.ts'
import { ProductDatabase } from './database.ts'
import type { Product } from './product.ts'
import { ProductService } from './product-service.ts'
import { addReadiness } from './readiness.ts'
import { addRoutes } from './routes.ts'
import { messageOf, UnusableError } from './unusable.ts'

export interface AppOptions {
  /** A JSON file of products. @default the catalogue that comes with the example */
  catalogue?: string | URL | undefined
  /** The file of the database, which several instances may share. @default none: the database lives in memory */
  database?: string | undefined
  /** The host that clients use, such as `shop.example`: it is part of the key of a response. @default no page is fetched before somebody asks */
  host?: string | undefined
  /** A file that keeps what was asked for most, so that the next start can fetch it. @default the cache itself, for which Redis is needed */
  hotList?: string | undefined
  /** Bearer token of the guarded cache routes; without one they do not exist. */
  adminToken?: string | undefined
  /** @default false */
  logger?: FastifyServerOptions['logger']
}

/** The whole application, not yet listening. */
export async function buildApp ({ catalogue = ownCatalogue, database: file, host, hotList, adminToken, logger = false }: AppOptions = {}): Promise<FastifyInstance> {
  const products = await readCatalogue(catalogue)
  const database = openDatabase(products, file)
  const app = Fastify({ logger })
  app.addHook('onClose', async () => { database.close() })
  const { CACHE_STRATEGY, REDIS_URL } = process.env
  // A database in the memory of this process is nobody else's, and so is what was cached of it.
  const where = file === undefined && CACHE_STRATEGY === undefined ? { strategy: 'memory' } as const : REDIS_URL === undefined ? {} : { redisUrl: REDIS_URL }
  await app.register(cache, {
    ...where,
    admin: { token: adminToken },
    warmup: {
      paths: host === undefined ? [] : ['/products', '/categories'].map((path) => ({ path, host })),
      ...hotList !== undefined && { storage: createTextFile(dirname(hotList), basename(hotList)) }
    }
  })
  const service = new ProductService(database, app.cache)
  app.addHook('onClose', async () => { await service.close() })
  addRoutes(app, service)
  addReadiness(app, service)
  measureRoutes(app)
  return app
}

/** What each route takes as a whole, beside what the cache takes: in the report and on the dashboard. */
function measureRoutes (app: FastifyInstance): void {
  app.addHook('onResponse', async ({ method, routeOptions: { url } }, { elapsedTime, statusCode }) => {
    if (url !== undefined) app.cacheMonitor?.recordMetric({ operation: `${method} ${url}`, duration: elapsedTime / 1000, success: statusCode < 500 })
  })
}

function openDatabase (products: readonly Product[], file: string | undefined): ProductDatabase {
  try {
    return new ProductDatabase(products, file)
  } catch (error) {
    throw new UnusableError(`The database ${file ?? 'in memory'} cannot be used (${messageOf(error)}); name another with --database`)
  }
}
